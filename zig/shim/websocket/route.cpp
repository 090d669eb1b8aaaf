#include "websocket/route.h"

#include "http/app.h"
#include "http/memory.h"
#include "websocket/connection.h"
#include "websocket/deflate.h"
#include "websocket/topics.h"

#include <utility>

namespace sk {

namespace {

/* Seconds that the peer gets to close its side after our close frame, and to answer a ping: as the engine has them. */
constexpr unsigned short MARGIN_MIN = 4, MARGIN_MAX = 16;
/* What the engine puts behind a compressed message that was assembled. */
constexpr size_t INFLATE_PADDING = 9;

std::pair<unsigned short, unsigned short> idleTimeouts(const sk_ws_behavior &behavior) {
  auto idle = static_cast<unsigned short>(behavior.idle_timeout_s);
  unsigned short margin = MARGIN_MIN;
  while (margin < MARGIN_MAX && idle >= 4 * margin) {
    margin = static_cast<unsigned short>(margin * 2);
  }
  bool pings = idle && behavior.send_pings_automatically;
  return {static_cast<unsigned short>(idle - (pings ? margin : 0)), margin};
}

void setUp(WebSocketRoute &route) {
  const sk_ws_behavior &behavior = route.behavior;
  WebSocketContextData *data = route.data();
  data->maxPayloadLength = behavior.max_payload_bytes;
  data->maxBackpressure = behavior.max_backpressure_bytes;
  data->closeOnBackpressureLimit = behavior.close_on_backpressure_limit != 0;
  data->resetIdleTimeoutOnSend = behavior.reset_idle_timeout_on_send != 0;
  data->sendPingsAutomatically = behavior.send_pings_automatically != 0;
  data->maxLifetime = static_cast<unsigned short>(behavior.max_lifetime_min);
  data->compression = uWS::CompressOptions::DISABLED;
  if (behavior.compression && loadZlib(nullptr)) {
    prepareSharedStreams();
    data->compression = static_cast<uWS::CompressOptions>(behavior.compression);
  }
  data->idleTimeoutComponents = idleTimeouts(behavior);
}

/* Told when the library is loaded: parsers of all threads read it. */
[[maybe_unused]] const bool fragments_are_told = [] {
  uWS::roomForFragments = [](void *user, size_t more) {
    return makeRoom(webSocketData(static_cast<WebSocket *>(user))->fragmentBuffer, more + INFLATE_PADDING);
  };
  return true;
}();

} // namespace

WebSocketRoute *createWebSocketRoute(App &app, const sk_ws_behavior &behavior, std::unique_ptr<Handler> on_upgrade,
                                     std::unique_ptr<MessageHandler> on_message) {
  if (!app.engine.topicTree) {
    createTopicTree(app);
  }
  auto *context = WebSocketContext::create(uWS::Loop::get(), app.context(), app.engine.topicTree);
  if (!context) {
    return nullptr;
  }
  app.engine.webSocketContexts.push_back(context);
  app.engine.webSocketContextDeleters.push_back([context]() { context->free(); });
  app.websockets.push_back(std::make_unique<WebSocketRoute>(
      WebSocketRoute{&app, context, behavior, std::move(on_upgrade), std::move(on_message), {}, {}}));
  WebSocketRoute *route = app.websockets.back().get();
  setUp(*route);
  handleWebSockets(*route);
  return route;
}

/* By number, because a close handler may add a route. */
void endAllWebSockets(App &app) {
  for (size_t i = 0; i < app.websockets.size(); i++) {
    us_socket_context_for_each(
        app.websockets[i]->context->getSocketContext(),
        [](us_socket_t *s, void *) { webSocket(s)->end(SK_WS_CODE_GOING_AWAY, "the server stops"); }, nullptr);
  }
}

void closeEndedWebSockets(App &app) {
  for (size_t i = 0; i < app.websockets.size(); i++) {
    us_socket_context_for_each(
        app.websockets[i]->context->getSocketContext(),
        [](us_socket_t *s, void *) {
          if (webSocketData(webSocket(s))->isShuttingDown && !webSocket(s)->getBufferedAmount()) {
            us_socket_close(0, s, 0, nullptr);
          }
        },
        nullptr);
  }
}

} // namespace sk
