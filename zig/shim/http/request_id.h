/* What a request is called in the logs of everybody who had to do with it. */
#ifndef SK_HTTP_REQUEST_ID_H
#define SK_HTTP_REQUEST_ID_H

#include <string>
#include <string_view>

namespace sk {

/* Whether a name that somebody else gave is taken over: up to 128 visible characters that mean nothing in a log. */
bool isRequestId(std::string_view text);
/* Another one at each call: 32 hexadecimal digits. */
void makeRequestId(std::string &out);

} // namespace sk
#endif
