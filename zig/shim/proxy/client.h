/* Who the client of a request is, and how it speaks: as a PROXY header, trusted proxies or the socket say. */
#ifndef SK_PROXY_CLIENT_H
#define SK_PROXY_CLIENT_H

#include "http/engine.h"
#include "http/slot_table.h"
#include "proxy/forwarded.h"

#include <string>
#include <string_view>

namespace sk {

/* Of an IPv6 address. */
constexpr int ADDRESS_BYTES_MAX = 16;

/* What a header of the PROXY protocol said, or nullptr. */
const uWS::ProxyFacts *proxyFactsOf(Socket *socket);

/* What proxies say of the request, or nullptr. */
const Forwarded *forwardedOf(const Slot &slot);
/* Where the client is another than the peer, else nullptr. */
const Forwarded *forwardedClientOf(const Slot &slot);

/* Whether the client speaks TLS, with us or with a trusted proxy. */
bool isSecure(const Slot &slot);

/* Where a trusted proxy says that the application is mounted, or empty. */
std::string_view prefixOf(const Slot &slot);

/* Both ends of a connection as text: "host port host port"; empty for Unix-domain sockets. Found once per connection. */
std::string_view endpointsOf(HttpResponse *response);
/* Appends an address and port as they stand there; the address may be empty. */
void appendEnd(std::string &out, std::string_view packed, int port);

/* Client and server as endpointsOf has them, the client as a trusted proxy says. */
std::string_view endsOf(const Slot &slot);
/* The same for who wants to know of a Unix-domain socket, too: its path is one more word, "unix:" and hexadecimal digits.
 * `room` keeps what has to be put together. */
std::string_view endsWithPathOf(const Slot &slot, std::string &room);

} // namespace sk
#endif
