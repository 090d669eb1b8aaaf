/* Calls out of the shim, into the program that it serves. */
#ifndef SK_HTTP_CALLBACK_H
#define SK_HTTP_CALLBACK_H

#include <cstdint>

namespace sk {

/* What has to be undone before the program is called: set by who did it, on the thread of the loop; null for nothing. */
extern constinit thread_local void (*undo_before_callback)();

/* To be called before every callback, and at the end of the native loop's turn. Undoing it earlier, for each of many requests,
 * would take longer than serving them. */
inline void beforeCallback() {
  if (undo_before_callback) {
    undo_before_callback();
  }
}

/* The receipt that a callback returns, or that and SK_PASSED_ON: always other numbers than in the call before, none of them 0, and
 * small ones, of which Python has the objects. */
inline int32_t nextReceipt() {
  static thread_local int32_t last = 0;
  last = last % 250 + 2;
  return last;
}

} // namespace sk
#endif
