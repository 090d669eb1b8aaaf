/* The engine's websockets as the shim uses them, with our own way to send and to end. */
#ifndef SK_WEBSOCKET_WEBSOCKET_H
#define SK_WEBSOCKET_WEBSOCKET_H

#include "http/engine.h"
#include "http/slot_table.h"

#include <string_view>

namespace sk {

/* The engine keeps room for a type of the user's: what is known of a connection is in its slot. */
struct NoUserData {};

using WebSocket = uWS::WebSocket<false, true, NoUserData>;
using WebSocketContext = uWS::WebSocketContext<false, true, NoUserData>;
using WebSocketContextData = uWS::WebSocketContextData<false, NoUserData>;

/* Of a socket that is a websocket. */
inline WebSocketContextData *contextData(us_socket_t *s) {
  return static_cast<WebSocketContextData *>(us_socket_context_ext(0, us_socket_context(0, s)));
}

inline uWS::WebSocketData *webSocketData(WebSocket *socket) {
  return static_cast<uWS::WebSocketData *>(us_socket_ext(0, raw(socket)));
}

inline WebSocket *webSocket(us_socket_t *s) { return reinterpret_cast<WebSocket *>(s); }

inline Slot &slotOf(WebSocket *socket) { return slotAt(us_socket_tag(raw(socket))); }

inline WebSocket *webSocketOf(const Slot &slot) { return static_cast<WebSocket *>(slot.socket); }

} // namespace sk

/* The engine would cut the connection without a word to the peer, and lose a close frame to the backpressure limit. */
template <>
void uWS::WebSocketContext<false, true, sk::NoUserData>::forceClose(uWS::WebSocketState<true> *, void *socket,
                                                                    std::string_view reason);
template <> void uWS::WebSocket<false, true, sk::NoUserData>::end(int code, std::string_view message);
/* The engine's loses the payload when the system takes nothing of a large frame. */
template <>
uWS::WebSocket<false, true, sk::NoUserData>::SendStatus
uWS::WebSocket<false, true, sk::NoUserData>::send(std::string_view message, OpCode opcode, bool compress, bool fin);

#endif
