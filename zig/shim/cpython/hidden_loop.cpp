#include "cpython/hidden_loop.h"

#include "http/callback.h"

namespace sk {

namespace {

/* The loop that really runs, while asyncio believes that none does. */
thread_local Object *hidden_loop = nullptr;
thread_local Object *setter = nullptr;
thread_local bool application_runs = false;

void restoreLoop() {
  if (application_runs) {
    return;
  }
  undo_before_callback = nullptr;
  Ref loop(std::exchange(hidden_loop, nullptr));
  if (!callWith(setter, loop.get())) {
    python.write_unraisable(setter);
  }
}

void hideLoop(Object *get_running_loop, Object *set_running_loop) {
  if (hidden_loop) {
    return;
  }
  Ref loop = callWith(get_running_loop);
  if (loop && loop.get() != python.none && callWith(set_running_loop, python.none)) {
    hidden_loop = loop.release();
    setter = set_running_loop;
    undo_before_callback = restoreLoop;
  }
  if (python.error_occurred()) {
    python.write_unraisable(set_running_loop);
  }
}

} // namespace

LoopHidden::LoopHidden(Object *get_running_loop, Object *set_running_loop) {
  hideLoop(get_running_loop, set_running_loop);
  application_runs = true;
}

LoopHidden::~LoopHidden() { application_runs = false; }

} // namespace sk
