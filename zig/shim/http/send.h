/* Whole responses, and pieces of bodies. The results are those of socketify.h: SK_OK, SK_BUFFERED and so on. */
#ifndef SK_HTTP_SEND_H
#define SK_HTTP_SEND_H

#include "http/head.h"

#include <string_view>

namespace sk {

/* A whole response, or the rest of one whose head is out. */
int32_t sendResponse(Slot &slot, const Head &head, std::string_view body, int32_t flags);
/* A piece of a body that goes on. */
int32_t sendPiece(Slot &slot, const Head &head, std::string_view data, int32_t flags);
/* What fits of a body of a known length, see sk_res_try_end. */
int32_t tryEnd(Slot &slot, const Head &head, std::string_view data, uint64_t total_length, int32_t flags);
/* The end of a response whose head is out, with fields behind its body where it is chunked. */
int32_t sendTrailers(Slot &slot, const Head &fields);
/* 100 (Continue): the client shall send its body. */
int32_t sendContinue(Slot &slot);
/* 103 (Early Hints). */
int32_t sendEarlyHints(Slot &slot, const Head &fields);

} // namespace sk
#endif
