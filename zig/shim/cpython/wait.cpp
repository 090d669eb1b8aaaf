#include "cpython/wait.h"

#include "http/engine.h"
#include "http/loop.h"

#include <algorithm>
#include <chrono>
#include <climits>

namespace sk {

namespace {

using Clock = std::chrono::steady_clock;

/* What time is left of a wait. */
class Patience {
public:
  explicit Patience(int given_ms)
      : whole(given_ms), end(given_ms > 0 ? Clock::now() + std::chrono::milliseconds(given_ms) : Clock::time_point()) {}

  int left_ms() const {
    if (whole <= 0) {
      return whole;
    }
    auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
    return static_cast<int>(std::clamp<int64_t>(left, 0, INT_MAX));
  }

private:
  int whole;
  Clock::time_point end;
};

/* Without the interpreter's lock, also where it does not wait: other threads get it only then as long as asyncio has something to
 * run in each turn. */
int waitUnlocked(int timeout_ms) {
  void *state = python.save_thread();
  int found = waitLoop(timeout_ms);
  python.restore_thread(state);
  return found;
}

/* What asyncio's loop will do, by members that it has in every version of CPython. */
class Plans {
public:
  explicit Plans(Object *given)
      : loop(given), ready(python.get_attribute(given, "_ready")), scheduled(python.get_attribute(given, "_scheduled")),
        timers(*this ? python.length(scheduled.get()) : -1) {}

  /* False when an exception is set. */
  explicit operator bool() const { return ready && scheduled; }

  /* Whether it has something to do that no descriptor tells; -1 when an exception is set. */
  int hasWork() const {
    ptrdiff_t waiting = python.length(ready.get());
    if (waiting != 0) {
      return waiting < 0 ? -1 : 1;
    }
    /* Timers are taken out by the loop alone. */
    if (python.length(scheduled.get()) != timers) {
      return 1;
    }
    Ref stopping(python.get_attribute(loop, "_stopping"));
    return stopping ? python.is_true(stopping.get()) : -1;
  }

private:
  Object *loop;
  Ref ready;
  Ref scheduled;
  ptrdiff_t timers;
};

} // namespace

bool pumpIn(Object *context) {
  if (python.context_enter(context) != 0) {
    return false;
  }
  pumpLoop();
  return python.context_exit(context) == 0;
}

Object *waitForAsyncio(Object *, Object *const *arguments, ptrdiff_t count) {
  int32_t given_ms;
  if (!counts(count, 3) || !take(arguments[2], given_ms)) {
    return nullptr;
  }
  if (loopIsPumping()) {
    return python.from_long(SK_WAIT_BUSY);
  }
  Plans plans(arguments[0]);
  if (!plans) {
    return nullptr;
  }
  Patience patience(given_ms);
  int wait_ms = given_ms;
  long turns = 0;
  while (true) {
    if (!loopLeads()) {
      /* Python gave way meanwhile. */
      return python.from_long(SK_WAIT_PARTNER + SK_WAIT_TURN * turns);
    }
    int found = waitUnlocked(wait_ms);
    if (found & US_OWN_EVENTS) {
      turns++;
      if (!pumpIn(arguments[1])) {
        return nullptr;
      }
    }
    if (found & US_PARTNER_EVENTS) {
      return python.from_long(SK_WAIT_PARTNER + SK_WAIT_TURN * turns);
    }
    /* Their handlers may bring about work. */
    if (python.check_signals() != 0) {
      return nullptr;
    }
    int work = given_ms == 0 ? 1 : plans.hasWork();
    if (work < 0) {
      return nullptr;
    }
    wait_ms = patience.left_ms();
    if (work || wait_ms == 0) {
      return python.from_long(SK_WAIT_TURN * turns);
    }
  }
}

} // namespace sk
