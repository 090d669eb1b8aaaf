/* WebSocket routes: each has a context of the engine's, and what Python said about it. */
#ifndef SK_WEBSOCKET_ROUTE_H
#define SK_WEBSOCKET_ROUTE_H

#include "abi/socketify.h"
#include "http/handler.h"
#include "http/metrics.h"
#include "websocket/message_handler.h"
#include "websocket/websocket.h"

#include <memory>
#include <unordered_map>
#include <vector>

namespace sk {

struct WebSocketRoute {
  App *app;
  WebSocketContext *context;
  sk_ws_behavior behavior;
  /* Null to upgrade every valid request at once. */
  std::unique_ptr<Handler> on_upgrade;
  std::unique_ptr<MessageHandler> on_message;
  /* Published messages that wait for the last fragment of another message, by slot. */
  std::unordered_map<uint32_t, std::vector<uWS::TopicTreeMessage>> deferred;
  RouteLabel label;

  WebSocketContextData *data() { return context->getExt(); }
};

/* A new route, or nullptr when memory is exhausted. */
WebSocketRoute *createWebSocketRoute(App &app, const sk_ws_behavior &behavior, std::unique_ptr<Handler> on_upgrade,
                                     std::unique_ptr<MessageHandler> on_message);
/* Ends all websockets of an app with 1001. */
void endAllWebSockets(App &app);
/* Closes those whose close frame has left, whether their peers answered it or not. */
void closeEndedWebSockets(App &app);

} // namespace sk
#endif
