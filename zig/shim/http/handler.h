/* Who serves the requests of a route. What is in other languages than C is known to its handler alone. */
#ifndef SK_HTTP_HANDLER_H
#define SK_HTTP_HANDLER_H

#include "abi/socketify.h"
#include "http/callback.h"

namespace sk {

class Handler {
public:
  virtual ~Handler() = default;
  /* Returns 0 when it took the request and SK_PASSED_ON to pass it on to the next matching route. */
  virtual int32_t handle(uint32_t handle) = 0;
};

/* A function of C. */
class FunctionHandler final : public Handler {
public:
  explicit FunctionHandler(sk_request_fn function) : function(function) {}

  int32_t handle(uint32_t handle) override {
    beforeCallback();
    int32_t receipt = nextReceipt();
    int32_t result = function(handle, receipt);
    if (result == receipt || result == receipt + SK_PASSED_ON) {
      return result - receipt;
    }
    sk_res_fail(handle);
    return 0;
  }

private:
  sk_request_fn function;
};

} // namespace sk
#endif
