#include "websocket/connection.h"

#include "http/app.h"
#include "websocket/topics.h"

#include <cassert>
#include <string>
#include <utility>

namespace sk {

namespace {

/* Assembled messages of this size and more release their memory at once. */
constexpr size_t KEPT_FRAGMENTS_MAX = 1024;
constexpr std::string_view PING_FRAME("\x89\x00", 2);

WebSocketRoute &routeOf(WebSocket *socket) { return *slotOf(socket).route; }

void callWithControl(sk_ws_control_fn callback, const Slot &slot, std::string_view payload) {
  beforeCallback();
  toScratch(payload);
  callback(handleOf(slot), payload.length());
}

void onMessage(WebSocket *socket, std::string_view message, uWS::OpCode opcode) {
  std::string &assembled = webSocketData(socket)->fragmentBuffer;
  std::string owned;
  if (assembled.capacity() >= KEPT_FRAGMENTS_MAX) {
    /* The message may point into it, which moving does not change. */
    owned = std::move(assembled);
    assembled.clear();
  }
  WebSocketRoute &route = routeOf(socket);
  if (Metrics *metrics = route.app->metrics.get()) [[unlikely]] {
    metrics->messageReceived(message.length());
  }
  route.on_message->handle(slotOf(socket), message, opcode);
}

us_socket_t *onClose(us_socket_t *s, int code, void *reason) {
  WebSocket *socket = webSocket(s);
  uWS::WebSocketData *data = webSocketData(socket);
  Slot &slot = slotOf(socket);
  if (!data->isShuttingDown) {
    data->isShuttingDown = true;
    announceClose(socket, SK_WS_CODE_ABNORMAL, {static_cast<char *>(reason), static_cast<size_t>(code)});
  }
  data->~WebSocketData();
  us_socket_set_tag(s, 0);
  slot.app->busy--;
  if (slot.app->metrics) {
    slot.app->metrics->subtract(SK_METRIC_WEBSOCKETS);
  }
  slot.app->connectionClosed(slot);
  return s;
}

us_socket_t *onWritable(us_socket_t *s) {
  if (us_socket_is_shut_down(0, s)) {
    return s;
  }
  WebSocket *socket = webSocket(s);
  uWS::WebSocketData *data = webSocketData(socket);
  size_t before = socket->getBufferedAmount();
  socket->flush();
  size_t after = socket->getBufferedAmount();
  bool progress = !before || after < before;
  auto [idle, margin] = contextData(s)->idleTimeoutComponents;
  if (data->isShuttingDown) {
    if (!after) {
      socket->shutdown();
    }
    if (progress) {
      us_socket_timeout(0, s, margin);
    }
  } else if (progress) {
    if (!(slotOf(socket).flags & WS_PAUSED)) {
      us_socket_timeout(0, s, idle);
      data->hasTimedOut = false;
    }
    if (auto callback = routeOf(socket).behavior.on_drain) {
      beforeCallback();
      callback(handleOf(slotOf(socket)));
    }
  }
  return s;
}

us_socket_t *onTimeout(us_socket_t *s) {
  WebSocket *socket = webSocket(s);
  uWS::WebSocketData *data = webSocketData(socket);
  WebSocketContextData *context = contextData(s);
  if (!data->isShuttingDown && (slotOf(socket).flags & WS_PAUSED)) {
    /* Nobody reads what the peer may have answered. */
    return s;
  }
  if (context->sendPingsAutomatically && !data->isShuttingDown && !data->hasTimedOut) {
    data->hasTimedOut = true;
    us_socket_timeout(0, s, context->idleTimeoutComponents.second);
    socket->AsyncSocket::write(PING_FRAME.data(), PING_FRAME.length());
    return s;
  }
  WebSocketContext::forceClose(nullptr, s, uWS::ERR_WEBSOCKET_TIMEOUT);
  return s;
}

} // namespace

void handleWebSockets(WebSocketRoute &route) {
  const sk_ws_behavior &behavior = route.behavior;
  WebSocketContextData *data = route.data();
  data->messageHandler = onMessage;
  if (behavior.on_ping) {
    data->pingHandler = [callback = behavior.on_ping](WebSocket *socket, std::string_view payload) {
      callWithControl(callback, slotOf(socket), payload);
    };
  }
  if (behavior.on_pong) {
    data->pongHandler = [callback = behavior.on_pong](WebSocket *socket, std::string_view payload) {
      callWithControl(callback, slotOf(socket), payload);
    };
  }
  us_socket_context_t *context = route.context->getSocketContext();
  us_socket_context_on_close(0, context, onClose);
  us_socket_context_on_writable(0, context, onWritable);
  us_socket_context_on_timeout(0, context, onTimeout);
}

uint32_t adoptWebSocket(Slot &slot, WebSocketRoute &route, const Deflate &deflate) {
  auto *response = static_cast<HttpResponse *>(slot.socket);
  /* Only inside the parser's own call does the engine have to know that the socket moved. */
  bool parsing = slot.request != nullptr;
  bool corked = response->isCorked();
  if (corked && !parsing) {
    response->uncork();
    corked = false;
  }
  us_socket_resume(raw(response));
  auto *context = route.context->getSocketContext();
  constexpr int ext_bytes = sizeof(uWS::WebSocketData) + sizeof(NoUserData);
  us_socket_t *s = us_socket_context_adopt_socket(0, context, raw(response), ext_bytes);
  if (!s) {
    return 0;
  }
  /* The old memory lives until the turn ends. */
  HttpData *old = httpData(response);
  WebSocket *socket = webSocket(s);
  socket->init(deflate.agreed, deflate.options, std::move(old->buffer));
  old->markDone();
  old->~HttpResponseData();
  if (corked) {
    socket->corkUnchecked();
  }
  if (parsing) {
    route.app->engine.httpContext->getSocketContextData()->upgradedWebSocket = socket;
  }
  us_socket_long_timeout(0, s, route.data()->maxLifetime);
  us_socket_timeout(0, s, route.data()->idleTimeoutComponents.first);

  assert(!slot.held);
  invalidateHandles(slot);
  slot.kind = Kind::WebSocket;
  slot.socket = socket;
  slot.request = nullptr;
  slot.route = &route;
  slot.object = nullptr;
  slot.flags = deflate.forgets ? WS_FORGETS : 0;
  return handleOf(slot);
}

void announceClose(WebSocket *socket, int code, std::string_view reason) {
  Slot &slot = slotOf(socket);
  slot.flags |= WS_CLOSED;
  slot.object = nullptr;
  beforeCallback();
  WebSocketRoute &route = *slot.route;
  route.deferred.erase(indexOf(slot));
  leaveTopics(socket);
  route.behavior.on_close(handleOf(slot), code, reason.data(), reason.length());
  invalidateHandles(slot);
}

} // namespace sk
