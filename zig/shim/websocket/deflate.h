/* permessage-deflate (RFC 7692): the zlib behind it, and its negotiation. */
#ifndef SK_WEBSOCKET_DEFLATE_H
#define SK_WEBSOCKET_DEFLATE_H

#include "http/engine.h"

#include <string>
#include <string_view>

namespace sk {

/* Finds zlib in the process or the system; `path` (NUL-terminated, may be NULL) is tried too. False when there is none. */
bool loadZlib(const char *path);
/* The streams that connections without their own share. */
void prepareSharedStreams();

/* What was agreed on. */
struct Deflate {
  bool agreed = false;
  /* Our compressor begins every message anew. */
  bool forgets = false;
  uWS::CompressOptions options = uWS::CompressOptions::DISABLED;
  /* The value of the answer's Sec-WebSocket-Extensions. */
  std::string answer;
};

/* The first offer that can be accepted with what the route wants. */
Deflate negotiateDeflate(uWS::CompressOptions wanted, std::string_view offers);

} // namespace sk
#endif
