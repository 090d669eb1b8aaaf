#include "cpython/asgi.h"

#include "cpython/coroutine.h"
#include "cpython/handler.h"
#include "http/app.h"
#include "http/lending.h"
#include "http/scope.h"
#include "proxy/client.h"

#include <cassert>
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
  Object *path, *raw_path, *query_string, *headers, *client, *server, *method, *http_version, *asgi, *state, *extensions, *scheme,
      *tls;
  Object *type, *status, *body, *more_body, *trailers, *response_start, *response_body;
  Object *http_1_0, *get, *head, *post;
  Object *zero, *empty, *is_false;
} names;

/* What a dict has for a key, if anything; else an exception may be set, of a key's own comparison. May run Python. */
Ref itemOf(Object *dict, Object *key) {
  Object *found = python.dict_get(dict, key);
  return found ? Ref::borrowed(found) : Ref();
}

/* What a request is served by: the tuple of SK_ASGI_*. */
class AsgiRoute {
public:
  explicit AsgiRoute(Object *self) : tuple(self) {}
  Object *operator[](ptrdiff_t index) const { return python.tuple_get(tuple, index); }
  Object *self() const { return tuple; }

private:
  Object *tuple;
};

/* One request and its response while both are as simple as can be: a list that send and receive belong to. Python's
 * collector sees everything that it holds. */
class AsgiExchange {
public:
  explicit AsgiExchange(Object *self) : list(self) {}

  static Ref create(AsgiRoute route, Object *handle) {
    Ref made(python.new_list(ITEMS));
    if (made) {
      AsgiExchange exchange(made.get());
      exchange.put(ROUTE, Ref::borrowed(route.self()));
      exchange.put(HANDLE, Ref::borrowed(handle));
      exchange.put(PHASE, Ref::borrowed(phases.start));
      exchange.put(HEAD_BLOCK, Ref::borrowed(names.empty));
      exchange.put(FIELDS, Ref::borrowed(names.zero));
      exchange.put(SUCCESSOR, Ref::borrowed(python.none));
    }
    return made;
  }

  /* Whoever takes the list from send.__self__ can do with it what he likes, whenever Python runs. */
  bool isIntact() const {
    return python.list_length(list) == ITEMS && isExactly(get(ROUTE), python.tuple_type) &&
           python.tuple_length(get(ROUTE)) == SK_ASGI_ITEMS;
  }
  bool isTakenOver() const { return get(SUCCESSOR) != python.none; }
  bool phaseIs(Object *phase) const { return get(PHASE) == phase; }
  /* The line of a status as the route gives it, if it does: compares, and so may run Python. */
  Ref statusLine(Object *status) const {
    Ref lines = Ref::borrowed(AsgiRoute(get(ROUTE))[SK_ASGI_STATUS_LINES]);
    return itemOf(lines.get(), status);
  }

  bool take(uint32_t &handle, uint32_t &fields) const { return sk::take(get(HANDLE), handle) && sk::take(get(FIELDS), fields); }
  Ref head() const { return Ref::borrowed(get(HEAD_BLOCK)); }

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
    Ref given[] = {Ref::borrowed(get(HANDLE)), Ref::borrowed(get(PHASE)), head(), Ref::borrowed(get(FIELDS))};
    Object *arguments[] = {given[0].get(), given[1].get(), given[2].get(), given[3].get()};
    Ref made = call(AsgiRoute(route.get())[SK_ASGI_TAKE_OVER], arguments);
    if (!made || python.list_set(list, SUCCESSOR, Ref::borrowed(made.get()).release()) != 0) {
      return Ref();
    }
    return made;
  }

private:
  enum Item { ROUTE, HANDLE, PHASE, HEAD_BLOCK, FIELDS, SUCCESSOR, ITEMS };

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

/* ---- the scope */

bool put(const Ref &dict, Object *key, const Ref &value) { return value && python.dict_set(dict.get(), key, value.get()) == 0; }

/* Every request has its own copy of what the template holds, as applications may add to it. */
bool copyInner(const Ref &scope, Object *key) {
  Object *inner = python.dict_get(scope.get(), key);
  return inner && put(scope, key, Ref(python.dict_copy(inner)));
}

Ref methodName(std::string_view method) {
  if (method == "GET") {
    return Ref::borrowed(names.get);
  }
  if (method == "POST") {
    return Ref::borrowed(names.post);
  }
  if (method == "HEAD") {
    return Ref::borrowed(names.head);
  }
  return newLatin1(method);
}

Ref pair(Ref first, Ref second) {
  Ref made(first && second ? python.new_tuple(2) : nullptr);
  if (made) {
    python.tuple_set(made.get(), 0, first.release());
    python.tuple_set(made.get(), 1, second.release());
  }
  return made;
}

Ref headerList(uWS::HttpRequest &request) {
  ptrdiff_t count = 0;
  for ([[maybe_unused]] auto header : request) {
    count++;
  }
  Ref list(python.new_list(count));
  ptrdiff_t index = 0;
  for (auto [name, value] : request) {
    Ref header = list ? pair(newBytes(name), newBytes(value)) : Ref();
    if (!header) {
      return Ref();
    }
    python.list_set(list.get(), index++, header.release());
  }
  return list;
}

bool putPath(const Ref &scope, AsgiRoute route, std::string_view raw, bool encoded) {
  std::string_view root;
  if (!take(route[SK_ASGI_ROOT_PATH], root)) {
    return false;
  }
  std::string mounted;
  if (!root.empty()) {
    mounted.append(root).append(raw);
    raw = mounted;
  }
  Ref raw_path = newBytes(raw);
  if (!raw_path) {
    return false;
  }
  Object *arguments[] = {raw_path.get()};
  Ref path = encoded || !root.empty() ? call(route[SK_ASGI_DECODE], arguments) : newLatin1(raw);
  return put(scope, names.path, path) && put(scope, names.raw_path, raw_path);
}

bool putEnds(const Ref &scope, AsgiRoute route, const Slot &slot) {
  std::string room;
  Ref text = newBytes(endsWithPathOf(slot, room));
  /* Fills what is missing, which a dict's own look-up does not. */
  Ref ends(text ? python.get_item(route[SK_ASGI_ENDS], text.get()) : nullptr);
  return ends && put(scope, names.client, Ref::borrowed(python.tuple_get(ends.get(), 0))) &&
         put(scope, names.server, Ref::borrowed(python.tuple_get(ends.get(), 1)));
}

bool putSecurity(const Ref &scope, AsgiRoute route, const Slot &slot, int flags) {
  if ((flags & SK_SCOPE_OTHER_SCHEME) && !put(scope, names.scheme, Ref::borrowed(route[SK_ASGI_OTHER_SCHEME]))) {
    return false;
  }
  if (route[SK_ASGI_TLS] == python.none) {
    return true;
  }
  Ref handle(python.from_unsigned_long(handleOf(slot)));
  Object *arguments[] = {handle.get()};
  Ref facts = handle ? call(route[SK_ASGI_TLS], arguments) : Ref();
  return facts && python.dict_set(python.dict_get(scope.get(), names.extensions), names.tls, facts.get()) == 0;
}

Ref makeScope(AsgiRoute route, Slot &slot, uWS::HttpRequest &request, Target target, int flags) {
  Ref scope(python.dict_copy(route[SK_ASGI_TEMPLATE]));
  bool made = scope && copyInner(scope, names.asgi) && copyInner(scope, names.state) && copyInner(scope, names.extensions) &&
              putPath(scope, route, target.path, flags & SK_SCOPE_ENCODED) &&
              put(scope, names.query_string, newBytes(target.query)) && put(scope, names.headers, headerList(request)) &&
              putEnds(scope, route, slot) && putSecurity(scope, route, slot, flags);
  if (made && (flags & SK_SCOPE_ANCIENT)) {
    made = put(scope, names.http_version, Ref::borrowed(names.http_1_0));
  }
  /* Only scopes of requests have a method. */
  if (made && python.dict_get(scope.get(), names.method)) {
    made = put(scope, names.method, methodName(request.rawMethod()));
  }
  return made ? std::move(scope) : Ref();
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
  return counts(count, 0) ? callSuccessor(AsgiExchange(self), SK_ASGI_RECEIVE).release() : nullptr;
}

Method send_method = callWithOne("send", send);
Method receive_method = fastCall("receive", receive);

/* ---- running the application */

/* Tells Python of the exception that is set. */
Ref reportFailure(AsgiExchange exchange) {
  RaisedError error;
  Object *arguments[] = {error.instance()};
  return callSuccessor(exchange, SK_ASGI_ON_ERROR, arguments);
}

/* The task in whose name coroutines are stepped; borrowed from the list that keeps it. */
Object *currentTask(AsgiRoute route) {
  Object *runner = route[SK_ASGI_RUNNER];
  Object *task = python.list_get(runner, 1);
  if (task == python.none) {
    Ref made(python.vectorcall(route[SK_ASGI_NEW_TASK], nullptr, 0, nullptr));
    task = made ? python.list_get(runner, 1) : nullptr;
  }
  return task;
}

/* None when an exception is set that nobody was told of. */
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
  /* Held here: what runs may let the list forget it. */
  Object *found = currentTask(route);
  if (!found) {
    return reportFailure(exchange);
  }
  Ref task = Ref::borrowed(found);
  Ref loop = Ref::borrowed(python.list_get(route[SK_ASGI_RUNNER], 0));
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

/* The request whose handler runs, or nothing. */
struct Running {
  Slot *slot;
  uWS::HttpRequest *request;

  explicit Running(uint32_t handle) : slot(findHttpSlot(handle)), request(findRequest(handle)) {}
  explicit operator bool() const { return slot && request; }
};

} // namespace

Object *asgiScope(Object *self, Object *const *arguments, ptrdiff_t count) {
  uint32_t handle;
  if (!counts(count, 1) || !take(arguments[0], handle)) {
    return nullptr;
  }
  Running running(handle);
  if (!running) {
    python.set_error(python.type_error, "the request is gone");
    return nullptr;
  }
  Target target = targetOf(*running.request);
  int flags = scopeFlags(*running.slot, *running.request, target.path);
  return pair(Ref(python.from_long(flags)), makeScope(AsgiRoute(self), *running.slot, *running.request, target, flags)).release();
}

Object *asgiRequest(Object *self, Object *const *arguments, ptrdiff_t count) {
  uint32_t handle;
  if (!counts(count, 1) || !take(arguments[0], handle)) {
    return nullptr;
  }
  AsgiRoute route(self);
  Running running(handle);
  Target target = running ? targetOf(*running.request) : Target();
  int flags = running ? scopeFlags(*running.slot, *running.request, target.path) : 0;
  if (!running || (flags & (SK_SCOPE_BODY | SK_SCOPE_TRAILERS))) {
    return python.vectorcall(route[SK_ASGI_FALLBACK], arguments, 1, nullptr);
  }
  Ref exchange = AsgiExchange::create(route, arguments[0]);
  if (!exchange) {
    return nullptr;
  }
  Ref scope = makeScope(route, *running.slot, *running.request, target, flags);
  Ref ran = run(route, AsgiExchange(exchange.get()), exchange.get(), std::move(scope));
  if (!ran) {
    /* What is wrong is reported by the caller; the client must not wait for it. */
    failRequest(handle);
    return nullptr;
  }
  return Ref::borrowed(names.zero).release();
}

void prepareAsgi() {
  names = {
      python.intern("path"),
      python.intern("raw_path"),
      python.intern("query_string"),
      python.intern("headers"),
      python.intern("client"),
      python.intern("server"),
      python.intern("method"),
      python.intern("http_version"),
      python.intern("asgi"),
      python.intern("state"),
      python.intern("extensions"),
      python.intern("scheme"),
      python.intern("tls"),
      python.intern("type"),
      python.intern("status"),
      python.intern("body"),
      python.intern("more_body"),
      python.intern("trailers"),
      python.intern("http.response.start"),
      python.intern("http.response.body"),
      python.intern("1.0"),
      python.intern("GET"),
      python.intern("HEAD"),
      python.intern("POST"),
      python.from_long(0),
      python.from_bytes("", 0),
      python.from_bool(0),
  };
  phases = {python.from_long(SK_ASGI_PHASE_START), python.from_long(SK_ASGI_PHASE_HEAD), python.from_long(SK_ASGI_PHASE_DONE)};
}

} // namespace sk
