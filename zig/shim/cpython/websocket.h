/* Messages of websockets between the engine and CPython: to the handlers, and what they send back. */
#ifndef SK_CPYTHON_WEBSOCKET_H
#define SK_CPYTHON_WEBSOCKET_H

#include "cpython/api.h"
#include "websocket/message_handler.h"

namespace sk {

/* Hands a message, as str for TEXT and else as bytes, to on_message_handler or, in whatever state that could not take it now, to
 * on_message_object. Errors of the latter are reported as unraisable. The caller keeps the objects alive. */
class ObjectMessages final : public MessageHandler {
public:
  explicit ObjectMessages(const sk_ws_behavior &behavior)
      : on_message_object(behavior.on_message_object), on_message_handler(behavior.on_message_handler),
        on_message_result(behavior.on_message_result) {}

  void handle(const Slot &slot, std::string_view message, int opcode) override;

private:
  void callHandler(uint32_t handle, Ref websocket, Object *message, int opcode) const;

  Object *on_message_object;
  Object *on_message_handler;
  Object *on_message_result;
};

/* See SK_PYTHON_PUBLISH and SK_PYTHON_PUBLISH_FROM. */
Object *publishToAll(Object *self, Object *const *arguments, ptrdiff_t count);
Object *publishFrom(Object *self, Object *const *arguments, ptrdiff_t count);

/* A new reference to the method `send` for a type of websockets, or null with an exception set. */
Object *newSendMethod(const sk_ws_python &facts, Object *type);

} // namespace sk
#endif
