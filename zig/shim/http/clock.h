/* The time that passes, which nobody sets, and what the system takes for the time. */
#ifndef SK_HTTP_CLOCK_H
#define SK_HTTP_CLOCK_H

#include <cstdint>
#include <ctime>

namespace sk {

/* Nanoseconds since some moment. */
inline int64_t monotonicNs() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

/* Nanoseconds since 1970. */
inline int64_t wallClockNs() {
  timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

} // namespace sk
#endif
