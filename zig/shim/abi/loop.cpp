/* sk_loop_*, sk_backend*: the thread's event loop, and what watches its descriptors. */
#include "http/loop.h"

#include "abi/socketify.h"
#include "http/engine.h"
#include "http/scratch.h"

namespace sk {

extern "C" {

int32_t sk_backend() { return us_backend(); }

int32_t sk_backend_refusal() { return us_backend_refusal(); }

int32_t sk_loop_backend() {
  int32_t opened = openLoop();
  return opened == SK_OK ? us_loop_backend(currentLoop()) : opened;
}

int32_t sk_loop_open() { return openLoop(); }

int32_t sk_loop_fd() {
  int32_t opened = openLoop();
  return opened == SK_OK ? us_loop_fd(currentLoop()) : opened;
}

int32_t sk_loop_pump() { return pumpLoop(); }

int32_t sk_loop_lead(int32_t fd) { return leadLoop(fd); }

void sk_loop_follow() { followLoop(); }

char *sk_loop_scratch() { return scratchBuffer(); }

void sk_loop_forget() { forgetLoop(); }

} // extern "C"

} // namespace sk
