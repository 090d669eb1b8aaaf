/* sk_python_*: what CPython and the shim know of each other. */
#include "abi/socketify.h"
#include "cpython/asgi.h"
#include "cpython/continuation.h"
#include "cpython/coroutine.h"
#include "cpython/exchange.h"
#include "cpython/functions.h"
#include "cpython/uv_loop.h"
#include "cpython/websocket.h"

#include <atomic>
#include <cassert>

namespace sk {

namespace {

sk_object *asResult(Object *object) { return static_cast<sk_object *>(const_cast<void *>(object)); }

} // namespace

extern "C" {

int32_t sk_python_claim(int64_t interpreter) {
  static std::atomic<int64_t> owner{-1};
  int64_t nobody = -1;
  return owner.compare_exchange_strong(nobody, interpreter) || nobody == interpreter;
}

void sk_python_load(const sk_python *api) {
  python = *api;
  assert(python.vectorcall && python.new_function && python.none && python.type_error);
  if (python.iterator_send) {
    prepareCoroutines();
    prepareAsgi();
  }
}

sk_object *sk_python_function(int32_t which, sk_object *self) {
  assert(python.new_function && which >= 0 && which < SK_PYTHON_FUNCTIONS);
  return asResult(newFunction(which, self));
}

sk_object *sk_python_websocket(const sk_ws_python *facts, sk_object *type) {
  assert(python.new_method && python.counting);
  return asResult(newSendMethod(*facts, type));
}

sk_object *sk_python_response(const sk_exchange_python *facts, sk_object *type) {
  assert(python.new_method && python.counting);
  return asResult(newEndMethod(*facts, type));
}

void *sk_uv_attach(const sk_uv *uv, const void *context) { return UvLoop::attach(*uv, context); }

void sk_uv_give_way(void *driver) { static_cast<UvLoop *>(driver)->giveWay(); }

void sk_uv_detach(void *driver, int32_t is_closed) { static_cast<UvLoop *>(driver)->detach(is_closed != 0); }

sk_object *sk_python_continuation(const sk_continuation_python *facts) {
  assert(python.iterator_send && python.counting);
  return asResult(newContinuationType(*facts));
}

} // extern "C"

} // namespace sk
