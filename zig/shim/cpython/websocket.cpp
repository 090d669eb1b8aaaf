#include "cpython/websocket.h"

#include "cpython/members.h"
#include "http/callback.h"
#include "http/engine.h"
#include "http/lending.h"
#include "websocket/topics.h"

#include <climits>

namespace sk {

namespace {

/* All null until a type of websockets is known. */
sk_ws_python ws_python = {};

/* The websocket whose messages go to its handler at once; none where only Python knows what to do with them. */
template <bool at_once> Ref plainSocketOf(Object *session) {
  bool plain = memberOf<at_once>(session, ws_python.inbox_member) == python.none &&
               memberOf<at_once>(session, ws_python.busy_member) == ws_python.not_busy;
  return plain ? memberRef<at_once>(session, ws_python.socket_member) : Ref();
}

/* Whether it is one: a program may have put something else into its slot, or nothing. */
bool isSession(Object *object) { return object && isExactly(object, ws_python.session_type); }

Object *statusOf(int32_t sent) {
  return sent == SK_OK ? ws_python.status_sent : sent == SK_BUFFERED ? ws_python.status_buffered : ws_python.status_dropped;
}

/* What handlers return that ask for nothing: most often, what `send` returned. */
bool meansNothing(Object *result) {
  return result == python.none || result == ws_python.status_sent || result == ws_python.status_buffered ||
         result == ws_python.status_dropped;
}

Ref newMessage(std::string_view message, int opcode) {
  auto length = static_cast<ptrdiff_t>(message.length());
  return Ref(opcode == uWS::OpCode::TEXT ? python.from_utf8(message.data(), length, nullptr)
                                         : python.from_bytes(message.data(), length));
}

/* Reports the exception that is set: a message was lost, and nobody may go on as if it had arrived. */
void fail(Object *callable, uint32_t handle) {
  python.write_unraisable(callable);
  sk_ws_end(handle, SK_WS_CODE_INTERNAL_ERROR, nullptr, 0);
}

/* The arguments that the usual call has; others are for Python. */
struct Message {
  std::string_view data;
  int32_t opcode;

  /* False for others; then an exception may be set, for text with surrogates. */
  bool from(Object *content, Object *opcode_object) {
    if (opcode_object != ws_python.opcode_text && opcode_object != ws_python.opcode_binary) {
      return false;
    }
    opcode = opcode_object == ws_python.opcode_text ? uWS::OpCode::TEXT : uWS::OpCode::BINARY;
    if (isExactly(content, python.bytes_type)) {
      return take(content, data) && (opcode != uWS::OpCode::TEXT || isText());
    }
    return isExactly(content, python.text_type) && takeText(content, data);
  }

private:
  /* Out of the way of str, which most text is. */
  [[gnu::noinline]] bool isText() const {
    return uWS::protocol::isValidUtf8(reinterpret_cast<const unsigned char *>(data.data()), data.length());
  }
};

/* The status, borrowed, or null: then Python shall see to it, unless an exception is set. */
template <bool at_once> Object *sendPlainly(Object *websocket, Object *content, Object *opcode) {
  Held<at_once> session(websocket, ws_python.session_member);
  if (!isSession(session.get())) {
    return nullptr;
  }
  Held<at_once> number(session.get(), ws_python.handle_member);
  uint32_t handle;
  Message message;
  if (!number.get() || !message.from(content, opcode) || !take(number.get(), handle)) {
    return nullptr;
  }
  Lent lent(content, message.data);
  int32_t sent = sk_ws_send(handle, message.data.data(), message.data.length(), message.opcode);
  /* Python finds out whether a websocket that is not found here is another thread's. What was dropped has the same number. */
  bool is_elsewhere = sent == SK_GONE && !findWebSocketSlot(handle);
  return sent < 0 || is_elsewhere ? nullptr : statusOf(sent);
}

/* WebSocket.send(data, opcode=BINARY, ...) */
template <bool at_once> Object *webSocketSend(Object *websocket, Object *const *arguments, ptrdiff_t count, Object *names) {
  if (!names && (count == 1 || count == 2)) {
    Object *status = sendPlainly<at_once>(websocket, arguments[0], count == 2 ? arguments[1] : ws_python.opcode_binary);
    if (status) {
      return Ref::borrowed(status).release();
    }
    if (python.error_occurred()) {
      return nullptr;
    }
  }
  return passOn(ws_python.send, websocket, arguments, count, names);
}

Method ws_send_method = {"send", nullptr, METH_FASTCALL | METH_KEYWORDS, nullptr};

/* Topic, data and opcode of what is published; false as for Message. */
struct Publication {
  std::string_view topic;
  Message message;

  bool from(Object *const *arguments) {
    return isExactly(arguments[0], python.text_type) && takeText(arguments[0], topic) && topic.length() <= SK_WS_TOPIC_MAX &&
           message.from(arguments[1], arguments[2]);
  }
};

Object *none() { return python.error_occurred() ? nullptr : newNone(); }

} // namespace

/* The handler may close the connection, after which nothing else need hold the websocket. */
void ObjectMessages::callHandler(uint32_t handle, Ref websocket, Object *message, int opcode) const {
  Object *socket = websocket.get();
  Object *opcode_object = opcode == uWS::OpCode::TEXT ? ws_python.opcode_text : ws_python.opcode_binary;
  Object *arguments[] = {nullptr, socket, message, opcode_object};
  Ref result(python.vectorcall(on_message_handler, arguments + 1, 3 | ROOM_BEFORE, nullptr));
  if (result && meansNothing(result.get())) {
    return;
  }
  /* Without a session, Python looks for it: what the handler was called with may be any object of the program's. */
  Slot *slot = findWebSocketSlot(handle);
  Ref owner = Ref::borrowed(slot && slot->object ? slot->object : socket);
  if (!callWithOutcome(on_message_result, result, owner.get())) {
    fail(on_message_result, handle);
  }
}

void ObjectMessages::handle(const Slot &slot, std::string_view message, int opcode) {
  beforeCallback();
  uint32_t number = handleOf(slot);
  Ref content = newMessage(message, opcode);
  if (content && on_message_handler && slot.object) {
    if (Ref socket = threadsRunAtOnce() ? plainSocketOf<true>(slot.object) : plainSocketOf<false>(slot.object)) {
      callHandler(number, std::move(socket), content.get(), opcode);
      return;
    }
  }
  Ref handle(python.from_unsigned_long(number));
  Ref kind(python.from_long(opcode));
  bool made = content && handle && kind;
  if (!made || !callWith(on_message_object, handle.get(), content.get(), kind.get())) {
    fail(on_message_object, number);
  }
}

Object *publishToAll(Object *, Object *const *arguments, ptrdiff_t count) {
  Publication publication;
  if (!counts(count, 4) || !publication.from(arguments + 1)) {
    return none();
  }
  unsigned long address = python.as_unsigned_long(arguments[0]);
  if (!address || (address == ULONG_MAX && python.error_occurred())) {
    return none();
  }
  auto [topic, message] = publication;
  Lent lent(arguments[2], message.data);
  return python.from_bool(sk_app_publish(reinterpret_cast<sk_app *>(address), topic.data(), topic.length(), message.data.data(),
                                         message.data.length(), message.opcode) == 1);
}

Object *publishFrom(Object *, Object *const *arguments, ptrdiff_t count) {
  Publication publication;
  uint32_t handle;
  if (!counts(count, 5) || !publication.from(arguments + 1) || !take(arguments[0], handle)) {
    return none();
  }
  int excludes = python.is_true(arguments[4]);
  Slot *slot = excludes < 0 ? nullptr : findWebSocketSlot(handle);
  if (!slot || slot->app->topic_watch) {
    return none();
  }
  auto [topic, message] = publication;
  Lent lent(arguments[2], message.data);
  return python.from_bool(sk_ws_publish(handle, topic.data(), static_cast<int32_t>(topic.length()), message.data.data(),
                                        message.data.length(), message.opcode | (excludes ? SK_WS_EXCLUDE_SELF : 0)) == 1);
}

Object *newSendMethod(const sk_ws_python &facts, Object *type) {
  ws_python = facts;
  for (Object *each : {ws_python.opcode_text, ws_python.opcode_binary, ws_python.status_buffered, ws_python.status_sent,
                       ws_python.status_dropped, ws_python.send, ws_python.not_busy, ws_python.session_type}) {
    python.inc_ref(each);
  }
  return newMethod(type, ws_send_method, threadsRunAtOnce() ? webSocketSend<true> : webSocketSend<false>, ws_python.doc);
}

} // namespace sk
