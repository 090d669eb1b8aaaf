/* Calls between CPython and the shim without ctypes between: handlers are called, and responses sent, through the C API of
 * the interpreter that runs. Its functions come by address, so that no header and no library of it is needed. */
#ifndef SK_PYTHON_CALLS_H
#define SK_PYTHON_CALLS_H

#include "abi/socketify.h"
#include "cpython/hidden_loop.h"

namespace sk {

/* Handles requests by itself, with the application it calls. */
struct NativeHandler {
  virtual ~NativeHandler() = default;
  virtual int32_t handle(uint32_t handle) = 0;
};

/* Who handles the requests of a route: a C function, an object that CPython calls, or the shim. */
struct RequestHandler {
  sk_request_fn function = nullptr;
  const void *object = nullptr;
  NativeHandler *native = nullptr;

  /* As sk_request_fn. An object's error is reported as unraisable, and the request counts as taken. */
  int32_t operator()(uint32_t handle) const;
};

} // namespace sk
#endif
