/* ASGI without Python between the socket and the application, where the body of a request is here as a whole, if it has one, and
 * its response is one start and one body message: scope, receive and send. All else is for the Python class that takes over. */
#ifndef SK_CPYTHON_ASGI_H
#define SK_CPYTHON_ASGI_H

#include "cpython/api.h"

namespace sk {

/* See SK_PYTHON_ASGI_REQUEST. */
Object *asgiRequest(Object *self, Object *const *arguments, ptrdiff_t count);
/* See SK_PYTHON_ASGI_RECEIVE. */
Object *asgiReceive(Object *self, Object *const *arguments, ptrdiff_t count);

/* Once, after the C API was loaded. */
void prepareAsgi();

} // namespace sk
#endif
