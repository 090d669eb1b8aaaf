/* Requests for handlers in Python: a response and a request that are kept for the next one, and `Response.end`. */
#ifndef SK_CPYTHON_EXCHANGE_H
#define SK_CPYTHON_EXCHANGE_H

#include "cpython/api.h"
#include "cpython/handler.h"

namespace sk {

/* Calls handler(response, request) without Python between. Only where reference counts are known. */
class ExchangeHandler final : public Handler {
public:
  explicit ExchangeHandler(const sk_exchange_handler &given) : given(given) {}

  int32_t handle(uint32_t handle) override;

private:
  struct Objects {
    Ref response, request, exchange;
  };

  /* False when they cannot be made; that was reported. */
  bool haveSpare();
  template <bool at_once> Ref callHandler(uint32_t handle, const Objects &objects);
  template <bool at_once> int32_t conclude(uint32_t handle, const Objects &objects, Ref result);
  template <bool at_once> int32_t serve(uint32_t handle);
  template <bool at_once> void keep(const Objects &objects, bool are_ours);

  sk_exchange_handler given;
  bool busy = false;
};

/* A new reference to the method `end` for a type of responses, or null with an exception set. */
Object *newEndMethod(const sk_exchange_python &facts, Object *type);

} // namespace sk
#endif
