/* Frames on their way out. */
#ifndef SK_WEBSOCKET_FRAME_H
#define SK_WEBSOCKET_FRAME_H

#include "websocket/websocket.h"

#include <string_view>

namespace sk {

/* Whether no further message may be sent, because the client reads too slowly. */
bool isOverLimit(WebSocket *socket, const WebSocketContextData &context);

/* A whole frame as one or two pieces: what the system does not take waits in memory. */
WebSocket::SendStatus sendFrame(WebSocket *socket, const WebSocketContextData &context, std::string_view header,
                                std::string_view payload);

constexpr size_t FRAME_HEADER_MAX = 10;

/* The header of a frame, written into that room. */
std::string_view frameHeader(char (&room)[FRAME_HEADER_MAX], size_t length, int opcode, bool compressed, bool fin);

} // namespace sk
#endif
