/* sk_ws_*: an open websocket. */
#include "websocket/websocket.h"
#include "abi/socketify.h"
#include "http/app.h"
#include "http/response.h"
#include "http/scratch.h"
#include "websocket/deflate.h"
#include "websocket/route.h"
#include "websocket/send.h"
#include "websocket/topics.h"

#include <utility>

namespace sk {

namespace {

/* The engine has the numbers of RFC 6455 by itself. */
static_assert(SK_WS_CONTINUATION == uWS::OpCode::CONTINUATION && SK_WS_TEXT == uWS::OpCode::TEXT &&
              SK_WS_BINARY == uWS::OpCode::BINARY && SK_WS_CLOSE == uWS::OpCode::CLOSE && SK_WS_PING == uWS::OpCode::PING &&
              SK_WS_PONG == uWS::OpCode::PONG && SK_WS_CODE_ABNORMAL == uWS::protocol::CODE_ABNORMAL);

/* What the program holds corked across several calls: it must be let go even when its connection dies meanwhile. */
thread_local WebSocket *corked_websocket = nullptr;

std::string_view view(const char *data, int32_t length) { return {data, static_cast<size_t>(length)}; }

} // namespace

extern "C" {

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
  return slot ? sendByFlags(*slot, {data, length}, flags) : SK_GONE;
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
  if (corked_websocket || !slot->socket->canCork()) {
    return SK_BUSY;
  }
  slot->socket->corkUnchecked();
  corked_websocket = webSocketOf(*slot);
  return SK_OK;
}

int32_t sk_ws_uncork() {
  WebSocket *socket = std::exchange(corked_websocket, nullptr);
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
  return slot ? subscribe(*slot, view(topic, length)) : SK_STALE;
}

int32_t sk_ws_unsubscribe(uint32_t handle, const char *topic, int32_t length) {
  Slot *slot = findWebSocketSlot(handle);
  return slot ? unsubscribe(*slot, view(topic, length)) : SK_STALE;
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
  return toScratch((*topic)->name);
}

int32_t sk_ws_publish(uint32_t handle, const char *topic, int32_t topic_length, const char *data, size_t length, int32_t flags) {
  Slot *slot = findWebSocketSlot(handle);
  if (!slot) {
    return SK_STALE;
  }
  uWS::Subscriber *excluded = flags & SK_WS_EXCLUDE_SELF ? webSocketData(webSocketOf(*slot))->subscriber : nullptr;
  return publish(*slot->app, excluded, view(topic, topic_length), {data, length}, flags);
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

int32_t sk_zlib_load(const char *path) { return loadZlib(path); }

} // extern "C"

} // namespace sk
