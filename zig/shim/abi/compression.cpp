/* sk_app_compress, and what belongs to it. */
#include "http/compression.h"

#include "abi/socketify.h"
#include "http/app.h"

#include <cassert>

namespace sk {

extern "C" {

void sk_app_compress(sk_app *app, uint64_t minimum_size, sk_plan_fn plan, sk_code_fn code) {
  assert(plan && code);
  app->compression = std::make_unique<Compression>(minimum_size, plan, code);
}

int32_t sk_compression_output(const char *data, size_t length) { return CoderOutput::append({data, length}) ? SK_OK : SK_BUSY; }

int32_t sk_res_compress(uint32_t handle, int32_t may_compress) {
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  if (slot->flags & HEAD_SENT) {
    return SK_BUSY;
  }
  if (slot->app->compression) {
    slot->app->compression->coding(*slot)->is_off = !may_compress;
  }
  return SK_OK;
}

} // extern "C"

} // namespace sk
