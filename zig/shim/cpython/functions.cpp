#include "cpython/functions.h"

#include "cpython/asgi.h"
#include "cpython/coroutine.h"
#include "cpython/request.h"
#include "cpython/response.h"
#include "cpython/websocket.h"
#include "http/lending.h"

namespace sk {

namespace {

/* The parts of a response that its functions share. */
struct Given {
  uint32_t handle;
  std::string_view head;
  int32_t fields;
  std::string_view body;

  bool from(Object *const *arguments) {
    return take(arguments[0], handle) && take(arguments[1], head) && take(arguments[2], fields) && take(arguments[3], body);
  }
  int32_t headLength() const { return static_cast<int32_t>(head.length()); }
};

/* send(handle, head, fields, body, flags) */
Object *send(Object *, Object *const *arguments, ptrdiff_t count) {
  Given given;
  int32_t flags;
  if (!counts(count, 5) || !given.from(arguments) || !take(arguments[4], flags)) {
    return nullptr;
  }
  if (given.head.length() > INT32_MAX) {
    return python.from_long(SK_BAD_HEAD);
  }
  Lent lent(arguments[3], given.body);
  return python.from_long(sk_res_send(given.handle, given.head.data(), given.headLength(), given.fields, given.body.data(),
                                      given.body.length(), flags));
}

using Piecewise = int32_t (*)(uint32_t, const char *, int32_t, int32_t, const char *, size_t);

/* write(handle, head, fields, data), stream(handle, head, fields, data) */
template <Piecewise function> Object *piece(Object *, Object *const *arguments, ptrdiff_t count) {
  Given given;
  if (!counts(count, 4) || !given.from(arguments)) {
    return nullptr;
  }
  if (given.head.length() > INT32_MAX) {
    return python.from_long(SK_BAD_HEAD);
  }
  Lent lent(arguments[3], given.body);
  return python.from_long(
      function(given.handle, given.head.data(), given.headLength(), given.fields, given.body.data(), given.body.length()));
}

/* send_message(handle, data, flags) */
Object *sendMessage(Object *, Object *const *arguments, ptrdiff_t count) {
  uint32_t handle;
  std::string_view data;
  int32_t flags;
  if (!counts(count, 3) || !take(arguments[0], handle) || !take(arguments[1], data) || !take(arguments[2], flags)) {
    return nullptr;
  }
  Lent lent(arguments[1], data);
  return python.from_long(sk_ws_send(handle, data.data(), data.length(), flags));
}

/* scope(handle) as bytes, scope_text(handle) as str; empty when the handle is stale. */
template <bool text> Object *scope(Object *, Object *const *arguments, ptrdiff_t count) {
  uint32_t handle;
  if (!counts(count, 1) || !take(arguments[0], handle)) {
    return nullptr;
  }
  int32_t length = sk_req_scope(handle);
  const char *content = sk_loop_scratch();
  ptrdiff_t size = length < 0 ? 0 : length;
  return text ? python.from_latin1(content, size, nullptr) : python.from_bytes(content, size);
}

/* pump() */
Object *pump(Object *, Object *const *, ptrdiff_t count) {
  if (!counts(count, 0)) {
    return nullptr;
  }
  sk_loop_pump();
  return newNone();
}

/* By SK_PYTHON_*. */
Method methods[] = {
    fastCall("send", send),
    fastCall("write", piece<sk_res_write>),
    fastCall("stream", piece<sk_res_stream>),
    fastCall("send_message", sendMessage),
    fastCall("scope", scope<false>),
    fastCall("scope_text", scope<true>),
    fastCall("send_with", sendWith),
    fastCall("method", requestMethod),
    fastCall("url", requestUrl),
    fastCall("full_url", requestFullUrl),
    fastCall("header", requestHeader),
    fastCall("parameter", requestParameter),
    fastCall("body_here", requestBodyHere),
    fastCall("begin", beginCoroutine),
    fastCall("asgi_scope", asgiScope),
    fastCall("asgi_request", asgiRequest),
    fastCall("publish", publishToAll),
    fastCall("publish_from", publishToOthers),
    fastCall("pump", pump),
};

} // namespace

const int32_t FUNCTIONS = sizeof(methods) / sizeof(*methods);

Object *newFunction(int32_t which, Object *self) { return python.new_function(&methods[which], self, nullptr); }

} // namespace sk
