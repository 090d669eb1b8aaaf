#include "http/lending.h"

#include "abi/socketify.h"

void sk_lend_by(const void *retain, const void *release) {
  using Function = void (*)(const void *owner);
  uWS::owners = {reinterpret_cast<Function>(const_cast<void *>(retain)), reinterpret_cast<Function>(const_cast<void *>(release))};
}

void sk_lend(const void *owner, const char *data, size_t length) { uWS::loan = {owner, data, length}; }
