/* What a task goes through whose coroutine was begun elsewhere: every step goes from the task to the coroutine, and back, without
 * Python between. */
#ifndef SK_CPYTHON_CONTINUATION_H
#define SK_CPYTHON_CONTINUATION_H

#include "cpython/api.h"

namespace sk {

/* A new reference to a type derived from the class of Python, or null with an exception set. Once. */
Object *newContinuationType(const sk_continuation_python &facts);

/* The task in whose name a runner, a list of SK_RUNNER_ITEMS, begins its next coroutine; the program may change the list and its
 * items. Without a result an exception is set. */
Ref prepareTask(Object *runner);
/* Lets a coroutine go on in the task that it was begun in the name of, and returns that. `waits` is a tuple of what it waits for
 * and its context. Likewise. */
Ref carryOn(Object *runner, Object *coroutine, Object *waits, Object *report, Object *finish);
/* prepare_task(runner), carry_on(runner, coroutine, waits, report, finish) */
Object *prepareTaskOf(Object *self, Object *const *arguments, ptrdiff_t count);
Object *carryOnIn(Object *self, Object *const *arguments, ptrdiff_t count);

} // namespace sk
#endif
