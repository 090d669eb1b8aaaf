/* Which of asyncio's loops runs, as applications see it that know nothing of loops: none. */
#ifndef SK_CPYTHON_HIDDEN_LOOP_H
#define SK_CPYTHON_HIDDEN_LOOP_H

#include "cpython/api.h"

namespace sk {

/* While an application runs that the loop is hidden from, callbacks included. Afterwards the loop stays hidden until other code of
 * Python is called (see beforeCallback). */
class LoopHidden {
public:
  LoopHidden(Object *get_running_loop, Object *set_running_loop);
  ~LoopHidden();
};

} // namespace sk
#endif
