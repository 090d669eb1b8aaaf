/* Which of asyncio's loops runs, as applications see it that know nothing of loops: none. */
#ifndef SK_PYTHON_LOOP_H
#define SK_PYTHON_LOOP_H

#include "cpython/api.h"

namespace sk {

/* The loop that runs in truth, while asyncio is told that none does. */
extern thread_local Object *hidden_loop;

void hideLoop(Object *get_running_loop, Object *set_running_loop);
void restoreLoop();

/* Before code of Python is called that may ask for the loop; and when the native loop is done. Hiding and showing it for each of
 * many requests would take longer than what is between. */
inline void showLoop() {
  if (hidden_loop) {
    restoreLoop();
  }
}

/* While an application runs that the loop is hidden from; whatever it makes the shim call is its own business. */
class LoopHidden {
public:
  LoopHidden(Object *get_running_loop, Object *set_running_loop);
  ~LoopHidden();
};

} // namespace sk
#endif
