#include "websocket/frame.h"

#include "http/bytes.h"

#include <algorithm>

namespace sk {

namespace {

/* One copy of so many bytes is cheaper than to make the system gather header and payload. */
constexpr size_t JOINED_MAX = 4096;

/* Writes both without a cork, and keeps what the system does not take. */
bool writeNow(WebSocket *socket, std::string_view header, std::string_view payload) {
  size_t taken;
  if (header.length() + payload.length() <= JOINED_MAX && !payload.empty()) {
    char frame[JOINED_MAX];
    put(put(frame, header), payload);
    taken = us_socket_send(raw(socket), frame, header.length() + payload.length(), 0);
  } else if (payload.empty()) {
    taken = us_socket_send(raw(socket), header.data(), header.length(), 0);
  } else {
    taken = us_socket_send2(raw(socket), header.data(), header.length(), payload.data(), payload.length());
  }
  if (taken == header.length() + payload.length()) {
    return true;
  }
  size_t of_header = std::min(taken, header.length());
  header.remove_prefix(of_header);
  payload.remove_prefix(taken - of_header);
  socket->keep(header.data(), header.length());
  socket->keep(payload.data(), payload.length());
  /* What is corked now would be sent before what waits. */
  socket->uncorkWithoutSending();
  return false;
}

/* False when it waits in memory. */
bool writeFrame(WebSocket *socket, std::string_view header, std::string_view payload) {
  if (us_socket_is_closed(0, raw(socket))) {
    return true;
  }
  uWS::LoopData *loop = socket->getLoopData();
  bool fits = header.length() + payload.length() < uWS::LoopData::CORK_BUFFER_SIZE;
  bool corked = socket->isCorked() && (fits || loop->corkOffset);
  if (!corked && !socket->getBufferedAmount()) {
    return writeNow(socket, header, payload);
  }
  auto [written, failed] = socket->AsyncSocket::write(header.data(), header.length());
  if (!payload.empty()) {
    failed = socket->AsyncSocket::write(payload.data(), payload.length()).second;
  }
  return !failed;
}

} // namespace

bool isOverLimit(WebSocket *socket, const WebSocketContextData &context) {
  if (!context.maxBackpressure || socket->getBufferedAmount() <= context.maxBackpressure) {
    return false;
  }
  if (context.closeOnBackpressureLimit) {
    us_socket_shutdown_read(0, raw(socket));
  }
  return true;
}

WebSocket::SendStatus sendFrame(WebSocket *socket, const WebSocketContextData &context, std::string_view header,
                                std::string_view payload) {
  if (!writeFrame(socket, header, payload)) {
    return WebSocket::BACKPRESSURE;
  }
  if (context.resetIdleTimeoutOnSend) {
    us_socket_timeout(0, raw(socket), context.idleTimeoutComponents.first);
    webSocketData(socket)->hasTimedOut = false;
  }
  return WebSocket::SUCCESS;
}

std::string_view frameHeader(char (&room)[FRAME_HEADER_MAX], size_t length, int opcode, bool compressed, bool fin) {
  size_t size = uWS::protocol::formatMessage<true>(room, nullptr, 0, static_cast<uWS::OpCode>(opcode), length, compressed, fin);
  return {room, size};
}

} // namespace sk
