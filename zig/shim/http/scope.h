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

/* SK_SCOPE_*. */
int scopeFlags(const Slot &slot, const uWS::HttpRequest &request, std::string_view path);

} // namespace sk
#endif
