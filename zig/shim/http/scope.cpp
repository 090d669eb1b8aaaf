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
