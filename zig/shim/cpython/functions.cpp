#include "cpython/functions.h"

#include "cpython/api.h"
#include "cpython/asgi.h"
#include "cpython/coroutine.h"
#include "cpython/request.h"
#include "cpython/response.h"
#include "cpython/websocket.h"
#include "http/engine.h"
#include "http/lending.h"

#include <atomic>
#include <cassert>
#include <climits>
#include <vector>

sk_python sk::python;

bool sk::take(Object *object, uint32_t &value) {
  unsigned long given = python.as_unsigned_long(object);
  value = static_cast<uint32_t>(given);
  return given != ULONG_MAX || !python.error_occurred();
}

bool sk::take(Object *object, int32_t &value) {
  long given = python.as_long(object);
  value = static_cast<int32_t>(given);
  return given != -1 || !python.error_occurred();
}

bool sk::take(Object *object, std::string_view &value) {
  if (object == python.none) {
    value = {};
    return true;
  }
  char *bytes = nullptr;
  ptrdiff_t length = 0;
  if (python.bytes_content(object, &bytes, &length) != 0) {
    return false;
  }
  value = {bytes, static_cast<size_t>(length)};
  return true;
}

bool sk::takeText(Object *object, std::string_view &value) {
  ptrdiff_t length = 0;
  const char *text = python.text_content(object, &length);
  value = {text, static_cast<size_t>(length)};
  return text;
}

sk::Object *sk::callNamed(Object *callable, Object *const *arguments, size_t count, Object *names) {
  if (!names || !python.vectorcall_takes_dict) {
    return python.vectorcall(callable, arguments, count, names);
  }
  Ref keywords(python.new_dict());
  for (ptrdiff_t i = 0; keywords && i < python.tuple_length(names); i++) {
    if (python.dict_set(keywords.get(), python.tuple_get(names, i), arguments[count + static_cast<size_t>(i)]) != 0) {
      return nullptr;
    }
  }
  return keywords ? python.vectorcall(callable, arguments, count, keywords.get()) : nullptr;
}

sk::Object *sk::passOn(Object *function, Object *self, Object *const *arguments, ptrdiff_t count, Object *names) {
  ptrdiff_t all = count + (names ? python.tuple_length(names) : 0);
  std::vector<Object *> given{self};
  given.insert(given.end(), arguments, arguments + all);
  return callNamed(function, given.data(), static_cast<size_t>(count) + 1, names);
}

void sk::failRequest(uint32_t handle) {
  RaisedError error;
  sk_res_fail(handle);
  error.restore();
}

using namespace sk;

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
[[maybe_unused]] constexpr int32_t METHODS = sizeof(methods) / sizeof(*methods);

} // namespace

int32_t RequestHandler::operator()(uint32_t handle) const {
  if (native) {
    return native->handle(handle);
  }
  showLoop();
  if (!object) {
    return function(handle);
  }
  /* The app may end while it runs. */
  Ref callable = Ref::borrowed(object);
  Ref number(python.from_unsigned_long(handle));
  Ref result = number ? callWith(object, number.get()) : Ref();
  int32_t passed_on = 0;
  if (!result || !take(result.get(), passed_on)) {
    python.write_unraisable(object);
    failRequest(handle);
    return 0;
  }
  return passed_on;
}

int32_t sk_python_claim(int64_t interpreter) {
  static std::atomic<int64_t> owner{-1};
  int64_t nobody = -1;
  return owner.compare_exchange_strong(nobody, interpreter) || nobody == interpreter;
}

void sk_python_load(const sk_python *api) {
  python = *api;
  assert(python.vectorcall && python.new_function && python.none && python.type_error);
  if (python.iterator_send) {
    prepareCoroutines();
    prepareAsgi();
  }
}

sk_object *sk_python_function(int32_t which, sk_object *self) {
  assert(python.new_function && which >= 0 && which < METHODS);
  return static_cast<sk_object *>(const_cast<void *>(python.new_function(&methods[which], self, nullptr)));
}
