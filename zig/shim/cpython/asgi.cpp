#include "cpython/asgi.h"

#include "cpython/asgi_exchange.h"
#include "cpython/continuation.h"
#include "cpython/coroutine.h"
#include "cpython/handler.h"
#include "cpython/items.h"
#include "http/lending.h"

#include <optional>
#include <string>

namespace sk {

namespace {

/* Objects that are the same for all, made once. */
struct Names {
  Object *type, *status, *headers, *body, *more_body, *trailers;
  Object *zero, *empty, *is_false, *is_true;
} names;

/* ---- send and receive */

/* Whether an optional member is missing or False itself. */
bool isOff(const Ref &value) { return !value || value.get() == names.is_false; }

/* A str itself, which is looked at without Python. */
bool isText(const Ref &value, std::string_view text) {
  std::string_view content;
  return value && isExactly(value.get(), python.text_type) && takeText(value.get(), content) && content == text;
}

bool append(std::string &block, Object *text) {
  std::string_view content;
  if (!isExactly(text, python.bytes_type) || !take(text, content)) {
    return false;
  }
  block.append("\n").append(content);
  return true;
}

/* A header is a list or a tuple of two byte strings. */
template <bool at_once> bool appendHeader(std::string &block, Object *header) {
  Items<at_once> pair(header);
  return pair && pair.length() == 2 && append(block, pair[0]) && append(block, pair[1]);
}

template <bool at_once> bool appendHeaders(std::string &block, Object *given, size_t &count) {
  Items<at_once> headers(given);
  if (!headers) {
    return false;
  }
  ptrdiff_t length = headers.length();
  for (ptrdiff_t i = 0; i < length; i++) {
    if (!appendHeader<at_once>(block, headers[i])) {
      return false;
    }
  }
  count = static_cast<size_t>(length);
  return true;
}

/* The functions below first take from the message what they need, which may run Python (a key's __eq__, a status's __hash__), and
 * only then look at the exchange. What they return is for who called send: something to await, or null with an exception set.
 * Nothing when the message is not as simple as they know: then Python, which knows all, takes it. */
using Sent = std::optional<Ref>;

template <bool at_once> Sent sendStart(AsgiExchange exchange, Object *message) {
  Ref status = itemOf<at_once>(message, names.status), headers = itemOf<at_once>(message, names.headers),
      trailers = itemOf<at_once>(message, names.trailers);
  if (!status || !isOff(trailers) || python.error_occurred()) {
    return std::nullopt;
  }
  /* Compares, and so may run Python. */
  Ref line = itemOf<at_once>(exchange.route()[SK_ASGI_STATUS_LINES], status.get());
  std::string_view content;
  if (!line || !take(line.get(), content) || exchange.isTakenOver() || exchange.phase() != SK_ASGI_PHASE_START) {
    return std::nullopt;
  }
  std::string block(content);
  size_t count = 0;
  if ((headers && !appendHeaders<at_once>(block, headers.get(), count)) || block.length() > INT32_MAX ||
      !exchange.keepHead(block, count)) {
    return std::nullopt;
  }
  return Ref(newFinished());
}

/* A piece of a body that goes on. */
Sent sendPiece(AsgiExchange exchange, const Ref &body, std::string_view content) {
  Ref head = exchange.head();
  std::string_view block;
  int32_t fields = 0;
  if (exchange.phase() == SK_ASGI_PHASE_HEAD) {
    take(head.get(), block);
    fields = exchange.fields();
  }
  int32_t result;
  {
    Lent lent(body.get(), content);
    result = sk_res_stream(exchange.handle(), block.data(), static_cast<int32_t>(block.length()), fields, content.data(),
                           content.length());
  }
  /* What was called back may have ended it. */
  if ((result == SK_OK || result == SK_BUFFERED) && !exchange.isTakenOver()) {
    /* Also for who waits from here on, and may be cancelled before that. */
    exchange.stream();
    if (result == SK_OK) {
      return Ref(newFinished());
    }
  }
  Ref number(python.from_long(result));
  return number ? exchange.callSuccessor(SK_ASGI_STREAMED, number.get()) : Ref();
}

/* The last or only piece. */
Sent sendLast(AsgiExchange exchange, const Ref &body, std::string_view content) {
  bool streams = exchange.phase() == SK_ASGI_PHASE_STREAM;
  Ref head = exchange.head();
  std::string_view block;
  if (!streams) {
    take(head.get(), block);
  }
  int32_t result;
  {
    Lent lent(body.get(), content);
    result = sk_res_send(exchange.handle(), block.data(), static_cast<int32_t>(block.length()), streams ? 0 : exchange.fields(),
                         content.data(), content.length(), streams ? 0 : SK_KEEP_LENGTH);
  }
  if (result == SK_OK || result == SK_BUFFERED) {
    return exchange.complete() ? Ref(newFinished()) : Ref();
  }
  if (!streams) {
    /* Nothing was done: Python does it again, and so finds out what is wrong. */
    return std::nullopt;
  }
  Ref number(python.from_long(result));
  return number ? exchange.callSuccessor(SK_ASGI_ENDED, number.get(), body ? body.get() : names.empty) : Ref();
}

template <bool at_once> Sent sendBody(AsgiExchange exchange, Object *message) {
  Ref body = itemOf<at_once>(message, names.body), more_body = itemOf<at_once>(message, names.more_body);
  bool goes_on = more_body.get() == names.is_true;
  std::string_view content;
  if ((!goes_on && !isOff(more_body)) || python.error_occurred() ||
      (body && (!isExactly(body.get(), python.bytes_type) || !take(body.get(), content))) || content.length() > SK_WHOLE_BODY_MAX ||
      exchange.isTakenOver()) {
    return std::nullopt;
  }
  if (exchange.phase() != SK_ASGI_PHASE_HEAD && exchange.phase() != SK_ASGI_PHASE_STREAM) {
    return std::nullopt;
  }
  return goes_on ? sendPiece(exchange, body, content) : sendLast(exchange, body, content);
}

template <bool at_once> Sent sendSimply(AsgiExchange exchange, Object *message) {
  if (!isExactly(message, python.dict_type)) {
    return std::nullopt;
  }
  Ref type = itemOf<at_once>(message, names.type);
  if (isText(type, "http.response.body")) {
    return sendBody<at_once>(exchange, message);
  }
  return isText(type, "http.response.start") ? sendStart<at_once>(exchange, message) : std::nullopt;
}

/* send(message) */
template <bool at_once> Object *send(Object *self, Object *message) {
  AsgiExchange exchange(self);
  if (!exchange.isHere<at_once>()) {
    return nullptr;
  }
  Sent sent = sendSimply<at_once>(exchange, message);
  if (!sent) {
    python.error_clear();
    sent = exchange.callSuccessor(SK_ASGI_SEND, message);
  }
  return sent->release();
}

/* receive() */
template <bool at_once> Object *receive(Object *self, Object *const *, ptrdiff_t count) {
  AsgiExchange exchange(self);
  if (!counts(count, 0) || !exchange.isHere<at_once>()) {
    return nullptr;
  }
  if (exchange.isTakenOver()) {
    return exchange.callSuccessor(SK_ASGI_RECEIVE).release();
  }
  /* A coroutine receives when it is awaited, not before: a task of it may be cancelled. */
  return callWith(exchange.route()[SK_ASGI_RECEIVER], self).release();
}

/* Set once. */
Method send_method, receive_method;

/* ---- running the application */

/* Reports the exception that is set to Python. */
Ref reportFailure(AsgiExchange exchange) {
  RaisedError error;
  return exchange.callSuccessor(SK_ASGI_ON_ERROR, error.instance());
}

/* The application returned. */
Ref conclude(AsgiExchange exchange) {
  if (exchange.isTakenOver() || !exchange.isComplete()) {
    return exchange.callSuccessor(SK_ASGI_ON_RETURN);
  }
  return Ref::borrowed(python.none);
}

/* finish(), of an application that had to wait */
template <bool at_once> Object *finish(Object *self, Object *const *, ptrdiff_t count) {
  AsgiExchange exchange(self);
  if (!counts(count, 0) || !exchange.isHere<at_once>()) {
    return nullptr;
  }
  Ref done = conclude(exchange);
  exchange.setTask(Ref());
  return done.release();
}

/* report(error) */
template <bool at_once> Object *report(Object *self, Object *error) {
  AsgiExchange exchange(self);
  if (!exchange.isHere<at_once>()) {
    return nullptr;
  }
  Ref done = exchange.callSuccessor(SK_ASGI_ON_ERROR, error);
  exchange.setTask(Ref());
  return done.release();
}

/* Set once. */
Method finish_method, report_method;

/* The application waits, and goes on in a task. */
Ref goOn(AsgiExchange exchange, const Ref &coroutine, Stepped waits) {
  if (exchange.isTakenOver()) {
    return exchange.callSuccessor(SK_ASGI_CARRY_ON_IN_PYTHON, coroutine.get(), waits.yielded.get(), waits.context.get());
  }
  Ref reports(python.new_function(&report_method, exchange.object(), nullptr));
  Ref finishes(python.new_function(&finish_method, exchange.object(), nullptr));
  Ref pair = newPair(std::move(waits.yielded), std::move(waits.context));
  if (!reports || !finishes || !pair || !exchange.follow()) {
    return Ref();
  }
  Ref task = carryOn(exchange.route()[SK_ASGI_RUNNER], coroutine.get(), pair.get(), reports.get(), finishes.get());
  if (!task) {
    return Ref();
  }
  exchange.setTask(std::move(task));
  return Ref::borrowed(python.none);
}

/* None when an exception is set that nobody knows of. */
Ref run(AsgiRoute route, AsgiExchange exchange, Ref scope) {
  Ref receiver(python.new_function(&receive_method, exchange.object(), nullptr));
  Ref sender(python.new_function(&send_method, exchange.object(), nullptr));
  if (!scope || !receiver || !sender) {
    return reportFailure(exchange);
  }
  Ref coroutine = callWith(route[SK_ASGI_APPLICATION], scope.get(), receiver.get(), sender.get());
  if (!coroutine) {
    return reportFailure(exchange);
  }
  if (!isExactly(coroutine.get(), python.coroutine_type)) {
    return exchange.callSuccessor(SK_ASGI_RUN_AWAITABLE, coroutine.get());
  }
  Object *runner = route[SK_ASGI_RUNNER];
  Ref task = prepareTask(runner);
  Ref loop = Ref::borrowed(task ? python.list_get(runner, SK_RUNNER_LOOP) : nullptr);
  if (!loop) {
    return reportFailure(exchange);
  }
  Stepped stepped = begin(loop.get(), task.get(), coroutine.get());
  switch (stepped.outcome) {
  case Step::Failed:
    return reportFailure(exchange);
  case Step::Waits:
    return goOn(exchange, coroutine, std::move(stepped));
  case Step::Finished:
    break;
  }
  return conclude(exchange);
}

template <bool at_once> void prepareMethods() {
  send_method = callWithOne("send", send<at_once>);
  receive_method = fastCall("receive", receive<at_once>);
  finish_method = fastCall("finish", finish<at_once>);
  report_method = callWithOne("report", report<at_once>);
}

} // namespace

Object *asgiReceive(Object *, Object *const *arguments, ptrdiff_t count) {
  if (!counts(count, 1)) {
    return nullptr;
  }
  if (!AsgiExchange::is(arguments[0])) {
    python.set_error(python.type_error, "receive belongs to something else");
    return nullptr;
  }
  AsgiExchange exchange(arguments[0]);
  if (threadsRunAtOnce() && !exchange.isHere<true>()) {
    return nullptr;
  }
  Ref received = exchange.receive();
  return received.get() == python.none ? exchange.successor().release() : received.release();
}

Object *asgiRequest(Object *self, Object *const *arguments, ptrdiff_t count) {
  std::optional<AsgiRequest> request = counts(count, 1) ? AsgiRequest::find(arguments[0]) : std::nullopt;
  if (!request) {
    return nullptr;
  }
  AsgiRoute route(self);
  uint32_t handle = handleOf(request->slot);
  Ref exchange = AsgiExchange::create(route, arguments[0], handle, request->flags);
  if (!exchange) {
    return nullptr;
  }
  if (!run(route, AsgiExchange(exchange.get()), makeAsgiScope(route, *request))) {
    /* What is wrong is reported by the caller; the client must not wait for it. */
    failRequest(handle);
    return nullptr;
  }
  return Ref::borrowed(names.zero).release();
}

void prepareAsgi() {
  prepareAsgiScope();
  AsgiExchange::prepare();
  threadsRunAtOnce() ? prepareMethods<true>() : prepareMethods<false>();
  names = {
      python.intern("type"),      python.intern("status"),   python.intern("headers"), python.intern("body"),
      python.intern("more_body"), python.intern("trailers"), python.from_long(0),      python.from_bytes("", 0),
      python.from_bool(0),        python.from_bool(1),
  };
}

} // namespace sk
