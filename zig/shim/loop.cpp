/* The thread's event loop, driven by a descriptor. */
#include "engine.h"
#include "socketify.h"
#include "websocket.h"

#include <memory>
#include <utility>

namespace {

thread_local std::unique_ptr<char[]> scratch;
thread_local bool pumping = false;

} // namespace

uint32_t sk_abi_version() { return SK_ABI_VERSION; }

int32_t sk_backend() { return us_backend(); }

int32_t sk_backend_refusal() { return us_backend_refusal(); }

int32_t sk_loop_backend() { return us_loop_backend(sk::currentLoop()); }

int32_t sk_loop_fd() { return us_loop_fd(sk::currentLoop()); }

bool sk::loopIsPumping() { return pumping; }

int32_t sk_loop_pump() {
  if (pumping) {
    return SK_BUSY;
  }
  pumping = true;
  us_loop_pump(sk::currentLoop());
  sk::showLoop();
  pumping = false;
  return SK_OK;
}

char *sk_loop_scratch() {
  if (!scratch) {
    /* Its pages are the system's until something is written there. */
    scratch.reset(new char[SK_SCRATCH_BYTES]);
  }
  return scratch.get();
}

void sk_loop_forget() {
  /* The timers and sockets of the old loop are the parent's: only our copies of its descriptors are closed. */
  if (uWS::Loop *inherited = std::exchange(uWS::Loop::getLazyLoop().loop, nullptr)) {
    us_loop_forget(reinterpret_cast<us_loop_t *>(inherited));
  }
  pumping = false;
}

void sk_loop_free() {
  uWS::Loop::get()->free();
  scratch.reset();
}
