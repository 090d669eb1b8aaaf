#include "http/send.h"

#include "http/connection.h"
#include "http/half_closed.h"
#include "http/response.h"
#include "http2/stream.h"

#include <algorithm>
#include <charconv>

namespace sk {

namespace {

constexpr int STATUS_CONTINUE = 100, STATUS_EARLY_HINTS = 103;
constexpr std::string_view CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::string_view EARLY_HINTS = "HTTP/1.1 103 Early Hints\r\n";
constexpr std::string_view LAST_CHUNK_SIZE = "0\r\n";
constexpr std::string_view LAST_CHUNK = "0\r\n\r\n";

void writeChunk(Socket *socket, std::string_view data) {
  char size_line[20];
  char *end = std::to_chars(size_line, size_line + sizeof(size_line) - 2, data.length(), 16).ptr;
  *end++ = '\r';
  *end++ = '\n';
  writeAll(socket, {size_line, static_cast<size_t>(end - size_line)});
  writeAll(socket, data);
  writeAll(socket, "\r\n");
}

void writeBody(Slot &slot, std::string_view data) {
  if ((slot.flags & BODILESS) || data.empty()) {
    return;
  }
  countSent(slot, data.length());
  if ((slot.flags & (SIZED | ANCIENT | TUNNEL)) || slot.stream) {
    writeAll(slot.socket, data);
  } else {
    writeChunk(slot.socket, data);
  }
}

/* The rest of a response whose head is out: the last chunk, or nothing. */
void endStream(Slot &slot, std::string_view data) {
  writeBody(slot, data);
  if (!(slot.flags & (BODILESS | ANCIENT | TUNNEL)) && !slot.stream) {
    writeAll(slot.socket, LAST_CHUNK);
  }
}

/* A sized response that ends short of its length can only be cut: what follows would be taken for its body. */
bool endsShort(const Slot &slot, size_t length) {
  return (slot.flags & SIZED) && !(slot.flags & BODILESS) && httpData(slot.socket)->offset + length != slot.total_length;
}

/* An interim response. */
void sendInterim(Slot &slot, std::string_view text) {
  Cork cork(slot.socket);
  writeAll(slot.socket, withoutWhatWasSent(slot, text));
  cork.release();
  leaveNow(slot);
}

} // namespace

int32_t sendResponse(Slot &slot, const Head &head, std::string_view body, int32_t flags) {
  bool streaming = slot.flags & HEAD_SENT;
  if (streaming && !head.block.empty()) {
    return SK_BUSY;
  }
  if (streaming && endsShort(slot, body.length())) {
    cut(slot);
    return SK_BAD_HEAD;
  }
  if (body.empty() && !streaming && (slot.flags & HEAD_REQUEST)) {
    /* Nobody knows how long the answer to GET would be (RFC 9110 section 8.6). */
    flags |= SK_NO_BODY;
  }
  Cork cork(slot.socket);
  if (streaming) {
    if (flags & SK_END_CONNECTION) {
      httpData(slot.socket)->state |= HttpData::HTTP_CONNECTION_CLOSE;
    }
    if (slot.flags & SIZED) {
      writeBody(slot, body);
    } else {
      endStream(slot, body);
    }
  } else {
    if (int32_t result = writeHead(slot, head, true, body.length(), flags); result != SK_OK) {
      cork.release();
      return result;
    }
    if (!(slot.flags & BODILESS)) {
      countSent(slot, body.length());
      writeAll(slot.socket, body);
    }
  }
  completeResponse(slot);
  cork.release();
  return continueConnection(slot);
}

int32_t sendPiece(Slot &slot, const Head &head, std::string_view data, int32_t flags) {
  bool unread = slot.socket->getBufferedAmount() != 0;
  Cork cork(slot.socket);
  if (!(slot.flags & HEAD_SENT)) {
    if (int32_t result = writeHead(slot, head, false, data.length(), flags); result != SK_OK) {
      cork.release();
      return result;
    }
  }
  if ((slot.flags & SIZED) && !(slot.flags & BODILESS)) {
    HttpData *state = httpData(slot.socket);
    if (data.length() > slot.total_length - state->offset) {
      cork.release();
      return SK_BAD_LENGTH;
    }
    state->offset += data.length();
  }
  writeBody(slot, data);
  cork.release();
  if (us_socket_is_closed(0, raw(slot.socket))) {
    return SK_GONE;
  }
  if (!slot.socket->getBufferedAmount()) {
    awaitHandler(slot);
    return SK_OK;
  }
  if (!unread) {
    /* Further writes are no reason to wait longer; only what the client takes is. */
    awaitReader(slot);
  }
  return SK_BUFFERED;
}

int32_t tryEnd(Slot &slot, const Head &head, std::string_view data, uint64_t total_length, int32_t flags) {
  if ((slot.flags & HEAD_SENT) && (!head.block.empty() || !(slot.flags & SIZED))) {
    return SK_BUSY;
  }
  Cork cork(slot.socket);
  if (!(slot.flags & HEAD_SENT)) {
    int32_t result = writeHead(slot, head, true, total_length, flags);
    if (result != SK_OK) {
      cork.release();
      return result;
    }
  }
  HttpData *state = httpData(slot.socket);
  std::string_view piece = data.substr(0, std::min<uint64_t>(data.length(), slot.total_length - state->offset));
  bool taken = true;
  if (slot.flags & BODILESS) {
    state->offset = slot.total_length;
  } else if (!piece.empty()) {
    auto [written, failed] = slot.socket->write(piece.data(), piece.length(), true);
    state->offset += written;
    countSent(slot, written);
    taken = written == piece.length() && !failed;
  }
  bool complete = state->offset >= slot.total_length;
  if (complete) {
    completeResponse(slot);
  }
  cork.release();
  if (complete) {
    continueConnection(slot);
  } else if (!taken) {
    awaitReader(slot);
  } else {
    awaitHandler(slot);
  }
  return SK_TRIED | (taken ? SK_TRIED_TAKEN : 0) | (complete ? SK_TRIED_COMPLETE : 0);
}

int32_t sendTrailers(Slot &slot, const Head &fields) {
  if (!inspect(fields).valid) {
    return SK_BAD_HEAD;
  }
  /* In HTTP/1.1 they end chunks; in HTTP/2 they follow any content. */
  if (!(slot.flags & HEAD_SENT) || (slot.flags & (ANCIENT | TUNNEL | BODILESS)) || ((slot.flags & SIZED) && !slot.stream) ||
      endsShort(slot, 0)) {
    return sendResponse(slot, {{}, 0}, {}, 0);
  }
  Cork cork(slot.socket);
  if (slot.stream) {
    keepTrailers(slot, fields);
  } else {
    writeAll(slot.socket, std::string(LAST_CHUNK_SIZE) + fieldLines(fields) + "\r\n");
  }
  completeResponse(slot);
  cork.release();
  return continueConnection(slot);
}

int32_t sendContinue(Slot &slot) {
  if ((slot.flags & HEAD_SENT) || (slot.flags & ANCIENT)) {
    return SK_BUSY;
  }
  slot.flags &= static_cast<uint16_t>(~EXPECTS_100);
  if (slot.stream) {
    writeStreamInterim(slot, STATUS_CONTINUE, {{}, 0});
  } else {
    sendInterim(slot, CONTINUE);
  }
  awaitBody(slot);
  return SK_OK;
}

int32_t sendEarlyHints(Slot &slot, const Head &fields) {
  if (slot.flags & (HEAD_SENT | ANCIENT)) {
    return SK_BUSY;
  }
  if (!inspect(fields).valid) {
    return SK_BAD_HEAD;
  }
  if (slot.stream) {
    writeStreamInterim(slot, STATUS_EARLY_HINTS, fields);
  } else {
    sendInterim(slot, std::string(EARLY_HINTS) + fieldLines(fields) + "\r\n");
  }
  return SK_OK;
}

} // namespace sk
