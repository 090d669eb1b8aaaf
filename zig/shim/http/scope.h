/* What sk_req_scope says of a request, for those who make Python objects of it. */
#ifndef SK_HTTP_SCOPE_H
#define SK_HTTP_SCOPE_H

#include "http/engine.h"
#include "http/slot_table.h"

#include <string>
#include <string_view>

namespace sk {

struct Target {
  std::string_view path;
  std::string_view query;
};

Target targetOf(uWS::HttpRequest &request);

/* The target as it was sent. */
std::string sentTargetOf(const uWS::HttpRequest &request);

/* Whether a path has escapes, or bytes outside ASCII. */
bool isEncoded(std::string_view path);

/* As urllib.parse.unquote_to_bytes: what is no escape stays. */
std::string unescaped(std::string_view text);

/* Whether a path, without escapes, is that of a mount point or below it: a proxy in front may have taken that off. */
bool isBelow(std::string_view path, std::string_view root);

/* SK_SCOPE_*. */
int scopeFlags(const Slot &slot, const uWS::HttpRequest &request, std::string_view path);

} // namespace sk
#endif
