/* Stands in for the engine's header of this name: what a client gets when its request is refused. */
#ifndef UWS_HTTP_ERRORS
#define UWS_HTTP_ERRORS

#include <string_view>

namespace uWS {

/* Values match the Zig enum of zig/http/syntax.zig. */
enum HttpError : unsigned int {
  HTTP_ERROR_NONE = 0,
  HTTP_ERROR_400_BAD_REQUEST = 1,
  HTTP_ERROR_431_REQUEST_HEADER_FIELDS_TOO_LARGE = 2,
  HTTP_ERROR_414_URI_TOO_LONG = 3,
  HTTP_ERROR_413_CONTENT_TOO_LARGE = 4,
  HTTP_ERROR_501_NOT_IMPLEMENTED = 5,
  HTTP_ERROR_505_HTTP_VERSION_NOT_SUPPORTED = 6,
  HTTP_ERROR_417_EXPECTATION_FAILED = 7,
  /* Never the parser's, which knows no time. */
  HTTP_ERROR_408_REQUEST_TIMEOUT = 8
};

#define SK_ERROR_RESPONSE(status, length) \
  "HTTP/1.1 " status "\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: " length "\r\n\r\n" status

static const std::string_view httpErrorResponses[] = {
    "",
    SK_ERROR_RESPONSE("400 Bad Request", "15"),
    SK_ERROR_RESPONSE("431 Request Header Fields Too Large", "35"),
    SK_ERROR_RESPONSE("414 URI Too Long", "16"),
    SK_ERROR_RESPONSE("413 Content Too Large", "21"),
    SK_ERROR_RESPONSE("501 Not Implemented", "19"),
    SK_ERROR_RESPONSE("505 HTTP Version Not Supported", "30"),
    SK_ERROR_RESPONSE("417 Expectation Failed", "22"),
    SK_ERROR_RESPONSE("408 Request Timeout", "19"),
};

#undef SK_ERROR_RESPONSE

} // namespace uWS
#endif
