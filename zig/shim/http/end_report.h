/* The ends of responses, for whoever follows them in Python: noted as they happen, and handed over many at a time. */
#ifndef SK_HTTP_END_REPORT_H
#define SK_HTTP_END_REPORT_H

#include "abi/socketify.h"

#include <vector>

namespace sk {

class EndReport {
public:
  explicit EndReport(sk_ends_fn callback) : callback(callback) {}

  void add(uint32_t handle, int status, bool aborted);
  /* Hands over what waits. */
  void flush();

private:
  sk_ends_fn callback;
  std::vector<sk_response_end> ends;
};

} // namespace sk
#endif
