/* What a request says, as Python objects. */
#ifndef SK_CPYTHON_REQUEST_H
#define SK_CPYTHON_REQUEST_H

#include "cpython/api.h"

namespace sk {

/* See SK_PYTHON_METHOD, _URL, _FULL_URL. */
Object *requestMethod(Object *self, Object *const *arguments, ptrdiff_t count);
Object *requestUrl(Object *self, Object *const *arguments, ptrdiff_t count);
Object *requestFullUrl(Object *self, Object *const *arguments, ptrdiff_t count);
/* See SK_PYTHON_HEADER and SK_PYTHON_PARAMETER. */
Object *requestHeader(Object *self, Object *const *arguments, ptrdiff_t count);
Object *requestParameter(Object *self, Object *const *arguments, ptrdiff_t count);
/* All of the body of a request, as bytes, if it is here and nobody asked for it yet, else None. Null with an exception set. */
Ref takeBody(uint32_t handle);
/* See SK_PYTHON_BODY_HERE. */
Object *requestBodyHere(Object *self, Object *const *arguments, ptrdiff_t count);

} // namespace sk
#endif
