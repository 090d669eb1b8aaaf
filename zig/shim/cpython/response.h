/* Whole responses whose head is passed as Python has it. */
#ifndef SK_CPYTHON_RESPONSE_H
#define SK_CPYTHON_RESPONSE_H

#include "cpython/api.h"

namespace sk {

/* See SK_PYTHON_SEND_WITH. */
Object *sendWith(Object *self, Object *const *arguments, ptrdiff_t count);

} // namespace sk
#endif
