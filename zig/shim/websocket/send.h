/* Messages and fragments of one websocket. The results are those of socketify.h. */
#ifndef SK_WEBSOCKET_SEND_H
#define SK_WEBSOCKET_SEND_H

#include "websocket/websocket.h"

#include <string_view>

namespace sk {

/* Sends a whole message. */
WebSocket::SendStatus sendWhole(WebSocket *socket, std::string_view message, int opcode, bool compress);
/* Sends by the flags of sk_ws_send: a message, a fragment or a control frame. */
int32_t sendByFlags(Slot &slot, std::string_view data, int32_t flags);

} // namespace sk
#endif
