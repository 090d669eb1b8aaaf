/* Who gets the messages of a route's websockets. */
#ifndef SK_WEBSOCKET_MESSAGE_HANDLER_H
#define SK_WEBSOCKET_MESSAGE_HANDLER_H

#include "abi/socketify.h"
#include "http/callback.h"
#include "http/scratch.h"
#include "http/slot_table.h"

#include <string_view>

namespace sk {

class MessageHandler {
public:
  virtual ~MessageHandler() = default;
  virtual void handle(const Slot &slot, std::string_view message, int opcode) = 0;
};

/* Short messages lie in the scratch buffer, where Python reads them without asking for an address. */
inline void callWithMessage(sk_ws_message_fn callback, const Slot &slot, std::string_view message, int opcode) {
  beforeCallback();
  if (message.length() <= SK_WS_SCRATCH_BYTES) {
    toScratch(message);
  }
  callback(handleOf(slot), message.data(), message.length(), opcode);
}

/* A function of C. */
class FunctionMessages final : public MessageHandler {
public:
  explicit FunctionMessages(sk_ws_message_fn function) : function(function) {}

  void handle(const Slot &slot, std::string_view message, int opcode) override { callWithMessage(function, slot, message, opcode); }

private:
  sk_ws_message_fn function;
};

} // namespace sk
#endif
