/* Heads on streams of HTTP/2. A stream is a connection that has one request, and closes after its response. */
#ifndef SK_HTTP2_STREAM_H
#define SK_HTTP2_STREAM_H

#include "http/head.h"

#include <string_view>

namespace sk {

/* The head of a response, as writeHead has decided about it. */
void writeStreamHead(Slot &slot, const Head &head, const HeadFacts &facts, Framing framing, uint64_t length);
/* Any head. */
void writeStreamFields(Slot &slot, int status, const FieldList &fields);
/* An interim response, which leaves before the handler goes on. */
void writeStreamInterim(Slot &slot, int status, const Head &fields);
/* A whole response of which nothing but its status is to be said: "404 Not Found". */
void writeStreamPage(Slot &slot, std::string_view status);

/* Fields behind the body, which leave when all of that has. */
void keepTrailers(Slot &slot, const Head &fields);
/* All of the body has left. */
void sendKeptTrailers(const Slot &slot);

} // namespace sk
#endif
