#include "cpython/handler.h"

namespace sk {

int32_t ObjectHandler::handle(uint32_t handle) {
  beforeCallback();
  /* The app, and this with it, may end while it runs. */
  Ref callable = Ref::borrowed(object);
  Ref number(python.from_unsigned_long(handle));
  Ref result = number ? callWith(callable.get(), number.get()) : Ref();
  int32_t passed_on = 0;
  if (!result || !take(result.get(), passed_on)) {
    python.write_unraisable(callable.get());
    failRequest(handle);
    return 0;
  }
  return passed_on;
}

void failRequest(uint32_t handle) {
  RaisedError error;
  sk_res_fail(handle);
  error.restore();
}

} // namespace sk
