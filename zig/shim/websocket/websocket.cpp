#include "websocket/websocket.h"

#include "websocket/connection.h"
#include "websocket/frame.h"

#include <algorithm>
#include <utility>

namespace sk {

namespace {

/* What zlib can count. */
constexpr size_t DEFLATED_MAX = UINT32_MAX;

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
    return SK_WS_CODE_TOO_BIG;
  }
  if (reason == uWS::ERR_INVALID_TEXT) {
    return uWS::protocol::CODE_INVALID_DATA;
  }
  if (reason == uWS::ERR_TOO_BIG_MESSAGE_INFLATION) {
    return inflatedTooMuch(socket) ? SK_WS_CODE_TOO_BIG : uWS::protocol::CODE_INVALID_DATA;
  }
  return uWS::protocol::CODE_PROTOCOL_ERROR;
}

} // namespace

} // namespace sk

template <>
uWS::WebSocket<false, true, sk::NoUserData>::SendStatus
uWS::WebSocket<false, true, sk::NoUserData>::send(std::string_view message, OpCode opcode, bool compress, bool fin) {
  sk::WebSocketContextData &context = *sk::contextData(sk::raw(this));
  if (sk::isOverLimit(this, context)) {
    return DROPPED;
  }
  WebSocketData *data = sk::webSocketData(this);
  if (data->subscriber) {
    /* What was published before goes first. */
    context.topicTree->drain(data->subscriber);
  }
  compress = compress && !message.empty() && opcode < OpCode::CLOSE && data->compressionStatus == WebSocketData::ENABLED &&
             message.length() <= sk::DEFLATED_MAX;
  if (compress) {
    LoopData *loop = getLoopData();
    message = data->deflationStream ? data->deflationStream->deflate(loop->zlibContext, message, false)
                                    : loop->deflationStream->deflate(loop->zlibContext, message, true);
  }
  char header[sk::FRAME_HEADER_MAX];
  return sk::sendFrame(this, context, sk::frameHeader(header, message.length(), opcode, compress, fin), message);
}

template <>
void uWS::WebSocketContext<false, true, sk::NoUserData>::forceClose(uWS::WebSocketState<true> *, void *socket,
                                                                    std::string_view reason) {
  auto *s = static_cast<us_socket_t *>(socket);
  if (reason == ERR_WEBSOCKET_TIMEOUT) {
    us_socket_close(0, s, static_cast<int>(reason.length()), const_cast<char *>(reason.data()));
  } else {
    sk::webSocket(s)->end(sk::codeOf(sk::webSocket(s), reason), reason);
  }
}

template <> void uWS::WebSocket<false, true, sk::NoUserData>::end(int code, std::string_view message) {
  WebSocketData *data = sk::webSocketData(this);
  if (data->isShuttingDown) {
    return;
  }
  data->isShuttingDown = true;
  auto *context = sk::contextData(sk::raw(this));
  char payload[SK_WS_REASON_MAX + 2];
  size_t length = protocol::formatClosePayload(payload, static_cast<uint16_t>(code), message.data(),
                                               std::min<size_t>(message.length(), SK_WS_REASON_MAX));
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
  sk::announceClose(this, code ? code : protocol::CODE_NO_STATUS, reason);
}
