/* The life of websocket connections: events of the engine's contexts on their way to the handlers, and closing. */
#ifndef SK_WEBSOCKET_CONNECTION_H
#define SK_WEBSOCKET_CONNECTION_H

#include "websocket/deflate.h"
#include "websocket/route.h"

#include <string_view>

namespace sk {

/* Registers the handlers of a route's connections. */
void handleWebSockets(WebSocketRoute &route);
/* Makes the slot's HTTP connection a websocket; the new handle, or 0 when memory is exhausted. */
uint32_t adoptWebSocket(Slot &slot, WebSocketRoute &route, const Deflate &deflate);
/* Reports that a websocket is closed, once: its handle is stale from now on. */
void announceClose(WebSocket *socket, int code, std::string_view reason);

} // namespace sk
#endif
