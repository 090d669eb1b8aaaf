/* What the functions of send.h do, for apps that compress: content goes through a coder, large content piece by piece, one in each
 * turn of the loop, so that others have their turns. The results are the same. */
#ifndef SK_HTTP_CODED_RESPONSE_H
#define SK_HTTP_CODED_RESPONSE_H

#include "http/head.h"

#include <string_view>

namespace sk {

int32_t codeResponse(Slot &slot, const Head &head, std::string_view body, int32_t flags);
int32_t codePiece(Slot &slot, const Head &head, std::string_view data, int32_t flags);
int32_t codeTrailers(Slot &slot, const Head &fields);
/* sk_res_try_end: it takes no more than one piece. */
int32_t codeTried(Slot &slot, const Head &head, std::string_view data, uint64_t total_length, int32_t flags);
/* sk_res_want_writable. */
void wantWritable(Slot &slot);
/* Content of the response that its coder did not get yet. */
size_t uncodedBytes(const Slot &slot);

} // namespace sk
#endif
