#include "cpython/functions.h"

#include "cpython/asgi.h"
#include "cpython/asgi_scope.h"
#include "cpython/continuation.h"
#include "cpython/coroutine.h"
#include "cpython/request.h"
#include "cpython/response.h"
#include "cpython/wait.h"
#include "cpython/websocket.h"
#include "http/lending.h"
#include "http/loop.h"
#include "http/scratch.h"

#include <array>

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
  const char *content = scratchBuffer();
  ptrdiff_t size = length < 0 ? 0 : length;
  return text ? python.from_latin1(content, size, nullptr) : python.from_bytes(content, size);
}

/* pump() */
Object *pump(Object *, Object *const *, ptrdiff_t count) {
  if (!counts(count, 0)) {
    return nullptr;
  }
  pumpLoop();
  return newNone();
}

std::array<Method, SK_PYTHON_FUNCTIONS> makeMethods() {
  std::array<Method, SK_PYTHON_FUNCTIONS> made;
  made[SK_PYTHON_SEND] = fastCall("send", send);
  made[SK_PYTHON_WRITE] = fastCall("write", piece<sk_res_write>);
  made[SK_PYTHON_STREAM] = fastCall("stream", piece<sk_res_stream>);
  made[SK_PYTHON_SEND_MESSAGE] = fastCall("send_message", sendMessage);
  made[SK_PYTHON_SCOPE] = fastCall("scope", scope<false>);
  made[SK_PYTHON_SCOPE_TEXT] = fastCall("scope_text", scope<true>);
  made[SK_PYTHON_SEND_WITH] = fastCall("send_with", sendWith);
  made[SK_PYTHON_METHOD] = fastCall("method", requestMethod);
  made[SK_PYTHON_URL] = fastCall("url", requestUrl);
  made[SK_PYTHON_FULL_URL] = fastCall("full_url", requestFullUrl);
  made[SK_PYTHON_HEADER] = fastCall("header", requestHeader);
  made[SK_PYTHON_PARAMETER] = fastCall("parameter", requestParameter);
  made[SK_PYTHON_BODY_HERE] = fastCall("body_here", requestBodyHere);
  made[SK_PYTHON_BEGIN] = fastCall("begin", beginCoroutine);
  made[SK_PYTHON_ASGI_SCOPE] = fastCall("asgi_scope", asgiScope);
  made[SK_PYTHON_ASGI_REQUEST] = fastCall("asgi_request", asgiRequest);
  made[SK_PYTHON_PUBLISH] = fastCall("publish", publishToAll);
  made[SK_PYTHON_PUBLISH_FROM] = fastCall("publish_from", publishFrom);
  made[SK_PYTHON_PUMP] = fastCall("pump", pump);
  made[SK_PYTHON_WAIT] = fastCall("wait", waitForAsyncio);
  made[SK_PYTHON_ASGI_RECEIVE] = fastCall("asgi_receive", asgiReceive);
  made[SK_PYTHON_PREPARE_TASK] = fastCall("prepare_task", prepareTaskOf);
  made[SK_PYTHON_CARRY_ON] = fastCall("carry_on", carryOnIn);
  return made;
}

std::array<Method, SK_PYTHON_FUNCTIONS> methods = makeMethods();

} // namespace

Object *newFunction(int32_t which, Object *self) {
  return python.new_function(&methods[static_cast<size_t>(which)], self, nullptr);
}

} // namespace sk
