/* Coroutines, stepped without the exception that announces their end to Python code. */
#ifndef SK_CPYTHON_COROUTINE_H
#define SK_CPYTHON_COROUTINE_H

#include "cpython/api.h"

namespace sk {

enum class Step { Finished, Failed, Waits };

/* The outcome of a step of a coroutine. */
struct Stepped {
  Step outcome;
  /* When it waits: what for, and the context it runs in. */
  Ref yielded;
  Ref context;
};

/* PySendResult. */
constexpr int SEND_RETURN = 0;
constexpr int SEND_ERROR = -1;
constexpr int SEND_NEXT = 1;

/* Raises what a method throw(exception) or throw(type, value, traceback) was given. Returns null. */
Object *raiseThrown(Object *const *arguments, ptrdiff_t count);

/* Begins a coroutine, in the name of a task of an event loop and in a copy of the current context. When it failed, the
 * exception is set. */
Stepped begin(Object *loop, Object *task, Object *coroutine);

/* begin(loop, task, coroutine): None when it finished, else (what it waits for, its context). */
Object *beginCoroutine(Object *self, Object *const *arguments, ptrdiff_t count);

/* A new reference to an awaitable, also a coroutine as collections.abc has it, that has finished with None. */
Object *newFinished();

/* Once, after the C API was loaded. */
void prepareCoroutines();

} // namespace sk
#endif
