/* sk_ws_*, and publishing. */
#include "websocket/websocket.h"
#include "http/memory.h"
#include "http/scratch.h"

#include <cassert>
#include <cstring>
#include <utility>

using namespace sk;

namespace {

/* What the engine puts behind a compressed message that was assembled. */
constexpr size_t INFLATE_PADDING = 9;

constexpr int OPCODE_MASK = 15;
constexpr int32_t CONTROL_MAX = 125;

/* The cork that Python holds across several calls: it must be let go even when its connection dies meanwhile. */
thread_local WebSocket *user_cork = nullptr;

bool isMessage(int opcode) { return opcode == uWS::OpCode::TEXT || opcode == uWS::OpCode::BINARY; }

std::string_view view(const char *data, size_t length) { return {data, length}; }

std::string_view view(const char *data, int32_t length) { return {data, static_cast<size_t>(length)}; }

/* A continuation that was dropped would leave a message without its middle. */
WebSocket::SendStatus sendFragment(WebSocket *socket, WebSocketRoute &route, std::string_view data, bool fin) {
  size_t limit = std::exchange(route.data()->maxBackpressure, 0);
  auto status = socket->send(data, uWS::OpCode::CONTINUATION, false, fin);
  route.data()->maxBackpressure = limit;
  return status;
}

int32_t sendControl(Slot &slot, std::string_view data, int flags) {
  int opcode = flags & OPCODE_MASK;
  bool sendable = opcode == uWS::OpCode::PING || opcode == uWS::OpCode::PONG;
  if (!sendable || (flags & SK_WS_MORE) || data.length() > CONTROL_MAX) {
    return SK_BAD_HEAD;
  }
  return webSocketOf(slot)->send(data, static_cast<uWS::OpCode>(opcode));
}

int32_t sendMessage(Slot &slot, std::string_view data, int flags) {
  int opcode = flags & OPCODE_MASK;
  bool fin = !(flags & SK_WS_MORE);
  bool continues = opcode == uWS::OpCode::CONTINUATION;
  if (continues != static_cast<bool>(slot.flags & WS_FRAGMENTS) || (!continues && !isMessage(opcode))) {
    return SK_BAD_HEAD;
  }
  WebSocket *socket = webSocketOf(slot);
  WebSocket::SendStatus status;
  if (continues) {
    status = sendFragment(socket, *slot.route, data, fin);
  } else if (fin) {
    status = sendWhole(socket, data, opcode, flags & SK_WS_COMPRESS);
  } else {
    status = socket->send(data, static_cast<uWS::OpCode>(opcode), false, false);
  }
  if (!fin && status != WebSocket::DROPPED) {
    slot.flags |= WS_FRAGMENTS;
  } else if (continues) {
    slot.flags &= static_cast<uint16_t>(~WS_FRAGMENTS);
    sendDeferred(slot);
  }
  return status;
}

int32_t publish(App &app, uWS::Subscriber *sender, std::string_view topic, std::string_view data, int flags) {
  int opcode = flags & OPCODE_MASK;
  if (!isMessage(opcode)) {
    return SK_BAD_HEAD;
  }
  TopicTree *tree = app.engine.topicTree;
  if (!tree) {
    return 0;
  }
  bool compress = flags & SK_WS_COMPRESS;
  if (data.length() >= uWS::LoopData::CORK_BUFFER_SIZE) {
    return tree->publishBig(
        sender, topic, {data, opcode, compress}, [](uWS::Subscriber *subscriber, uWS::TopicTreeBigMessage &message) {
          sendPublished(static_cast<WebSocket *>(subscriber->user), message.message, message.opCode, message.compress);
        });
  }
  bool wanted = tree->publish(sender, topic, framedForAll(data, opcode, compress));
  if (wanted && !loopIsPumping()) {
    /* Sent at the beginning of the loop's next turn: many messages to one subscriber are one packet. */
    us_wakeup_loop(currentLoop());
  }
  return wanted;
}

} // namespace

int32_t sk_app_ws(sk_app *app, const char *host, size_t host_length, const char *pattern, size_t pattern_length,
                  const sk_ws_behavior *behavior) {
  assert((behavior->on_message || behavior->on_message_object) && behavior->on_close);
  assert(behavior->on_open || behavior->on_upgrade || behavior->on_upgrade_object);
  uWS::roomForFragments = [](void *user, size_t more) {
    return makeRoom(webSocketData(static_cast<WebSocket *>(user))->fragmentBuffer, more + INFLATE_PADDING);
  };
  WebSocketRoute *route = createWebSocketRoute(*app, *behavior);
  if (!route) {
    return SK_BUSY;
  }
  app->addWebSocketRoute(view(host, host_length), view(pattern, pattern_length), route);
  return static_cast<int32_t>(app->websockets.size()) - 1;
}

int32_t sk_app_publish(sk_app *app, const char *topic, size_t topic_length, const char *data, size_t length, int32_t flags) {
  return publish(*app, nullptr, view(topic, topic_length), view(data, length), flags);
}

uint32_t sk_app_num_subscribers(sk_app *app, const char *topic, size_t topic_length) {
  return app->engine.topicTree ? app->engine.numSubscribers(view(topic, topic_length)) : 0;
}

int32_t sk_ws_set_object(uint32_t handle, const void *object) {
  Slot *slot = findWebSocketSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  slot->object = object;
  return SK_OK;
}

int32_t sk_ws_send(uint32_t handle, const char *data, size_t length, int32_t flags) {
  Slot *slot = findWebSocketSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  bool control = (flags & OPCODE_MASK) >= uWS::OpCode::CLOSE;
  return control ? sendControl(*slot, view(data, length), flags) : sendMessage(*slot, view(data, length), flags);
}

int32_t sk_ws_end(uint32_t handle, int32_t code, const char *reason, int32_t length) {
  Slot *slot = findWebSocketSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  if (code && !uWS::protocol::isSendableCode(static_cast<unsigned int>(code))) {
    return SK_BAD_HEAD;
  }
  webSocketOf(*slot)->end(code, view(reason, length));
  return SK_OK;
}

int32_t sk_ws_close(uint32_t handle) {
  Slot *slot = findWebSocketSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  /* What was sent before, if only the answer to the handshake, is on its way before the cut. */
  slot->socket->uncork();
  us_socket_close(0, raw(slot->socket), 0, nullptr);
  return SK_OK;
}

int32_t sk_ws_cork(uint32_t handle) {
  Slot *slot = findWebSocketSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  if (user_cork || !slot->socket->canCork()) {
    return SK_BUSY;
  }
  slot->socket->corkUnchecked();
  user_cork = webSocketOf(*slot);
  return SK_OK;
}

int32_t sk_ws_uncork() {
  WebSocket *socket = std::exchange(user_cork, nullptr);
  if (!socket) {
    return SK_BUSY;
  }
  socket->AsyncSocket::uncork();
  if (us_socket_is_closed(0, raw(socket))) {
    return SK_GONE;
  }
  bool buffered = socket->getBufferedAmount();
  if (!buffered && webSocketData(socket)->isShuttingDown) {
    socket->shutdown();
  }
  return buffered ? SK_BUFFERED : SK_OK;
}

int32_t sk_ws_subscribe(uint32_t handle, const char *topic, int32_t length) {
  Slot *slot = findWebSocketSlot(handle);
  if (!slot) {
    return SK_STALE;
  }
  if (length > TOPIC_MAX) {
    return SK_BAD_HEAD;
  }
  WebSocket *socket = webSocketOf(*slot);
  TopicTree *tree = slot->app->engine.topicTree;
  uWS::Subscriber *&subscriber = webSocketData(socket)->subscriber;
  if (!subscriber) {
    subscriber = tree->createSubscriber();
    subscriber->user = socket;
  }
  uWS::Topic *joined = tree->subscribe(subscriber, view(topic, length));
  if (joined && slot->route->behavior.on_subscription) {
    auto count = static_cast<int32_t>(joined->size());
    slot->route->behavior.on_subscription(handle, topic, static_cast<size_t>(length), count, count - 1);
  }
  return 1;
}

int32_t sk_ws_unsubscribe(uint32_t handle, const char *topic, int32_t length) {
  Slot *slot = findWebSocketSlot(handle);
  if (!slot) {
    return SK_STALE;
  }
  uWS::Subscriber *&subscriber = webSocketData(webSocketOf(*slot))->subscriber;
  if (!subscriber) {
    return 0;
  }
  TopicTree *tree = slot->app->engine.topicTree;
  /* What was published until now is still for this subscriber. */
  tree->drain(subscriber);
  auto [left, last, count] = tree->unsubscribe(subscriber, view(topic, length));
  if (left && last) {
    tree->freeSubscriber(std::exchange(subscriber, nullptr));
  }
  if (left && slot->route->behavior.on_subscription) {
    slot->route->behavior.on_subscription(handle, topic, static_cast<size_t>(length), count, count + 1);
  }
  return left;
}

int32_t sk_ws_is_subscribed(uint32_t handle, const char *topic, int32_t length) {
  Slot *slot = findWebSocketSlot(handle);
  return slot ? webSocketOf(*slot)->isSubscribed(view(topic, length)) : SK_STALE;
}

int32_t sk_ws_topic(uint32_t handle, int32_t index) {
  Slot *slot = findWebSocketSlot(handle);
  if (!slot) {
    return SK_STALE;
  }
  uWS::Subscriber *subscriber = webSocketData(webSocketOf(*slot))->subscriber;
  if (!subscriber || index < 0 || static_cast<size_t>(index) >= subscriber->topics.size()) {
    return SK_ABSENT;
  }
  auto topic = subscriber->topics.begin();
  std::advance(topic, index);
  return give((*topic)->name);
}

int32_t sk_ws_publish(uint32_t handle, const char *topic, int32_t topic_length, const char *data, size_t length, int32_t flags) {
  Slot *slot = findWebSocketSlot(handle);
  if (!slot) {
    return SK_STALE;
  }
  WebSocket *socket = webSocketOf(*slot);
  if (!socket->isSubscribed(view(topic, topic_length))) {
    return 0;
  }
  return publish(*slot->app, webSocketData(socket)->subscriber, view(topic, topic_length), view(data, length), flags);
}

int64_t sk_ws_buffered_bytes(uint32_t handle) {
  Slot *slot = findWebSocketSlot(handle);
  return slot ? static_cast<int64_t>(slot->socket->getBufferedAmount()) : SK_STALE;
}

int32_t sk_ws_pause(uint32_t handle) {
  Slot *slot = findWebSocketSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  slot->flags |= WS_PAUSED;
  us_socket_pause(raw(slot->socket));
  us_socket_timeout(0, raw(slot->socket), 0);
  return SK_OK;
}

int32_t sk_ws_resume(uint32_t handle) {
  Slot *slot = findWebSocketSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  slot->flags &= static_cast<uint16_t>(~WS_PAUSED);
  us_socket_resume(raw(slot->socket));
  us_socket_timeout(0, raw(slot->socket), slot->route->data()->idleTimeoutComponents.first);
  return SK_OK;
}
