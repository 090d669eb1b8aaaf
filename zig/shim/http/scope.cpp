#include "http/scope.h"

#include "http/app.h"
#include "proxy/client.h"

namespace sk {

bool isEncoded(std::string_view path) {
  for (char c : path) {
    if (c == '%' || (c & 0x80)) {
      return true;
    }
  }
  return false;
}

static int hexOf(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  c |= 32;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string unescaped(std::string_view text) {
  std::string out;
  out.reserve(text.length());
  for (size_t i = 0; i < text.length(); i++) {
    if (text[i] == '%' && i + 2 < text.length()) {
      int high = hexOf(text[i + 1]);
      int low = hexOf(text[i + 2]);
      if (high >= 0 && low >= 0) {
        out.push_back(static_cast<char>(high * 16 + low));
        i += 2;
        continue;
      }
    }
    out.push_back(text[i]);
  }
  return out;
}

bool isBelow(std::string_view path, std::string_view root) {
  return path.starts_with(root) && (path.length() == root.length() || path[root.length()] == '/');
}

Target targetOf(uWS::HttpRequest &request) {
  std::string_view target = request.getFullUrl();
  std::string_view path = target.substr(0, target.find('?'));
  return {path, path.length() < target.length() ? target.substr(path.length() + 1) : std::string_view()};
}

std::string sentTargetOf(const uWS::HttpRequest &request) {
  std::string target(request.origin());
  return target.append(request.getFullUrl().substr(request.isSlashAdded()));
}

int scopeFlags(const Slot &slot, const uWS::HttpRequest &request, std::string_view path) {
  int flags = request.isAncient() ? SK_SCOPE_ANCIENT : slot.stream ? SK_SCOPE_HTTP_2 : 0;
  if (request.hasBody()) {
    flags |= SK_SCOPE_BODY;
    if (!request.isChunked() && !httpData(slot.socket)->unread.empty()) {
      flags |= SK_SCOPE_BODY_HERE;
    }
  }
  if (isEncoded(path)) {
    flags |= SK_SCOPE_ENCODED;
  }
  if (isSecure(slot) != slot.app->secure) {
    flags |= SK_SCOPE_OTHER_SCHEME;
  }
  if (std::string_view te = request.header("te"); te.data() && te.find("trailers") != std::string_view::npos) {
    flags |= SK_SCOPE_TRAILERS;
  }
  return flags;
}

} // namespace sk
