/* sk_res_*: what is sent. The connection behind it is in connection.cpp. */
#include "http/response.h"
#include "abi/socketify.h"
#include "http/body.h"
#include "http/callback.h"
#include "http/coded_response.h"
#include "http/connection.h"
#include "http/send.h"
#include "websocket/upgrade.h"

#include <poll.h>

namespace sk {

namespace {

/* Whether the client cut the connection: the event for it follows only with the loop's next turn. */
bool isReset(us_socket_t *s) {
  pollfd descriptor{static_cast<int>(reinterpret_cast<intptr_t>(us_socket_get_native_handle(0, s))), 0, 0};
  return poll(&descriptor, 1, 0) == 1 && (descriptor.revents & (POLLERR | POLLHUP | POLLNVAL));
}

Head headOf(const char *head, int32_t length, int32_t fields) { return {{head, static_cast<size_t>(length)}, fields}; }

auto pieceSender(const Slot &slot) { return slot.app->compression ? codePiece : sendPiece; }

} // namespace

extern "C" {

int32_t sk_res_send(uint32_t handle, const char *head, int32_t head_length, int32_t fields, const char *body, size_t body_length,
                    int32_t flags) {
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  auto send = slot->app->compression ? codeResponse : sendResponse;
  return send(*slot, headOf(head, head_length, fields), {body, body_length}, flags);
}

int32_t sk_res_write(uint32_t handle, const char *head, int32_t head_length, int32_t fields, const char *data, size_t length) {
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  if ((slot->flags & HEAD_SENT) && (head_length || (slot->flags & SIZED))) {
    return SK_BUSY;
  }
  return pieceSender(*slot)(*slot, headOf(head, head_length, fields), {data, length}, 0);
}

int32_t sk_res_stream(uint32_t handle, const char *head, int32_t head_length, int32_t fields, const char *data, size_t length) {
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  if ((slot->flags & HEAD_SENT) && head_length) {
    return SK_BUSY;
  }
  int32_t result = pieceSender(*slot)(*slot, headOf(head, head_length, fields), {data, length}, SK_KEEP_LENGTH);
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
  /* Layer 1 looks whether it holds something, for the next write to know. */
  us_socket_owes(s);
  if (us_socket_is_closed(0, s)) {
    return SK_GONE;
  }
  if (!slot->socket->getBufferedAmount()) {
    return uncodedBytes(*slot) ? SK_BUFFERED : SK_OK;
  }
  if (!unread) {
    awaitReader(*slot);
  }
  return isReset(s) ? SK_GONE : SK_BUFFERED;
}

int32_t sk_res_try_end(uint32_t handle, const char *head, int32_t head_length, int32_t fields, const char *data, size_t length,
                       uint64_t total_length, int32_t flags) {
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  auto send = slot->app->compression ? codeTried : tryEnd;
  return send(*slot, headOf(head, head_length, fields), {data, length}, total_length, flags);
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
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  if (slot->flags & HEAD_SENT) {
    cut(*slot);
    return SK_OK;
  }
  return sendResponse(*slot, {HEAD, 1}, TEXT, 0);
}

int32_t sk_res_write_continue(uint32_t handle) {
  Slot *slot = findHttpSlot(handle);
  return slot ? sendContinue(*slot) : SK_GONE;
}

int32_t sk_res_early_hints(uint32_t handle, const char *head, int32_t head_length, int32_t fields) {
  Slot *slot = findHttpSlot(handle);
  return slot ? sendEarlyHints(*slot, headOf(head, head_length, fields)) : SK_GONE;
}

int32_t sk_res_end_trailers(uint32_t handle, const char *head, int32_t head_length, int32_t fields) {
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  auto send = slot->app->compression ? codeTrailers : sendTrailers;
  return send(*slot, headOf(head, head_length, fields));
}

int32_t sk_res_read_body(uint32_t handle) {
  Slot *slot = findHttpSlot(handle);
  return slot ? readBody(*slot) : SK_GONE;
}

int64_t sk_res_body_length(uint32_t handle) {
  Slot *slot = findHttpSlot(handle);
  std::optional<uint64_t> length = slot ? declaredLength(*slot) : std::nullopt;
  return length && *length <= INT64_MAX ? static_cast<int64_t>(*length) : SK_ABSENT;
}

int32_t sk_res_want_writable(uint32_t handle) {
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  if (slot->app->compression) {
    wantWritable(*slot);
    return SK_OK;
  }
  auto *response = static_cast<HttpResponse *>(slot->socket);
  response->onWritable([handle, response](uintmax_t) {
    response->flush();
    Slot *waiting = findHttpSlot(handle);
    if (!waiting) {
      return true;
    }
    if (response->getBufferedAmount() == 0) {
      beforeCallback();
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
  return slot ? httpData(slot->socket)->offset : SK_NO_OFFSET;
}

int64_t sk_res_buffered_bytes(uint32_t handle) {
  Slot *slot = findHttpSlot(handle);
  return slot ? static_cast<int64_t>(slot->socket->getBufferedAmount() + uncodedBytes(*slot)) : SK_ABSENT;
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
    return continueConnection(slot);
  }
  return socket->getBufferedAmount() ? SK_BUFFERED : SK_OK;
}

/* Bodies that the kernel copies from a file to the connection: the caller does, these functions keep the books. */

int32_t sk_res_descriptor(uint32_t handle) {
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_STALE;
  }
  bool sized = !slot->stream && (slot->flags & HEAD_SENT) && (slot->flags & SIZED) && !(slot->flags & BODILESS);
  if (!sized || slot->socket->isCorked() || slot->socket->getBufferedAmount() || us_socket_owes(raw(slot->socket))) {
    return SK_BUSY;
  }
  return us_poll_fd(reinterpret_cast<us_poll_t *>(raw(slot->socket)));
}

int32_t sk_res_count_sent(uint32_t handle, uint64_t length) {
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  HttpData *data = httpData(slot->socket);
  if (!(slot->flags & SIZED) || length > slot->total_length - data->offset) {
    return SK_BAD_LENGTH;
  }
  data->offset += length;
  countSent(*slot, length);
  awaitHandler(*slot);
  return SK_OK;
}

int32_t sk_res_await_room(uint32_t handle) {
  int32_t result = sk_res_want_writable(handle);
  if (result == SK_OK) {
    Slot &slot = *findHttpSlot(handle);
    us_socket_await_writable(raw(slot.socket));
    awaitReader(slot);
  }
  return result;
}

int64_t sk_res_upgrade(uint32_t handle, int32_t route, const char *head, int32_t head_length, int32_t fields, const char *key,
                       int32_t key_length, const char *protocol, int32_t protocol_length, const char *extensions,
                       int32_t extensions_length) {
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  App *app = slot->app;
  if (route < 0 || static_cast<size_t>(route) >= app->websockets.size() || (slot->flags & HAS_BODY)) {
    return SK_BAD_HEAD;
  }
  if (slot->flags & HEAD_SENT) {
    return SK_BUSY;
  }
  auto text = [](const char *data, int32_t length) { return std::string_view(data, static_cast<size_t>(length)); };
  return upgradeResponse(*slot, *app->websockets[static_cast<size_t>(route)],
                         {{text(head, head_length), fields},
                          text(key, key_length),
                          text(protocol, protocol_length),
                          text(extensions, extensions_length)});
}

} // extern "C"

} // namespace sk
