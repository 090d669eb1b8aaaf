/* WebSocket routes and connections. */
#ifndef SK_WEBSOCKET_H
#define SK_WEBSOCKET_H

#include "http/head.h"
#include "websocket/deflate.h"

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sk {

/* Bytes of a topic's name. */
constexpr int32_t TOPIC_MAX = 65535;

/* The engine keeps room for a type of the user's: what is known of a connection is in its slot. */
struct NoUserData {};

using WebSocket = uWS::WebSocket<false, true, NoUserData>;
using WebSocketContext = uWS::WebSocketContext<false, true, NoUserData>;
using WebSocketContextData = uWS::WebSocketContextData<false, NoUserData>;
using TopicTree = uWS::TopicTree<uWS::TopicTreeMessage, uWS::TopicTreeBigMessage>;

/* One route: the engine's context and what Python said about it. */
struct WebSocketRoute {
  App *app;
  WebSocketContext *context;
  sk_ws_behavior behavior;
  /* Published messages that wait for the last fragment of another message, by slot. */
  std::unordered_map<uint32_t, std::vector<uWS::TopicTreeMessage>> deferred;

  WebSocketContextData *data() { return context->getExt(); }
};

/* Of a socket that is a websocket. */
inline WebSocketContextData *contextData(us_socket_t *s) {
  return static_cast<WebSocketContextData *>(us_socket_context_ext(0, us_socket_context(0, s)));
}

inline uWS::WebSocketData *webSocketData(WebSocket *socket) {
  return static_cast<uWS::WebSocketData *>(us_socket_ext(0, raw(socket)));
}

inline Slot &slotOf(WebSocket *socket) { return slotAt(us_socket_tag(raw(socket))); }

inline WebSocket *webSocketOf(const Slot &slot) { return static_cast<WebSocket *>(slot.socket); }

/* ---- The handshake (websocket_upgrade.cpp) */

/* Whether a request is an upgrade to websocket, right or wrong. */
bool asksForWebSocket(const uWS::HttpRequest &request);
/* Checks the handshake and answers it, or asks Python to; false to pass the request on to the next route. */
bool beginUpgrade(Slot &slot, const uWS::HttpRequest &request, WebSocketRoute &route);

enum class UpgradeRefusal { Required, Version, Malformed, Draining };
void refuseUpgrade(Slot &slot, UpgradeRefusal why);

/* ---- Connections (websocket.cpp) */

/* A new route's context, or nullptr when memory is exhausted. */
WebSocketRoute *createWebSocketRoute(App &app, const sk_ws_behavior &behavior);
/* Makes the slot's HTTP connection a websocket; the new handle, or 0 when memory is exhausted. */
uint32_t adoptWebSocket(Slot &slot, WebSocketRoute &route, const Deflate &deflate);
/* Ends all websockets of an app with 1001. */
void endAllWebSockets(App &app);
/* Closes those whose close frame has left, whether their peers answered it or not. */
void closeEndedWebSockets(App &app);
/* The loop runs its handlers now, and will send what is published when they are done. */
bool loopIsPumping();

/* ---- Sending (websocket_send.cpp) */

/* Sends a whole message. */
WebSocket::SendStatus sendWhole(WebSocket *socket, std::string_view message, int opcode, bool compress);
/* What the topic tree keeps of a message until it is sent. */
uWS::TopicTreeMessage framedForAll(std::string_view message, int opcode, bool compress);
/* Sends a published message, or keeps it until the fragments of another one are sent. True when it was dropped because of
 * the backpressure limit. */
bool sendPublished(WebSocket *socket, std::string_view message, int opcode, bool compress);
/* Sends what was published between the fragments of a message. */
void sendDeferred(Slot &slot);
/* Sends one of those that a subscriber gets now; true when it was dropped, and those behind it too. */
bool sendBatched(uWS::Subscriber *subscriber, uWS::TopicTreeMessage &message, bool first, bool last);

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
