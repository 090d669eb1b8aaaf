/* Requests for handlers in Python: a response and a request from a pair that is kept for the next one, and `Response.end`. */
#ifndef SK_PYTHON_EXCHANGE_H
#define SK_PYTHON_EXCHANGE_H

#include "cpython/api.h"
#include "cpython/handler.h"

namespace sk {

/* Calls handler(response, request) without Python between. Only where objects begin with their reference count. */
class ExchangeHandler final : public Handler {
public:
  explicit ExchangeHandler(const sk_exchange_handler &given) : given(given) {}

  int32_t handle(uint32_t handle) override;

private:
  /* False when it cannot be made; that was reported. */
  bool havePair();
  Ref callHandler(uint32_t handle, Object *response, Object *request);
  int32_t finish(uint32_t handle, Object *response, Object *request, Ref result);
  void keepPair(Object *response, Object *request, bool are_ours);

  sk_exchange_handler given;
  bool busy = false;
};

/* A new reference to the method `end` for a type of responses, or null with an exception set. */
Object *newEndMethod(const sk_exchange_python &facts, Object *type);

} // namespace sk
#endif
