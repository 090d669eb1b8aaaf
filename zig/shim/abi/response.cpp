/* sk_res_*: sending. */
#include "http/response.h"

#include "http/body.h"
#include "http/connection.h"
#include "http/half_closed.h"

#include <algorithm>
#include <poll.h>

using namespace sk;

namespace {

constexpr std::string_view CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::string_view LAST_CHUNK = "0\r\n\r\n";

void writeChunk(Socket *socket, std::string_view data) {
  char size_line[20];
  int length = snprintf(size_line, sizeof(size_line), "%zx\r\n", data.length());
  writeAll(socket, {size_line, static_cast<size_t>(length)});
  writeAll(socket, data);
  writeAll(socket, "\r\n");
}

void writeBody(Slot &slot, std::string_view data) {
  if ((slot.flags & MUTE) || data.empty()) {
    return;
  }
  countSent(slot, data.length());
  if (slot.flags & (SIZED | ANCIENT | TUNNEL)) {
    writeAll(slot.socket, data);
  } else {
    writeChunk(slot.socket, data);
  }
}

/* The rest of a response whose head is out: the last chunk, or nothing. */
void endStream(Slot &slot, std::string_view data) {
  writeBody(slot, data);
  if (!(slot.flags & (MUTE | ANCIENT | TUNNEL))) {
    writeAll(slot.socket, LAST_CHUNK);
  }
}

/* A sized response that ends short of its length can only be cut: what follows would be taken for its body. */
bool endsShort(const Slot &slot, size_t length) {
  return (slot.flags & SIZED) && !(slot.flags & MUTE) && httpData(slot.socket)->offset + length != slot.total_length;
}

int32_t send(uint32_t handle, const Head &head, std::string_view body, int32_t flags) {
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  bool streaming = slot->flags & HEAD_SENT;
  if (streaming && !head.block.empty()) {
    return SK_BUSY;
  }
  if (streaming && endsShort(*slot, body.length())) {
    /* What was written before is on its way before the cut. */
    slot->socket->uncork();
    slot->socket->close();
    return SK_BAD_HEAD;
  }
  if (body.empty() && !streaming && (slot->flags & HEAD_REQUEST)) {
    /* Nobody knows how long the answer to GET would be (RFC 9110 section 8.6). */
    flags |= SK_NO_BODY;
  }
  Cork cork(slot->socket);
  if (streaming) {
    if (flags & SK_END_CONNECTION) {
      httpData(slot->socket)->state |= HttpData::HTTP_CONNECTION_CLOSE;
    }
    if (slot->flags & SIZED) {
      writeBody(*slot, body);
    } else {
      endStream(*slot, body);
    }
  } else {
    if (int32_t result = writeHead(*slot, head, true, body.length(), flags); result != SK_OK) {
      cork.release();
      return result;
    }
    if (!(slot->flags & MUTE)) {
      countSent(*slot, body.length());
      writeAll(slot->socket, body);
    }
  }
  finish(*slot);
  cork.release();
  return settle(*slot);
}

/* A piece of a body that goes on. */
int32_t stream(Slot &slot, const Head &head, std::string_view data, int32_t flags) {
  bool unread = slot.socket->getBufferedAmount() != 0;
  Cork cork(slot.socket);
  if (!(slot.flags & HEAD_SENT)) {
    if (int32_t result = writeHead(slot, head, false, data.length(), flags); result != SK_OK) {
      cork.release();
      return result;
    }
  }
  if ((slot.flags & SIZED) && !(slot.flags & MUTE)) {
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

/* Whether the client cut the connection: the event for it comes only when the loop runs again. */
bool isReset(us_socket_t *s) {
  pollfd descriptor{static_cast<int>(reinterpret_cast<intptr_t>(us_socket_get_native_handle(0, s))), 0, 0};
  return poll(&descriptor, 1, 0) == 1 && (descriptor.revents & (POLLERR | POLLHUP | POLLNVAL));
}

std::string_view view(const char *data, size_t length) { return {data, length}; }

Head headOf(const char *head, int32_t length, int32_t fields) { return {view(head, static_cast<size_t>(length)), fields}; }

} // namespace

int32_t sk_res_send(uint32_t handle, const char *head, int32_t head_length, int32_t fields, const char *body, size_t body_length,
                    int32_t flags) {
  return send(handle, headOf(head, head_length, fields), view(body, body_length), flags);
}

int32_t sk_res_write(uint32_t handle, const char *head, int32_t head_length, int32_t fields, const char *data, size_t length) {
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  if ((slot->flags & HEAD_SENT) && (head_length || (slot->flags & SIZED))) {
    return SK_BUSY;
  }
  return stream(*slot, headOf(head, head_length, fields), view(data, length), 0);
}

int32_t sk_res_stream(uint32_t handle, const char *head, int32_t head_length, int32_t fields, const char *data, size_t length) {
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  if ((slot->flags & HEAD_SENT) && head_length) {
    return SK_BUSY;
  }
  int32_t result = stream(*slot, headOf(head, head_length, fields), view(data, length), SK_KEEP_LENGTH);
  return result == SK_OK ? sk_res_flush(handle) : result;
}

int32_t sk_res_flush(uint32_t handle) {
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  us_socket_t *s = raw(slot->socket);
  bool unread = slot->socket->getBufferedAmount() != 0;
  slot->socket->uncork();
  /* Whether layer 1 holds something tells the next write. */
  us_socket_owes(s);
  if (us_socket_is_closed(0, s)) {
    return SK_GONE;
  }
  if (!slot->socket->getBufferedAmount()) {
    return SK_OK;
  }
  if (!unread) {
    awaitReader(*slot);
  }
  return isReset(s) ? SK_GONE : SK_BUFFERED;
}

int32_t sk_res_try_end(uint32_t handle, const char *head, int32_t head_length, int32_t fields, const char *data, size_t length,
                       uint64_t total_length, int32_t flags) {
  constexpr int32_t RESULT = 4, TAKEN = 1, COMPLETE = 2;
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  if ((slot->flags & HEAD_SENT) && (head_length || !(slot->flags & SIZED))) {
    return SK_BUSY;
  }
  Cork cork(slot->socket);
  if (!(slot->flags & HEAD_SENT)) {
    int32_t result = writeHead(*slot, headOf(head, head_length, fields), true, total_length, flags);
    if (result != SK_OK) {
      cork.release();
      return result;
    }
  }
  HttpData *state = httpData(slot->socket);
  std::string_view piece = view(data, length);
  piece = piece.substr(0, std::min<uint64_t>(piece.length(), slot->total_length - state->offset));
  bool taken = true;
  if (slot->flags & MUTE) {
    state->offset = slot->total_length;
  } else if (!piece.empty()) {
    auto [written, failed] = slot->socket->write(piece.data(), piece.length(), true);
    state->offset += written;
    countSent(*slot, written);
    taken = written == piece.length() && !failed;
  }
  bool complete = state->offset >= slot->total_length;
  if (complete) {
    finish(*slot);
  }
  cork.release();
  if (complete) {
    settle(*slot);
  } else if (!taken) {
    awaitReader(*slot);
  } else {
    awaitHandler(*slot);
  }
  return RESULT + (taken ? TAKEN : 0) + (complete ? COMPLETE : 0);
}

int32_t sk_res_has_begun(uint32_t handle) {
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  return slot->flags & HEAD_SENT ? 1 : 0;
}

int32_t sk_res_fail(uint32_t handle) {
  constexpr std::string_view HEAD = "500 Internal Server Error\nContent-Type\ntext/plain; charset=utf-8";
  constexpr std::string_view TEXT = "Internal Server Error";
  if (sk_res_has_begun(handle) != 0) {
    return sk_res_close(handle);
  }
  return send(handle, {HEAD, 1}, TEXT, 0);
}

int32_t sk_res_write_continue(uint32_t handle) {
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  if ((slot->flags & HEAD_SENT) || (slot->flags & ANCIENT)) {
    return SK_BUSY;
  }
  slot->flags &= static_cast<uint16_t>(~EXPECTS_100);
  Cork cork(slot->socket);
  writeAll(slot->socket, withoutWhatWasSent(*slot, CONTINUE));
  cork.release();
  leaveNow(*slot);
  awaitBody(*slot);
  return SK_OK;
}

int32_t sk_res_want_writable(uint32_t handle) {
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  auto *response = static_cast<HttpResponse *>(slot->socket);
  response->onWritable([handle, response](uintmax_t) {
    response->flush();
    Slot *waiting = findHttpSlot(handle);
    if (!waiting) {
      return true;
    }
    if (response->getBufferedAmount() == 0) {
      showLoop();
      waiting->app->options.on_writable(handle);
    } else {
      awaitReader(*waiting);
    }
    return true;
  });
  return SK_OK;
}

uint64_t sk_res_write_offset(uint32_t handle) {
  Slot *slot = findHttpSlot(handle);
  return slot ? httpData(slot->socket)->offset : UINT64_MAX;
}

int64_t sk_res_buffered_bytes(uint32_t handle) {
  Slot *slot = findHttpSlot(handle);
  return slot ? static_cast<int64_t>(slot->socket->getBufferedAmount()) : SK_ABSENT;
}

int32_t sk_res_cork(uint32_t handle) {
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  if (user_cork || !(slot->socket->isCorked() || slot->socket->canCork())) {
    return SK_BUSY;
  }
  slot->socket->corkUnchecked();
  user_cork = slot->socket;
  return SK_OK;
}

int32_t sk_res_uncork(uint32_t) {
  if (!user_cork) {
    return SK_BUSY;
  }
  Socket *socket = user_cork;
  user_cork = nullptr;
  if (us_socket_is_closed(0, raw(socket))) {
    socket->uncork();
    return SK_GONE;
  }
  socket->uncork();
  Slot &slot = slotAt(us_socket_tag(raw(socket)));
  if (!(slot.flags & PENDING)) {
    return settle(slot);
  }
  return socket->getBufferedAmount() ? SK_BUFFERED : SK_OK;
}
