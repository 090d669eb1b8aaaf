/* The life of websocket connections: events of the engine's contexts on their way to Python, topics, and closing. */
#include "websocket/websocket.h"

#include "cpython/websocket.h"
#include "http/app.h"
#include "http/scratch.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

using namespace sk;

namespace {

constexpr size_t CLOSE_REASON_MAX = 123;
constexpr int CODE_GOING_AWAY = 1001;
constexpr int CODE_TOO_BIG = 1009;
/* Assembled messages of this size and more give their memory back at once. */
constexpr size_t KEPT_FRAGMENTS_MAX = 1024;
/* Seconds that the peer gets to close its side after our close frame, and to answer a ping: as the engine has them. */
constexpr unsigned short MARGIN_MIN = 4, MARGIN_MAX = 16;
constexpr std::string_view PING_FRAME("\x89\x00", 2);

WebSocket *webSocket(us_socket_t *s) { return reinterpret_cast<WebSocket *>(s); }

WebSocketRoute &routeOf(WebSocket *socket) { return *slotOf(socket).route; }

/* Short messages lie in the scratch buffer, where Python reads them without asking for an address. */
void deliver(WebSocket *socket, sk_ws_message_fn callback, std::string_view message, int opcode) {
  showLoop();
  if (message.length() <= SK_WS_SCRATCH_BYTES) {
    give(message);
  }
  callback(handleOf(slotOf(socket)), message.data(), message.length(), opcode);
}

void onMessage(WebSocket *socket, std::string_view message, uWS::OpCode opcode) {
  std::string &assembled = webSocketData(socket)->fragmentBuffer;
  std::string owned;
  if (assembled.capacity() >= KEPT_FRAGMENTS_MAX) {
    /* The message may point into it, which moving does not change. */
    owned = std::move(assembled);
    assembled.clear();
  }
  const sk_ws_behavior &behavior = routeOf(socket).behavior;
  if (behavior.on_message_object) {
    callWithMessage(behavior, slotOf(socket), message, opcode);
  } else {
    deliver(socket, behavior.on_message, message, opcode);
  }
}

/* Every subscription is over: the names are copied, because the handler may do anything. */
void leaveTopics(WebSocket *socket) {
  WebSocketRoute &route = routeOf(socket);
  uWS::Subscriber *subscriber = std::exchange(webSocketData(socket)->subscriber, nullptr);
  if (!subscriber) {
    return;
  }
  std::vector<std::pair<std::string, int>> left;
  if (route.behavior.on_subscription) {
    for (uWS::Topic *topic : subscriber->topics) {
      left.emplace_back(topic->name, static_cast<int>(topic->size()));
    }
  }
  TopicTree *tree = route.app->engine.topicTree;
  tree->freeSubscriber(subscriber);
  if (!tree->drainableSubscribers) {
    /* Nobody refers to them any more, and the tree forgets them only when it drains somebody. */
    tree->outgoingMessages.clear();
  }
  for (auto &[topic, count] : left) {
    route.behavior.on_subscription(handleOf(slotOf(socket)), topic.data(), topic.length(), count - 1, count);
  }
}

void announceClose(WebSocket *socket, int code, std::string_view reason) {
  Slot &slot = slotOf(socket);
  slot.flags |= WS_CLOSED;
  slot.object = nullptr;
  showLoop();
  WebSocketRoute &route = *slot.route;
  route.deferred.erase(indexOf(slot));
  leaveTopics(socket);
  route.behavior.on_close(handleOf(slot), code, reason.data(), reason.length());
  invalidateHandles(slot);
}

us_socket_t *onClose(us_socket_t *s, int code, void *reason) {
  WebSocket *socket = webSocket(s);
  uWS::WebSocketData *data = webSocketData(socket);
  Slot &slot = slotOf(socket);
  if (!data->isShuttingDown) {
    data->isShuttingDown = true;
    announceClose(socket, uWS::protocol::CODE_ABNORMAL, {static_cast<char *>(reason), static_cast<size_t>(code)});
  }
  data->~WebSocketData();
  us_socket_set_tag(s, 0);
  slot.app->busy--;
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
      showLoop();
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

/* Whether the message that could not be decompressed was too big, or damaged. */
bool inflatedTooMuch(WebSocket *socket) {
  uWS::LoopData *loop = socket->getLoopData();
  uWS::InflationStream *own = webSocketData(socket)->inflationStream;
  uWS::InflationStream *stream = own ? own : loop->inflationStream;
  size_t limit = contextData(raw(socket))->maxPayloadLength;
  return loop->zlibContext->dynamicInflationBuffer.length() > limit ||
         LARGE_BUFFER_SIZE - stream->inflationStream.avail_out > limit;
}

/* The close code for the engine's and the parser's reasons. */
int codeOf(WebSocket *socket, std::string_view reason) {
  if (reason == uWS::ERR_TOO_BIG_MESSAGE) {
    return CODE_TOO_BIG;
  }
  if (reason == uWS::ERR_INVALID_TEXT) {
    return uWS::protocol::CODE_INVALID_DATA;
  }
  if (reason == uWS::ERR_TOO_BIG_MESSAGE_INFLATION) {
    return inflatedTooMuch(socket) ? CODE_TOO_BIG : uWS::protocol::CODE_INVALID_DATA;
  }
  return uWS::protocol::CODE_PROTOCOL_ERROR;
}

void createTopicTree(App &app) {
  auto *tree = app.engine.topicTree =
      new TopicTree([](uWS::Subscriber *subscriber, uWS::TopicTreeMessage &message, TopicTree::IteratorFlags flags) {
        return sendBatched(subscriber, message, flags & TopicTree::FIRST, flags & TopicTree::LAST);
      });
  uWS::Loop::get()->addPostHandler(tree, [tree](uWS::Loop *) { tree->drain(); });
  uWS::Loop::get()->addPreHandler(tree, [tree](uWS::Loop *) { tree->drain(); });
}

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
  data->messageHandler = onMessage;
  if (behavior.on_ping) {
    data->pingHandler = [callback = behavior.on_ping](WebSocket *socket, std::string_view payload) {
      deliver(socket, callback, payload, uWS::OpCode::PING);
    };
  }
  if (behavior.on_pong) {
    data->pongHandler = [callback = behavior.on_pong](WebSocket *socket, std::string_view payload) {
      deliver(socket, callback, payload, uWS::OpCode::PONG);
    };
  }
  auto *context = route.context->getSocketContext();
  us_socket_context_on_close(0, context, onClose);
  us_socket_context_on_writable(0, context, onWritable);
  us_socket_context_on_timeout(0, context, onTimeout);
}

} // namespace

template <>
void uWS::WebSocketContext<false, true, NoUserData>::forceClose(uWS::WebSocketState<true> *, void *socket,
                                                                std::string_view reason) {
  auto *s = static_cast<us_socket_t *>(socket);
  if (reason == ERR_WEBSOCKET_TIMEOUT) {
    us_socket_close(0, s, static_cast<int>(reason.length()), const_cast<char *>(reason.data()));
  } else {
    webSocket(s)->end(codeOf(webSocket(s), reason), reason);
  }
}

template <> void uWS::WebSocket<false, true, NoUserData>::end(int code, std::string_view message) {
  WebSocketData *data = webSocketData(this);
  if (data->isShuttingDown) {
    return;
  }
  data->isShuttingDown = true;
  auto *context = contextData(raw(this));
  char payload[CLOSE_REASON_MAX + 2];
  size_t length = protocol::formatClosePayload(payload, static_cast<uint16_t>(code), message.data(),
                                               std::min(message.length(), CLOSE_REASON_MAX));
  size_t limit = std::exchange(context->maxBackpressure, 0);
  send({payload, length}, OpCode::CLOSE);
  context->maxBackpressure = limit;
  /* Corked and buffered bytes go first; then whoever sends them shuts down. */
  if (!isCorked() && !getBufferedAmount()) {
    shutdown();
  }
  timeout(context->idleTimeoutComponents.second);
  /* The words may be in a buffer that the handler overwrites. */
  std::string reason(message);
  announceClose(this, code ? code : protocol::CODE_NO_STATUS, reason);
}

namespace sk {

WebSocketRoute *createWebSocketRoute(App &app, const sk_ws_behavior &behavior) {
  if (!app.engine.topicTree) {
    createTopicTree(app);
  }
  auto *context = WebSocketContext::create(uWS::Loop::get(), app.context(), app.engine.topicTree);
  if (!context) {
    return nullptr;
  }
  app.engine.webSocketContexts.push_back(context);
  app.engine.webSocketContextDeleters.push_back([context]() { context->free(); });
  app.websockets.push_back(std::make_unique<WebSocketRoute>(WebSocketRoute{&app, context, behavior, {}}));
  WebSocketRoute *route = app.websockets.back().get();
  setUp(*route);
  return route;
}

uint32_t adoptWebSocket(Slot &slot, WebSocketRoute &route, const Deflate &deflate) {
  auto *response = static_cast<HttpResponse *>(slot.socket);
  /* Only inside the parser's own call does the engine have to be told that the socket moved. */
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

/* By number, because a close handler may add a route. */
void endAllWebSockets(App &app) {
  for (size_t i = 0; i < app.websockets.size(); i++) {
    us_socket_context_for_each(
        app.websockets[i]->context->getSocketContext(),
        [](us_socket_t *s, void *) { webSocket(s)->end(CODE_GOING_AWAY, "the server stops"); }, nullptr);
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
