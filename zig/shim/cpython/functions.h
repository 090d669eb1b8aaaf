/* Functions for Python code that CPython calls without ctypes between. */
#ifndef SK_CPYTHON_FUNCTIONS_H
#define SK_CPYTHON_FUNCTIONS_H

#include "cpython/api.h"

namespace sk {

/* A new reference to one of SK_PYTHON_*, or null with an exception set. */
Object *newFunction(int32_t which, Object *self);

} // namespace sk
#endif
