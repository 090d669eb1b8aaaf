#include "http/loop.h"

#include "abi/socketify.h"
#include "http/callback.h"
#include "http/engine.h"
#include "http/memory.h"

#include <cerrno>
#include <cstring>
#include <utility>

namespace sk {

namespace {

/* As the engine's own loop has it. */
constexpr int DATE_TIMER_MS = 1000;

thread_local bool pumping = false;

} // namespace

/* What uWS::Loop::get does, which takes for granted that there is a loop. */
int32_t openLoop() {
  auto &lazy = uWS::Loop::getLazyLoop();
  if (lazy.loop) {
    return SK_OK;
  }
  keepReserve();
  us_loop_t *made = us_create_loop(nullptr, uWS::Loop::wakeupCb, uWS::Loop::preCb, uWS::Loop::postCb, sizeof(uWS::LoopData));
  if (!made) {
    return -errno;
  }
  us_timer_t *timer = us_create_timer(made, 1, sizeof(uWS::LoopData *));
  if (!timer) {
    us_loop_free(made);
    return -ENOMEM;
  }
  auto *loop = reinterpret_cast<uWS::Loop *>(made)->init();
  auto *data = static_cast<uWS::LoopData *>(us_loop_ext(made));
  data->dateTimer = timer;
  memcpy(us_timer_ext(timer), &data, sizeof(data));
  auto update = [](us_timer_t *each) {
    uWS::LoopData *of;
    memcpy(&of, us_timer_ext(each), sizeof(of));
    of->updateDate();
  };
  us_timer_set(timer, update, DATE_TIMER_MS, DATE_TIMER_MS);
  lazy.loop = loop;
  lazy.cleanMe = true;
  return SK_OK;
}

int32_t pumpLoop() {
  if (pumping || openLoop() != SK_OK) {
    return SK_BUSY;
  }
  pumping = true;
  us_loop_pump(currentLoop());
  keepReserve();
  beforeCallback();
  pumping = false;
  return SK_OK;
}

bool leadLoop(int fd) { return openLoop() == SK_OK && us_loop_lead(currentLoop(), fd) == 0; }

void followLoop() { us_loop_follow(currentLoop()); }

int waitLoop(int timeout_ms) { return us_loop_wait(currentLoop(), timeout_ms); }

bool loopIsPumping() { return pumping; }

bool loopLeads() { return us_loop_leads(currentLoop()) != 0; }

void forgetLoop() {
  /* The timers and sockets of the old loop are the parent's: only our copies of its descriptors are closed. */
  if (uWS::Loop *inherited = std::exchange(uWS::Loop::getLazyLoop().loop, nullptr)) {
    us_loop_forget(reinterpret_cast<us_loop_t *>(inherited));
  }
  pumping = false;
}

} // namespace sk
