/* sk_lend*: bytes that are referred to instead of copied. */
#include "abi/socketify.h"
#include "http/engine.h"

namespace sk {

extern "C" {

/* What Python and the functions called by it lend is what the engine refers to. */
static_assert(SK_LENT_MIN == uWS::BackPressure::HELD_MIN);

void sk_lend_by(const void *retain, const void *release) {
  using Function = void (*)(const void *owner);
  uWS::owners = {reinterpret_cast<Function>(const_cast<void *>(retain)), reinterpret_cast<Function>(const_cast<void *>(release))};
}

void sk_lend(const void *owner, const char *data, size_t length) { uWS::loan = {owner, data, length}; }

} // extern "C"

} // namespace sk
