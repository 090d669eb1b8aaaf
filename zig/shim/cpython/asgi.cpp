#include "cpython/asgi.h"

#include "cpython/asgi_scope.h"
#include "cpython/continuation.h"
#include "cpython/coroutine.h"
#include "cpython/handler.h"
#include "http/app.h"
#include "http/body.h"
#include "http/lending.h"

#include <cassert>
#include <optional>
#include <string>

namespace sk {

namespace {

/* Py_EQ. */
constexpr int EQUAL = 2;

/* The phases of the Python class that matter here, as objects of which there is one each. */
struct Phases {
  Object *start, *head, *done;
} phases;

/* Strings that name things, made once. */
struct Names {
  Object *type, *status, *headers, *body, *more_body, *trailers, *request, *response_start, *response_body;
  Object *zero, *empty, *is_false;
} names;

/* What a dict has for a key, if anything; else an exception may be set, of a key's own comparison. May run Python. */
Ref itemOf(Object *dict, Object *key) {
  Object *found = python.dict_get(dict, key);
  return found ? Ref::borrowed(found) : Ref();
}

/* One request and its response while both are as simple as can be: a list that send and receive belong to. Python's
 * collector sees everything that it holds. */
class AsgiExchange {
public:
  explicit AsgiExchange(Object *self) : list(self) {}

  static Ref create(AsgiRoute route, Object *handle, int flags) {
    Ref made(python.new_list(ITEMS));
    if (made) {
      AsgiExchange exchange(made.get());
      exchange.put(ROUTE, Ref::borrowed(route.self()));
      exchange.put(HANDLE, Ref::borrowed(handle));
      exchange.put(PHASE, Ref::borrowed(phases.start));
      exchange.put(HEAD_BLOCK, Ref::borrowed(names.empty));
      exchange.put(FIELDS, Ref::borrowed(names.zero));
      exchange.put(FLAGS, Ref(python.from_long(flags)));
      exchange.put(SUCCESSOR, Ref::borrowed(python.none));
    }
    return made;
  }

  /* Whoever takes the list from send.__self__ can do with it what he likes, whenever Python runs. */
  bool isIntact() const {
    return python.list_length(list) == ITEMS && isExactly(get(ROUTE), python.tuple_type) &&
           python.tuple_length(get(ROUTE)) == SK_ASGI_ITEMS;
  }
  AsgiRoute route() const { return AsgiRoute(get(ROUTE)); }
  bool isTakenOver() const { return get(SUCCESSOR) != python.none; }
  bool phaseIs(Object *phase) const { return get(PHASE) == phase; }
  /* The line of a status as the route has it, if it does: compares, and so may run Python. */
  Ref statusLine(Object *status) const {
    Ref lines = Ref::borrowed(AsgiRoute(get(ROUTE))[SK_ASGI_STATUS_LINES]);
    return itemOf(lines.get(), status);
  }

  bool take(uint32_t &handle, uint32_t &fields) const { return sk::take(get(HANDLE), handle) && sk::take(get(FIELDS), fields); }
  Ref head() const { return Ref::borrowed(get(HEAD_BLOCK)); }

  /* All of the body of a request that nobody took over and that was not received yet; None when it is not all here. Without a
   * result an exception is set. */
  Ref takeBody() {
    uint32_t handle;
    int32_t flags;
    if (!sk::take(get(HANDLE), handle) || !sk::take(get(FLAGS), flags)) {
      return Ref();
    }
    if (isTakenOver() || phaseIs(phases.done) || (flags & SK_SCOPE_RECEIVED)) {
      return Ref::borrowed(python.none);
    }
    std::optional<std::string_view> here = std::string_view();
    if (flags & SK_SCOPE_BODY) {
      Slot *slot = findHttpSlot(handle);
      here = slot ? takeBodyHere(*slot) : std::nullopt;
    }
    if (!here) {
      return Ref::borrowed(python.none);
    }
    /* A copy at once: the collector may run finalizers, which may close the connection. */
    Ref body = newBytes(*here);
    put(FLAGS, Ref(python.from_long(flags | SK_SCOPE_RECEIVED)));
    return body;
  }

  bool keepHead(std::string_view block, size_t fields) {
    Ref head = newBytes(block);
    Ref count(python.from_long(static_cast<long>(fields)));
    if (!head || !count) {
      return false;
    }
    put(HEAD_BLOCK, std::move(head));
    put(FIELDS, std::move(count));
    put(PHASE, Ref::borrowed(phases.head));
    return true;
  }

  void complete() { put(PHASE, Ref::borrowed(phases.done)); }

  /* The Python object that goes on from here; none with an exception set. */
  Ref successor() {
    if (!isIntact()) {
      python.set_error(python.runtime_error, "somebody changed what send and receive belong to");
      return Ref();
    }
    if (isTakenOver()) {
      return Ref::borrowed(get(SUCCESSOR));
    }
    Ref route = Ref::borrowed(get(ROUTE));
    Ref given[] = {Ref::borrowed(get(HANDLE)), Ref::borrowed(get(PHASE)), head(), Ref::borrowed(get(FIELDS)),
                   Ref::borrowed(get(FLAGS))};
    Object *arguments[] = {given[0].get(), given[1].get(), given[2].get(), given[3].get(), given[4].get()};
    Ref made = call(AsgiRoute(route.get())[SK_ASGI_TAKE_OVER], arguments);
    if (!made || python.list_set(list, SUCCESSOR, Ref::borrowed(made.get()).release()) != 0) {
      return Ref();
    }
    return made;
  }

private:
  enum Item { ROUTE, HANDLE, PHASE, HEAD_BLOCK, FIELDS, FLAGS, SUCCESSOR, ITEMS };

  Object *get(Item item) const { return python.list_get(list, item); }
  void put(Item item, Ref value) { python.list_set(list, item, value.release()); }

  Object *list;
};

/* Calls a method of the object that takes over. */
template <size_t count> Ref callSuccessor(AsgiExchange exchange, const char *method, Object *const (&arguments)[count]) {
  Ref successor = exchange.successor();
  Ref bound(successor ? python.get_attribute(successor.get(), method) : nullptr);
  return bound ? call(bound.get(), arguments) : Ref();
}

Ref callSuccessor(AsgiExchange exchange, const char *method) {
  Ref successor = exchange.successor();
  Ref bound(successor ? python.get_attribute(successor.get(), method) : nullptr);
  return Ref(bound ? python.vectorcall(bound.get(), nullptr, 0, nullptr) : nullptr);
}

/* ---- send and receive */

/* Whether an optional member is missing or False itself. */
bool isOff(const Ref &value) { return !value || value.get() == names.is_false; }

/* A str, which compares without Python. */
bool isText(const Ref &value, Object *name) {
  return value && isExactly(value.get(), python.text_type) && python.compare(value.get(), name, EQUAL) == 1;
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
bool appendHeader(std::string &block, Object *header) {
  if (isExactly(header, python.tuple_type)) {
    return python.tuple_length(header) == 2 && append(block, python.tuple_get(header, 0)) &&
           append(block, python.tuple_get(header, 1));
  }
  return isExactly(header, python.list_type) && python.list_length(header) == 2 && append(block, python.list_get(header, 0)) &&
         append(block, python.list_get(header, 1));
}

bool appendHeaders(std::string &block, Object *headers, size_t &count) {
  bool is_list = isExactly(headers, python.list_type);
  if (!is_list && !isExactly(headers, python.tuple_type)) {
    return false;
  }
  ptrdiff_t length = is_list ? python.list_length(headers) : python.tuple_length(headers);
  for (ptrdiff_t i = 0; i < length; i++) {
    if (!appendHeader(block, is_list ? python.list_get(headers, i) : python.tuple_get(headers, i))) {
      return false;
    }
  }
  count = static_cast<size_t>(length);
  return true;
}

/* The functions below first take from the message what they need, which may run Python (a key's __eq__, a status's __hash__), and
 * only then look at the exchange. False when the message is not as simple as they know: then Python, which knows all, takes it. */

bool start(AsgiExchange exchange, Object *message) {
  Ref status = itemOf(message, names.status), headers = itemOf(message, names.headers), trailers = itemOf(message, names.trailers);
  if (!status || !isOff(trailers) || python.error_occurred() || !exchange.isIntact()) {
    return false;
  }
  Ref line = exchange.statusLine(status.get());
  std::string_view content;
  if (!line || !take(line.get(), content) || !exchange.isIntact() || exchange.isTakenOver() || !exchange.phaseIs(phases.start)) {
    return false;
  }
  std::string block(content);
  size_t count = 0;
  return (!headers || appendHeaders(block, headers.get(), count)) && exchange.keepHead(block, count);
}

bool finish(AsgiExchange exchange, Object *message) {
  Ref body = itemOf(message, names.body), more_body = itemOf(message, names.more_body);
  if (!isOff(more_body) || python.error_occurred() || !exchange.isIntact() || exchange.isTakenOver() ||
      !exchange.phaseIs(phases.head)) {
    return false;
  }
  std::string_view content, block;
  if (body && (!isExactly(body.get(), python.bytes_type) || !take(body.get(), content))) {
    return false;
  }
  uint32_t handle, fields;
  Ref head = exchange.head();
  if (content.length() > SK_WHOLE_BODY_MAX || !take(head.get(), block) || !exchange.take(handle, fields)) {
    return false;
  }
  Lent lent(body.get(), content);
  int32_t result = sk_res_send(handle, block.data(), static_cast<int32_t>(block.length()), static_cast<int32_t>(fields),
                               content.data(), content.length(), SK_KEEP_LENGTH);
  if (result != SK_OK && result != SK_BUFFERED) {
    return false;
  }
  /* What was called back, as the access log, may have changed it. */
  if (exchange.isIntact()) {
    exchange.complete();
  }
  return true;
}

bool sendSimply(AsgiExchange exchange, Object *message) {
  if (!isExactly(message, python.dict_type)) {
    return false;
  }
  Ref type = itemOf(message, names.type);
  if (isText(type, names.response_body)) {
    return finish(exchange, message);
  }
  return isText(type, names.response_start) && start(exchange, message);
}

/* send(message) */
Object *send(Object *self, Object *message) {
  AsgiExchange exchange(self);
  if (sendSimply(exchange, message)) {
    return newFinished();
  }
  python.error_clear();
  Object *arguments[] = {message};
  return callSuccessor(exchange, SK_ASGI_SEND, arguments).release();
}

/* receive() */
Object *receive(Object *self, Object *const *, ptrdiff_t count) {
  AsgiExchange exchange(self);
  if (!counts(count, 0)) {
    return nullptr;
  }
  if (!exchange.isIntact() || exchange.isTakenOver()) {
    return callSuccessor(exchange, SK_ASGI_RECEIVE).release();
  }
  /* A coroutine receives when it is awaited, not before: a task of it may be cancelled. */
  Ref function = Ref::borrowed(exchange.route()[SK_ASGI_RECEIVER]);
  Object *arguments[] = {self};
  return call(function.get(), arguments).release();
}

/* The message http.request with all of a body. */
Ref wholeRequest(const Ref &body) {
  Ref message(python.new_dict());
  bool made = message && setItem(message, names.type, Ref::borrowed(names.request)) && setItem(message, names.body, body) &&
              setItem(message, names.more_body, Ref::borrowed(names.is_false));
  return made ? std::move(message) : Ref();
}

Method send_method = callWithOne("send", send);
Method receive_method = fastCall("receive", receive);

/* ---- running the application */

/* Reports the exception that is set to Python. */
Ref reportFailure(AsgiExchange exchange) {
  RaisedError error;
  Object *arguments[] = {error.instance()};
  return callSuccessor(exchange, SK_ASGI_ON_ERROR, arguments);
}

/* None when an exception is set that nobody knows of. */
Ref run(AsgiRoute route, AsgiExchange exchange, Object *self, Ref scope) {
  Ref receiver(python.new_function(&receive_method, self, nullptr));
  Ref sender(python.new_function(&send_method, self, nullptr));
  if (!scope || !receiver || !sender) {
    return reportFailure(exchange);
  }
  Object *arguments[] = {scope.get(), receiver.get(), sender.get()};
  Ref coroutine = call(route[SK_ASGI_APPLICATION], arguments);
  if (!coroutine) {
    return reportFailure(exchange);
  }
  if (!isExactly(coroutine.get(), python.coroutine_type)) {
    Object *awaitable[] = {coroutine.get()};
    return callSuccessor(exchange, SK_ASGI_RUN_AWAITABLE, awaitable);
  }
  Ref runner = Ref::borrowed(route[SK_ASGI_RUNNER]);
  Ref task = prepareTask(runner.get());
  Ref loop = Ref::borrowed(task ? python.list_get(runner.get(), SK_RUNNER_LOOP) : nullptr);
  if (!loop) {
    return reportFailure(exchange);
  }
  Stepped stepped = begin(loop.get(), task.get(), coroutine.get());
  if (stepped.outcome == Step::Failed) {
    return reportFailure(exchange);
  }
  if (stepped.outcome == Step::Waits) {
    Object *waits[] = {coroutine.get(), stepped.yielded.get(), stepped.context.get()};
    return callSuccessor(exchange, SK_ASGI_CARRY_ON, waits);
  }
  if (!exchange.isIntact() || exchange.isTakenOver() || !exchange.phaseIs(phases.done)) {
    return callSuccessor(exchange, SK_ASGI_ON_RETURN);
  }
  return Ref::borrowed(python.none);
}

} // namespace

Object *asgiReceive(Object *, Object *const *arguments, ptrdiff_t count) {
  if (!counts(count, 1)) {
    return nullptr;
  }
  if (!isExactly(arguments[0], python.list_type)) {
    python.set_error(python.type_error, "receive belongs to a list");
    return nullptr;
  }
  AsgiExchange exchange(arguments[0]);
  if (!exchange.isIntact()) {
    return exchange.successor().release();
  }
  Ref body = exchange.takeBody();
  if (!body) {
    return nullptr;
  }
  return body.get() == python.none ? exchange.successor().release() : wholeRequest(body).release();
}

Object *asgiRequest(Object *self, Object *const *arguments, ptrdiff_t count) {
  std::optional<AsgiRequest> request = counts(count, 1) ? AsgiRequest::find(arguments[0]) : std::nullopt;
  if (!request) {
    return nullptr;
  }
  AsgiRoute route(self);
  Ref exchange = AsgiExchange::create(route, arguments[0], request->flags);
  if (!exchange) {
    return nullptr;
  }
  uint32_t handle = handleOf(request->slot);
  Ref scope = makeAsgiScope(route, *request);
  Ref ran = run(route, AsgiExchange(exchange.get()), exchange.get(), std::move(scope));
  if (!ran) {
    /* What is wrong is reported by the caller; the client must not wait for it. */
    failRequest(handle);
    return nullptr;
  }
  return Ref::borrowed(names.zero).release();
}

void prepareAsgi() {
  prepareAsgiScope();
  names = {
      python.intern("type"),
      python.intern("status"),
      python.intern("headers"),
      python.intern("body"),
      python.intern("more_body"),
      python.intern("trailers"),
      python.intern("http.request"),
      python.intern("http.response.start"),
      python.intern("http.response.body"),
      python.from_long(0),
      python.from_bytes("", 0),
      python.from_bool(0),
  };
  phases = {python.from_long(SK_ASGI_PHASE_START), python.from_long(SK_ASGI_PHASE_HEAD), python.from_long(SK_ASGI_PHASE_DONE)};
}

} // namespace sk
