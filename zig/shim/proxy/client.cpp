#include "proxy/client.h"

#include "http/app.h"
#include "http/bytes.h"
#include "http2/connection.h"

#include <arpa/inet.h>
#include <cstddef>
#include <sys/socket.h>
#include <sys/un.h>

namespace sk {

namespace {

/* In digits: a path may hold any byte. A name in the file system ends with NUL; one that begins with NUL is in a space of its own,
 * and as long as it is. */
void putLocalPath(std::string_view path, std::string &out) {
  out = SK_SCOPE_LOCAL_PATH;
  for (char c : path.substr(0, path.empty() || path[0] ? path.find('\0') : path.length())) {
    unsigned char byte = static_cast<unsigned char>(c);
    out += {HEX[byte >> 4], HEX[byte & 15]};
  }
}

/* What a Unix-domain socket is bound to. */
void findLocalPath(us_socket_t *s, std::string &out) {
  sockaddr_un address;
  socklen_t length = sizeof(address);
  int fd = us_poll_fd(reinterpret_cast<us_poll_t *>(s));
  if (getsockname(fd, reinterpret_cast<sockaddr *>(&address), &length) != 0 || length > sizeof(address)) {
    return;
  }
  size_t bytes = length > offsetof(sockaddr_un, sun_path) ? length - offsetof(sockaddr_un, sun_path) : 0;
  putLocalPath({address.sun_path, bytes}, out);
}

/* All streams of a connection have the same. */
uWS::HttpEnds &knownEndsOf(Socket *socket) {
  std::unique_ptr<uWS::HttpEnds> &ends =
      us_socket_is_carried(raw(socket)) ? connectionOf(raw(socket)).ends : httpData(socket)->ends;
  if (!ends) {
    ends = std::make_unique<uWS::HttpEnds>();
  }
  return *ends;
}

} // namespace

const Forwarded *forwardedOf(const Slot &slot) { return slot.app->observer ? slot.app->observer->forwarded(slot) : nullptr; }

const uWS::ProxyFacts *proxyFactsOf(Socket *socket) { return httpData(socket)->proxyParser.facts(); }

const Forwarded *forwardedClientOf(const Slot &slot) {
  const Forwarded *forwarded = forwardedOf(slot);
  return forwarded && !forwarded->address.empty() ? forwarded : nullptr;
}

bool isSecure(const Slot &slot) {
  const Forwarded *forwarded = forwardedOf(slot);
  bool known = forwarded && forwarded->scheme != Forwarded::Unknown;
  return known ? forwarded->scheme == Forwarded::Https : slot.app->secure;
}

std::string_view prefixOf(const Slot &slot) {
  const Forwarded *forwarded = forwardedOf(slot);
  return forwarded ? std::string_view(forwarded->prefix) : std::string_view();
}

void appendEnd(std::string &out, std::string_view address, int port) {
  char text[INET6_ADDRSTRLEN];
  int family = address.length() == 4 ? AF_INET : AF_INET6;
  if (!address.empty() && inet_ntop(family, address.data(), text, sizeof(text))) {
    out.append(out.empty() ? "" : " ").append(text).append(" ").append(std::to_string(port));
  }
}

/* Asking the kernel costs more than all the rest of this file. */
std::string_view endpointsOf(HttpResponse *response) {
  auto &[endpoints, local_path] = knownEndsOf(response);
  if (!endpoints.empty() || !local_path.empty()) {
    return endpoints;
  }
  char address[ADDRESS_BYTES_MAX];
  us_socket_t *s = raw(response);
  const uWS::ProxyFacts *facts = proxyFactsOf(response);
  if (facts && facts->family != uWS::ProxyFacts::Unknown) {
    if (facts->family == uWS::ProxyFacts::Unix) {
      putLocalPath(facts->destination, local_path);
    } else {
      appendEnd(endpoints, facts->source, facts->sourcePort);
      appendEnd(endpoints, facts->destination, facts->destinationPort);
    }
    return endpoints;
  }
  int length = sizeof(address);
  us_socket_remote_address(0, s, address, &length);
  appendEnd(endpoints, {address, static_cast<size_t>(length)}, us_socket_remote_port(s));
  length = sizeof(address);
  us_socket_local_address(s, address, &length);
  appendEnd(endpoints, {address, static_cast<size_t>(length)}, us_socket_local_port(0, s));
  if (length == 0) {
    findLocalPath(s, local_path);
  }
  return endpoints;
}

std::string_view endsOf(const Slot &slot) {
  if (us_socket_is_closed(0, raw(slot.socket))) {
    /* By a finalizer, since its request began: what was known of the connection is freed. */
    return {};
  }
  std::string_view ends = endpointsOf(static_cast<HttpResponse *>(slot.socket));
  return slot.app->observer ? slot.app->observer->ends(slot, ends) : ends;
}

std::string_view endsWithPathOf(const Slot &slot, std::string &room) {
  std::string_view ends = endsOf(slot);
  if (us_socket_is_closed(0, raw(slot.socket))) {
    return ends;
  }
  std::string_view path = knownEndsOf(slot.socket).localPath;
  if (path.empty()) {
    return ends;
  }
  room.assign(ends).append(ends.empty() ? "" : " ").append(path);
  return room;
}

} // namespace sk
