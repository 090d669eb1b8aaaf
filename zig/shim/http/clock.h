/* The time that passes, which nobody sets, and what the system takes for the time. */
#ifndef SK_HTTP_CLOCK_H
#define SK_HTTP_CLOCK_H

#include "http/engine.h"

#include <cstdint>
#include <ctime>

namespace sk {

/* Nanoseconds since some moment. */
inline int64_t monotonicNs() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

/* The time as of the last tick where the system keeps that, which is enough for what shows seconds. */
#ifdef CLOCK_REALTIME_COARSE
constexpr clockid_t COARSE_WALL_CLOCK = CLOCK_REALTIME_COARSE;
#else
constexpr clockid_t COARSE_WALL_CLOCK = CLOCK_REALTIME;
#endif

/* Nanoseconds since 1970. */
inline int64_t wallClockNs() {
  timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

/* The time of requests, which is read once for each, when it ends. One begins when the loop's turn did, or when the one before it
 * in that turn ended. */
class TurnClock {
public:
  int64_t begun() {
    int64_t turn = us_loop_iteration_number(loop);
    if (turn != last_turn) {
      last_turn = turn;
      last_ns = monotonicNs();
    }
    return last_ns;
  }
  int64_t read() { return last_ns = monotonicNs(); }

private:
  us_loop_t *loop = currentLoop();
  int64_t last_turn = -1, last_ns = 0;
};

} // namespace sk
#endif
