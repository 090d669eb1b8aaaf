/* The native loop's turns in the place of asyncio's own waiting. */
#ifndef SK_CPYTHON_WAIT_H
#define SK_CPYTHON_WAIT_H

#include "cpython/api.h"

namespace sk {

/* A turn of the native loop in a context; false when an exception is set. */
bool pumpIn(Object *context);
/* SK_PYTHON_WAIT */
Object *waitForAsyncio(Object *self, Object *const *arguments, ptrdiff_t count);

} // namespace sk
#endif
