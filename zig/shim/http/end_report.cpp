#include "http/end_report.h"

#include "http/clock.h"

#include <utility>

namespace sk {

void EndReport::add(uint32_t handle, int status, bool aborted) {
  bool first = ends.empty();
  ends.push_back({handle, status, aborted, 0, wallClockNs()});
  if (first) {
    callback(nullptr, 0);
  }
}

void EndReport::flush() {
  if (!ends.empty()) {
    /* The callback may end something. */
    std::vector<sk_response_end> taken = std::move(ends);
    ends.clear();
    callback(taken.data(), taken.size());
  }
}

} // namespace sk
