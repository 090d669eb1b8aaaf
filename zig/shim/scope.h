/* What sk_req_scope says of a request, for those who make Python objects of it. */
#ifndef SK_SCOPE_H
#define SK_SCOPE_H

#include "engine.h"
#include "slot_table.h"

#include <string_view>

namespace sk {

struct Target {
  std::string_view path;
  std::string_view query;
};

Target targetOf(uWS::HttpRequest &request);

/* SK_SCOPE_*. */
int scopeFlags(const Slot &slot, const uWS::HttpRequest &request, std::string_view path);

/* Client and server as "host port host port", kept for the connection; only the server's, or empty, without addresses. */
std::string_view endpointsOf(HttpResponse *response);

} // namespace sk
#endif
