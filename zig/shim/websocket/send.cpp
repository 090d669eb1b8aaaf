#include "websocket/send.h"

#include "abi/socketify.h"
#include "http/app.h"
#include "websocket/route.h"
#include "websocket/topics.h"

#include <utility>

namespace sk {

namespace {

constexpr int32_t CONTROL_MAX = 125;

bool isMessage(int opcode) { return opcode == uWS::OpCode::TEXT || opcode == uWS::OpCode::BINARY; }

/* A continuation that was dropped would leave a message without its middle. */
WebSocket::SendStatus sendFragment(WebSocket *socket, WebSocketRoute &route, std::string_view data, bool fin) {
  size_t limit = std::exchange(route.data()->maxBackpressure, 0);
  auto status = socket->send(data, uWS::OpCode::CONTINUATION, false, fin);
  route.data()->maxBackpressure = limit;
  return status;
}

int32_t sendControl(Slot &slot, std::string_view data, int flags) {
  int opcode = flags & SK_WS_OPCODE_MASK;
  bool sendable = opcode == uWS::OpCode::PING || opcode == uWS::OpCode::PONG;
  if (!sendable || (flags & SK_WS_MORE) || data.length() > CONTROL_MAX) {
    return SK_BAD_HEAD;
  }
  return webSocketOf(slot)->send(data, static_cast<uWS::OpCode>(opcode));
}

int32_t sendMessage(Slot &slot, std::string_view data, int flags) {
  int opcode = flags & SK_WS_OPCODE_MASK;
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
  if (Metrics *metrics = slot.app->metrics.get()) [[unlikely]] {
    metrics->messageSent(data.length(), fin, status == WebSocket::DROPPED);
  }
  if (!fin && status != WebSocket::DROPPED) {
    slot.flags |= WS_FRAGMENTS;
  } else if (continues) {
    slot.flags &= static_cast<uint16_t>(~WS_FRAGMENTS);
    sendDeferred(slot);
  }
  return status;
}

} // namespace

WebSocket::SendStatus sendWhole(WebSocket *socket, std::string_view message, int opcode, bool compress) {
  auto status = socket->send(message, static_cast<uWS::OpCode>(opcode), compress);
  uWS::DeflationStream *own = webSocketData(socket)->deflationStream;
  if (own && (slotOf(socket).flags & WS_FORGETS)) {
    deflateReset(&own->deflationStream);
  }
  return status;
}

int32_t sendByFlags(Slot &slot, std::string_view data, int32_t flags) {
  bool control = (flags & SK_WS_OPCODE_MASK) >= uWS::OpCode::CLOSE;
  return control ? sendControl(slot, data, flags) : sendMessage(slot, data, flags);
}

} // namespace sk
