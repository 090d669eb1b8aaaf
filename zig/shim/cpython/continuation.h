/* What a task goes through whose coroutine was begun elsewhere: every step goes from the task to the coroutine, and back, without
 * Python between. */
#ifndef SK_CPYTHON_CONTINUATION_H
#define SK_CPYTHON_CONTINUATION_H

#include "cpython/api.h"

namespace sk {

/* A new reference to a type derived from the class of Python, or null with an exception set. Once. */
Object *newContinuationType(const sk_continuation_python &facts);

} // namespace sk
#endif
