#include "cpython/request.h"

#include "http/ascii.h"
#include "http/body.h"
#include "http/engine.h"
#include "http/slot_table.h"

#include <algorithm>
#include <string>

namespace sk {

namespace {

Object *setRequestIsOver() {
  python.set_error(python.runtime_error, SK_REQUEST_IS_GONE);
  return nullptr;
}

/* Null when an exception is set. */
uWS::HttpRequest *requestOf(Object *handle) {
  uint32_t number;
  if (!take(handle, number)) {
    return nullptr;
  }
  uWS::HttpRequest *request = findRequest(number);
  if (!request) {
    setRequestIsOver();
  }
  return request;
}

template <std::string_view (*part)(uWS::HttpRequest &)> Object *textOf(Object *const *arguments, ptrdiff_t count) {
  uWS::HttpRequest *request = counts(count, 1) ? requestOf(arguments[0]) : nullptr;
  return request ? newLatin1(part(*request)).release() : nullptr;
}

std::string_view methodOf(uWS::HttpRequest &request) { return request.rawMethod(); }
std::string_view urlOf(uWS::HttpRequest &request) { return request.getUrl(); }
std::string_view fullUrlOf(uWS::HttpRequest &request) { return request.getFullUrl(); }

} // namespace

Object *requestMethod(Object *, Object *const *arguments, ptrdiff_t count) { return textOf<methodOf>(arguments, count); }
Object *requestUrl(Object *, Object *const *arguments, ptrdiff_t count) { return textOf<urlOf>(arguments, count); }
Object *requestFullUrl(Object *, Object *const *arguments, ptrdiff_t count) { return textOf<fullUrlOf>(arguments, count); }

Object *requestHeader(Object *, Object *const *arguments, ptrdiff_t count) {
  std::string_view name;
  uWS::HttpRequest *request = counts(count, 2) ? requestOf(arguments[0]) : nullptr;
  if (!request || !takeText(arguments[1], name)) {
    return nullptr;
  }
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), toLower);
  std::string_view value = request->header(lower);
  return value.data() ? newLatin1(value).release() : newNone();
}

Object *requestParameter(Object *, Object *const *arguments, ptrdiff_t count) {
  int32_t index;
  uWS::HttpRequest *request = counts(count, 2) ? requestOf(arguments[0]) : nullptr;
  if (!request || !take(arguments[1], index)) {
    return nullptr;
  }
  if (index < 0 || index >= request->parameterCount()) {
    return newNone();
  }
  return newLatin1(request->getParameter(static_cast<unsigned short>(index))).release();
}

Object *requestBodyHere(Object *, Object *const *arguments, ptrdiff_t count) {
  uint32_t handle;
  if (!counts(count, 1) || !take(arguments[0], handle)) {
    return nullptr;
  }
  return takeBody(handle).release();
}

Ref takeBody(uint32_t handle) {
  Slot *slot = findHttpSlot(handle);
  std::optional<std::string_view> here = slot ? takeBodyHere(*slot) : std::nullopt;
  if (!here) {
    return Ref::borrowed(python.none);
  }
  /* A copy at once: the collector may run finalizers, which may close the connection. */
  Ref body = newBytes(*here);
  if (Slot *still = findHttpSlot(handle)) {
    dropBody(*still);
  }
  return body;
}

} // namespace sk
