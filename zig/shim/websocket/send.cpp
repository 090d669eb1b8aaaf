/* Frames on their way out: messages, fragments, and what is published. */
#include "http/bytes.h"
#include "websocket/websocket.h"

#include <algorithm>
#include <utility>

using namespace sk;

namespace {

/* Set in the opcode of a published message that is a whole frame already. */
constexpr int FRAMED = 0x100;
constexpr size_t HEADER_MAX = 10;
/* What zlib can count. */
constexpr size_t DEFLATED_MAX = UINT32_MAX;
/* One copy of so many bytes is cheaper than to make the system gather header and payload. */
constexpr size_t JOINED_MAX = 4096;

bool isOverLimit(WebSocket *socket, const WebSocketContextData &context) {
  if (!context.maxBackpressure || socket->getBufferedAmount() <= context.maxBackpressure) {
    return false;
  }
  if (context.closeOnBackpressureLimit) {
    us_socket_shutdown_read(0, raw(socket));
  }
  return true;
}

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

std::string_view headerOf(char (&header)[HEADER_MAX], size_t length, int opcode, bool compressed, bool fin) {
  size_t size = uWS::protocol::formatMessage<true>(header, nullptr, 0, static_cast<uWS::OpCode>(opcode), length, compressed, fin);
  return {header, size};
}

} // namespace

template <>
uWS::WebSocket<false, true, NoUserData>::SendStatus
uWS::WebSocket<false, true, NoUserData>::send(std::string_view message, OpCode opcode, bool compress, bool fin) {
  sk::WebSocketContextData &context = *contextData(raw(this));
  if (isOverLimit(this, context)) {
    return DROPPED;
  }
  WebSocketData *data = webSocketData(this);
  if (data->subscriber) {
    /* What was published before goes first. */
    context.topicTree->drain(data->subscriber);
  }
  compress = compress && !message.empty() && opcode < OpCode::CLOSE && data->compressionStatus == WebSocketData::ENABLED &&
             message.length() <= DEFLATED_MAX;
  if (compress) {
    LoopData *loop = getLoopData();
    message = data->deflationStream ? data->deflationStream->deflate(loop->zlibContext, message, false)
                                    : loop->deflationStream->deflate(loop->zlibContext, message, true);
  }
  char header[HEADER_MAX];
  return sendFrame(this, context, headerOf(header, message.length(), opcode, compress, fin), message);
}

namespace sk {

WebSocket::SendStatus sendWhole(WebSocket *socket, std::string_view message, int opcode, bool compress) {
  auto status = socket->send(message, static_cast<uWS::OpCode>(opcode), compress);
  uWS::DeflationStream *own = webSocketData(socket)->deflationStream;
  if (own && (slotOf(socket).flags & WS_FORGETS)) {
    deflateReset(&own->deflationStream);
  }
  return status;
}

/* Compression is a matter of each connection; every other frame is the same for all. */
uWS::TopicTreeMessage framedForAll(std::string_view message, int opcode, bool compress) {
  if (compress) {
    return {std::string(message), opcode, true};
  }
  char header[HEADER_MAX];
  std::string frame(headerOf(header, message.length(), opcode, false, true));
  frame.append(message);
  return {std::move(frame), opcode | FRAMED, false};
}

bool sendPublished(WebSocket *socket, std::string_view message, int opcode, bool compress) {
  Slot &slot = slotOf(socket);
  if (slot.flags & WS_FRAGMENTS) {
    slot.route->deferred[indexOf(slot)].push_back({std::string(message), opcode, compress});
    return false;
  }
  if (!(opcode & FRAMED)) {
    return sendWhole(socket, message, opcode, compress) == WebSocket::DROPPED;
  }
  WebSocketContextData &context = *slot.route->data();
  return isOverLimit(socket, context) || sendFrame(socket, context, message, {}) == WebSocket::DROPPED;
}

void sendDeferred(Slot &slot) {
  auto waiting = slot.route->deferred.extract(indexOf(slot));
  if (waiting.empty()) {
    return;
  }
  for (uWS::TopicTreeMessage &each : waiting.mapped()) {
    sendPublished(webSocketOf(slot), each.message, each.opCode, each.compress);
  }
}

/* Several messages for one subscriber leave as one packet. */
bool sendBatched(uWS::Subscriber *subscriber, uWS::TopicTreeMessage &message, bool first, bool last) {
  static thread_local bool corked = false;
  auto *socket = static_cast<WebSocket *>(subscriber->user);
  if (first && !last) {
    corked = socket->canCork();
    if (corked) {
      socket->AsyncSocket::cork();
    }
  }
  bool dropped = sendPublished(socket, message.message, message.opCode, message.compress);
  if (corked && (dropped || last)) {
    socket->AsyncSocket::uncork();
    corked = false;
  }
  return dropped;
}

} // namespace sk
