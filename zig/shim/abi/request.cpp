/* sk_req_*: what the request says, while its handler runs. */
#include "abi/socketify.h"
#include "http/app.h"
#include "http/scope.h"
#include "http/scratch.h"
#include "proxy/client.h"

namespace sk {

/* sk_req_dump says the most. RFC 9112: each field takes more bytes on the wire than its two lines here, and what is
 * neither target nor field is short. */
static_assert(SK_SCRATCH_BYTES >= 2 * SK_MAX_TARGET_BYTES + SK_MAX_HEADER_BYTES + 65536);
static_assert(SK_MAX_HEADER_COUNT == uWS::HttpHead::MAX_FIELDS);

namespace {

constexpr int32_t HTTP_1_0 = 10, HTTP_1_1 = 11, HTTP_2 = 20;

} // namespace

extern "C" {

int32_t sk_req_method(uint32_t handle) {
  uWS::HttpRequest *request = findRequest(handle);
  return request ? toScratch(request->rawMethod()) : SK_STALE;
}

int32_t sk_req_url(uint32_t handle) {
  uWS::HttpRequest *request = findRequest(handle);
  return request ? toScratch(request->getUrl()) : SK_STALE;
}

int32_t sk_req_full_url(uint32_t handle) {
  uWS::HttpRequest *request = findRequest(handle);
  return request ? toScratch(request->getFullUrl()) : SK_STALE;
}

int32_t sk_req_sent_target(uint32_t handle) {
  uWS::HttpRequest *request = findRequest(handle);
  return request ? toScratch(sentTargetOf(*request)) : SK_STALE;
}

int32_t sk_req_allowed_methods(uint32_t handle) {
  uWS::HttpRequest *request = findRequest(handle);
  return request ? toScratch(slotAt(handle & (SLOT_COUNT - 1)).app->allowedMethods(request)) : SK_STALE;
}

int32_t sk_req_header(uint32_t handle, const char *name, int32_t length) {
  uWS::HttpRequest *request = findRequest(handle);
  if (!request) {
    return SK_STALE;
  }
  std::string_view value = request->header({name, static_cast<size_t>(length)});
  return value.data() ? toScratch(value) : SK_ABSENT;
}

int32_t sk_req_parameter(uint32_t handle, int32_t index) {
  uWS::HttpRequest *request = findRequest(handle);
  if (!request) {
    return SK_STALE;
  }
  if (index < 0 || index >= request->parameterCount()) {
    return SK_ABSENT;
  }
  return toScratch(request->getParameter(static_cast<unsigned short>(index)));
}

int32_t sk_req_is_ancient(uint32_t handle) {
  uWS::HttpRequest *request = findRequest(handle);
  return request ? request->isAncient() : SK_STALE;
}

int32_t sk_req_version(uint32_t handle) {
  uWS::HttpRequest *request = findRequest(handle);
  if (!request) {
    return SK_STALE;
  }
  return request->isAncient() ? HTTP_1_0 : slotAt(handle & (SLOT_COUNT - 1)).stream ? HTTP_2 : HTTP_1_1;
}

int32_t sk_req_is_secure(uint32_t handle) { return findRequest(handle) ? isSecure(slotAt(handle & (SLOT_COUNT - 1))) : SK_STALE; }

int32_t sk_req_dump(uint32_t handle) {
  uWS::HttpRequest *request = findRequest(handle);
  if (!request) {
    return SK_STALE;
  }
  ScratchWriter writer;
  const Slot &slot = slotAt(handle & (SLOT_COUNT - 1));
  writer.number((request->isAncient() ? SK_DUMP_ANCIENT : 0) | (isSecure(slot) ? SK_DUMP_SECURE : 0));
  writer.line(request->rawMethod());
  writer.line(request->getFullUrl());
  int parameters = request->parameterCount();
  writer.number(parameters);
  for (int i = 0; i < parameters; i++) {
    writer.line(request->getParameter(static_cast<unsigned short>(i)));
  }
  for (auto [name, value] : *request) {
    writer.line(name);
    writer.line(value);
  }
  return writer.lengthOfLines();
}

int32_t sk_req_scope(uint32_t handle) {
  uWS::HttpRequest *request = findRequest(handle);
  Slot *slot = findHttpSlot(handle);
  if (!request || !slot) {
    return SK_STALE;
  }
  auto [path, query] = targetOf(*request);
  /* The parts that follow do not say what was sent. */
  bool lone_mark = query.empty() && path.length() < request->getFullUrl().length();
  int sent = request->origin().empty() && !lone_mark ? 0 : SK_SCOPE_SENT_TARGET;
  char flags = static_cast<char>((SK_SCOPE_FLAGS_BASE + (scopeFlags(*slot, *request, path) | sent)) % SK_SCOPE_FLAGS_MODULUS);
  std::string ends;
  ScratchWriter writer;
  std::string_view lines[SK_SCOPE_LINE_FIELDS];
  lines[SK_SCOPE_LINE_FLAGS] = {&flags, 1};
  lines[SK_SCOPE_LINE_METHOD] = request->rawMethod();
  lines[SK_SCOPE_LINE_PATH] = path;
  lines[SK_SCOPE_LINE_QUERY] = query;
  lines[SK_SCOPE_LINE_ENDS] = endsWithPathOf(*slot, ends);
  lines[SK_SCOPE_LINE_PREFIX] = prefixOf(*slot);
  for (std::string_view line : lines) {
    writer.line(line);
  }
  for (auto [name, value] : *request) {
    writer.line(name);
    writer.line(value);
  }
  return writer.lengthOfLines();
}

} // extern "C"

} // namespace sk
