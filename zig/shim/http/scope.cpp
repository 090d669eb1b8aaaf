/* sk_req_scope: a request as ASGI and WSGI describe it, with one call. */
#include "http/scope.h"

#include "http/app.h"
#include "http/scratch.h"

#include <arpa/inet.h>
#include <cstddef>
#include <sys/socket.h>
#include <sys/un.h>

using namespace sk;

namespace {

constexpr char FLAGS_BASE = '@';
constexpr std::string_view LOCAL_PATH = "unix:";
constexpr char HEX[] = "0123456789abcdef";

} // namespace

/* Host and port of one end; nothing without an address. */
void sk::appendEnd(std::string &out, std::string_view address, int port) {
  char text[INET6_ADDRSTRLEN];
  int family = address.length() == 4 ? AF_INET : AF_INET6;
  if (!address.empty() && inet_ntop(family, address.data(), text, sizeof(text))) {
    out.append(out.empty() ? "" : " ").append(text).append(" ").append(std::to_string(port));
  }
}

namespace {

/* What a Unix-domain socket is bound to, in digits: a path may hold any byte. */
void findLocalPath(us_socket_t *s, std::string &out) {
  sockaddr_un address;
  socklen_t length = sizeof(address);
  int fd = us_poll_fd(reinterpret_cast<us_poll_t *>(s));
  if (getsockname(fd, reinterpret_cast<sockaddr *>(&address), &length) != 0 || length > sizeof(address)) {
    return;
  }
  size_t bytes = length > offsetof(sockaddr_un, sun_path) ? length - offsetof(sockaddr_un, sun_path) : 0;
  std::string_view path(address.sun_path, bytes);
  /* A name in the file system ends with NUL; one that begins with NUL is in a space of its own, and as long as it is. */
  out = LOCAL_PATH;
  for (char c : path.substr(0, path.empty() || path[0] ? path.find('\0') : path.length())) {
    unsigned char byte = static_cast<unsigned char>(c);
    out += {HEX[byte >> 4], HEX[byte & 15]};
  }
}

} // namespace

/* Asking the kernel costs more than all the rest of this file. */
std::string_view sk::endpointsOf(HttpResponse *response) {
  HttpData *data = httpData(response);
  std::string &endpoints = data->endpoints;
  if (!endpoints.empty() || !data->localPath.empty()) {
    return endpoints;
  }
  char address[ADDRESS_BYTES_MAX];
  us_socket_t *s = raw(response);
  std::string_view proxied = response->getProxiedRemoteAddress();
  if (!proxied.empty()) {
    appendEnd(endpoints, proxied, data->proxyParser.getSourcePort());
  } else {
    int length = sizeof(address);
    us_socket_remote_address(0, s, address, &length);
    appendEnd(endpoints, {address, static_cast<size_t>(length)}, us_socket_remote_port(s));
  }
  int length = sizeof(address);
  us_socket_local_address(s, address, &length);
  appendEnd(endpoints, {address, static_cast<size_t>(length)}, us_socket_local_port(0, s));
  if (length == 0) {
    findLocalPath(s, data->localPath);
  }
  return endpoints;
}

bool sk::isEncoded(std::string_view path) {
  for (char c : path) {
    if (c == '%' || (c & 0x80)) {
      return true;
    }
  }
  return false;
}

Target sk::targetOf(uWS::HttpRequest &request) {
  std::string_view target = request.getFullUrl();
  std::string_view path = target.substr(0, target.find('?'));
  return {path, path.length() < target.length() ? target.substr(path.length() + 1) : std::string_view()};
}

std::string sk::sentTargetOf(const uWS::HttpRequest &request) {
  std::string target(request.origin());
  return target.append(request.getFullUrl().substr(request.isSlashAdded()));
}

int sk::scopeFlags(const Slot &slot, const uWS::HttpRequest &request, std::string_view path) {
  int flags = request.isAncient() ? SK_SCOPE_ANCIENT : 0;
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

std::string_view sk::endsOf(const Slot &slot) {
  if (us_socket_is_closed(0, raw(slot.socket))) {
    /* By a finalizer, since its request began: what was known of the connection is gone. */
    return {};
  }
  std::string_view ends = endpointsOf(static_cast<HttpResponse *>(slot.socket));
  return slot.app->observer ? slot.app->observer->ends(slot, ends) : ends;
}

std::string_view sk::endsWithPathOf(const Slot &slot, std::string &room) {
  std::string_view ends = endsOf(slot);
  if (us_socket_is_closed(0, raw(slot.socket))) {
    return ends;
  }
  std::string_view path = httpData(slot.socket)->localPath;
  if (path.empty()) {
    return ends;
  }
  room.assign(ends).append(ends.empty() ? "" : " ").append(path);
  return room;
}

int32_t sk_req_scope(uint32_t handle) {
  uWS::HttpRequest *request = findRequest(handle);
  Slot *slot = findHttpSlot(handle);
  if (!request || !slot) {
    return SK_STALE;
  }
  auto [path, query] = targetOf(*request);
  /* Of the parts that follow nobody can tell what was sent. */
  bool lone_mark = query.empty() && path.length() < request->getFullUrl().length();
  int sent = request->origin().empty() && !lone_mark ? 0 : SK_SCOPE_SENT_TARGET;
  char flags = static_cast<char>(FLAGS_BASE + (scopeFlags(*slot, *request, path) | sent));
  std::string ends;
  ScratchWriter writer;
  writer.line({&flags, 1});
  writer.line(request->rawMethod());
  writer.line(path);
  writer.line(query);
  writer.line(endsWithPathOf(*slot, ends));
  for (auto [name, value] : *request) {
    writer.line(name);
    writer.line(value);
  }
  return writer.lengthOfLines();
}
