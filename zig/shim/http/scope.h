/* What sk_req_scope says of a request, for those who make Python objects of it. */
#ifndef SK_SCOPE_H
#define SK_SCOPE_H

#include "http/engine.h"
#include "http/slot_table.h"

#include <string>
#include <string_view>

namespace sk {

/* Of an IPv6 address. */
constexpr int ADDRESS_BYTES_MAX = 16;

struct Target {
  std::string_view path;
  std::string_view query;
};

Target targetOf(uWS::HttpRequest &request);

/* The target as it was sent. */
std::string sentTargetOf(const uWS::HttpRequest &request);

/* Whether a path has escapes, or bytes outside ASCII. */
bool isEncoded(std::string_view path);

/* SK_SCOPE_*. */
int scopeFlags(const Slot &slot, const uWS::HttpRequest &request, std::string_view path);

/* Client and server as text (see endpointsOf), the client as a trusted proxy says. */
std::string_view endsOf(const Slot &slot);
/* The same for who wants to know of a Unix-domain socket, too: its path is one more word, LOCAL_PATH and hexadecimal digits.
 * `room` keeps what has to be put together. */
std::string_view endsWithPathOf(const Slot &slot, std::string &room);

} // namespace sk
#endif
