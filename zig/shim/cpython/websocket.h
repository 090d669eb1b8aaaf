/* Messages of websockets between the engine and CPython: to the handlers, and what they send back. */
#ifndef SK_PYTHON_WEBSOCKET_H
#define SK_PYTHON_WEBSOCKET_H

#include "cpython/api.h"
#include "http/slot_table.h"

namespace sk {

/* Gives a message, as str for TEXT and else as bytes, to the handler or, in whatever state it could not take it now, to
 * on_message_object. Errors of the latter are reported as unraisable. */
void callWithMessage(const sk_ws_behavior &behavior, const Slot &slot, std::string_view message, int opcode);

/* See SK_PYTHON_PUBLISH and SK_PYTHON_PUBLISH_FROM. */
Object *publishToAll(Object *self, Object *const *arguments, ptrdiff_t count);
Object *publishToOthers(Object *self, Object *const *arguments, ptrdiff_t count);

} // namespace sk
#endif
