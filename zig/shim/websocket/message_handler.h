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

/* A function of C. */
class FunctionMessages final : public MessageHandler {
public:
  explicit FunctionMessages(sk_ws_message_fn function) : function(function) {}

  void handle(const Slot &slot, std::string_view message, int opcode) override {
    beforeCallback();
    /* Where Python reads it without asking for an address. */
    if (message.length() <= SK_WS_SCRATCH_BYTES) {
      toScratch(message);
    }
    uint32_t handle = handleOf(slot);
    int32_t receipt = nextReceipt();
    if (function(handle, message.data(), message.length(), opcode, receipt) != receipt) {
      sk_ws_end(handle, SK_WS_CODE_INTERNAL_ERROR, nullptr, 0);
    }
  }

private:
  sk_ws_message_fn function;
};

} // namespace sk
#endif
