#include "cpython/wsgi.h"

#include "cpython/handler.h"
#include "cpython/hidden_loop.h"
#include "http/callback.h"
#include "http/lending.h"

#include <algorithm>
#include <cassert>
#include <vector>

namespace sk {

namespace {

/* Items of the list that start_response and write share: what Python took over with, or None. */
enum Shared : ptrdiff_t { EXCHANGE, START, WRITE, SHARED_ITEMS };

/* All there are, of all threads. */
std::vector<Wsgi *> instances;

/* METH_FASTCALL | METH_KEYWORDS. */
using CallWithKeywords = Object *(*)(Object *self, Object *const *arguments, ptrdiff_t count, Object *keywords);

Method callWithKeywords(const char *name, CallWithKeywords function) {
  return {name, reinterpret_cast<const void *>(function), METH_FASTCALL | METH_KEYWORDS, nullptr};
}

/* Whose request runs with this list. */
Wsgi *ownerOf(Object *shared) {
  for (Wsgi *each : instances) {
    if (each->runsWith(shared)) {
      return each;
    }
  }
  return nullptr;
}

using Early = Object *(Wsgi::*)(Object *const *arguments, ptrdiff_t count, Object *keywords);

/* Calls what took over, or else the owner. */
template <Shared item, Early early> Object *dispatch(Object *self, Object *const *arguments, ptrdiff_t count, Object *keywords) {
  Object *found = python.list_get(self, item);
  if (found != python.none) {
    /* Held here: the list is anybody's. */
    Ref instead = found ? Ref::borrowed(found) : Ref();
    return instead ? callNamed(instead.get(), arguments, static_cast<size_t>(count), keywords) : nullptr;
  }
  Wsgi *owner = ownerOf(self);
  if (!owner) {
    python.set_error(python.type_error, "the request is over");
    return nullptr;
  }
  return (owner->*early)(arguments, count, keywords);
}

Method start_response_method = callWithKeywords("start_response", dispatch<START, &Wsgi::startResponse>);
Method write_method = callWithKeywords("write", dispatch<WRITE, &Wsgi::write>);

} // namespace

Wsgi::Wsgi(const sk_wsgi_options &given) : options(given), environs(given) { instances.push_back(this); }

Wsgi::~Wsgi() { std::erase(instances, this); }

bool Wsgi::makeFunctions() {
  functions = {};
  Ref shared(python.new_list(SHARED_ITEMS));
  if (!shared) {
    return false;
  }
  for (ptrdiff_t item : {EXCHANGE, START, WRITE}) {
    python.inc_ref(python.none);
    python.list_set(shared.get(), item, python.none);
  }
  functions.start = Ref(python.new_function(&start_response_method, shared.get(), nullptr));
  functions.write = Ref(python.new_function(&write_method, shared.get(), nullptr));
  functions.shared = std::move(shared);
  return functions.start && functions.write;
}

bool Wsgi::isTaken() const {
  /* Whoever takes the list from __self__ can do with it what he likes. */
  bool none = python.list_length(functions.shared.get()) == SHARED_ITEMS &&
              python.list_get(functions.shared.get(), EXCHANGE) == python.none;
  return !none;
}

/* Nobody else can reach them. */
bool Wsgi::areAlone() const {
  return referenceCount(functions.start.get()) == 1 && referenceCount(functions.write.get()) == 1 &&
         referenceCount(functions.shared.get()) == 3 && !isWeaklyReferenced(functions.start.get(), python.function_weak) &&
         !isWeaklyReferenced(functions.write.get(), python.function_weak);
}

int32_t Wsgi::handle(uint32_t handle) {
  uWS::HttpRequest *request = findRequest(handle);
  Slot *slot = findHttpSlot(handle);
  assert(request && slot);
  Ref made = environs.build(*slot, *request);
  if (!made) {
    beforeCallback();
    fail(handle);
    return 0;
  }
  if (!options.application || request->hasBody()) {
    beforeCallback();
    Ref number(python.from_unsigned_long(handle)), flags(python.from_long(request->hasBody() ? SK_SCOPE_BODY : 0));
    if (!number || !flags || !callWith(options.on_request, number.get(), flags.get(), made.get())) {
      fail(handle);
    }
    return 0;
  }
  if (!functions.write && !makeFunctions()) {
    beforeCallback();
    fail(handle);
    return 0;
  }
  LoopHidden hidden(options.get_running_loop, options.set_running_loop);
  running = handle;
  environ = made.get();
  head = nullptr;
  answer(made.get());
  made = Ref();
  if (isTaken() || !areAlone()) {
    functions = {};
  }
  running = 0;
  return 0;
}

void Wsgi::answer(Object *of) {
  Ref result = callWith(options.application, of, functions.start.get());
  if (result && sendList(result.get())) {
    result = Ref();
    /* What somebody keeps must know that the request is over. */
    if (!areAlone() && !takeOver(true)) {
      fail(0);
    }
    environ = nullptr;
    return;
  }
  RaisedError error;
  if (!takeOver(false)) {
    environ = nullptr;
    fail(running);
    return;
  }
  environ = nullptr;
  Object *taken = python.list_get(functions.shared.get(), EXCHANGE);
  if (!taken) {
    fail(running);
    return;
  }
  Ref exchange = Ref::borrowed(taken);
  Ref done = result ? callWith(options.on_result, exchange.get(), result.get())
                    : callWith(options.on_error, exchange.get(), error.instance());
  if (!done) {
    fail(running);
  }
}

/* Sends a response that is one block, as most are; false when nothing was done. */
bool Wsgi::sendList(Object *result) {
  if (!head || isTaken() || !isExactly(result, python.list_type) || python.list_length(result) != 1) {
    return false;
  }
  /* Held here: what is called back meanwhile, as the access log, may change the list. */
  Ref block = Ref::borrowed(python.list_get(result, 0));
  if (!isExactly(block.get(), python.bytes_type)) {
    return false;
  }
  char *bytes = nullptr;
  ptrdiff_t length = 0;
  if (python.bytes_content(block.get(), &bytes, &length) != 0 || length == 0 || length > options.piece_bytes) {
    python.error_clear();
    return false;
  }
  /* What does not fit its Content-Length is refused: then it goes the longer way. */
  std::string_view body(bytes, static_cast<size_t>(length));
  Lent lent(block.get(), body);
  return sk_res_send(running, head->block.data(), static_cast<int32_t>(head->block.length()), head->fields, body.data(),
                     body.length(), SK_KEEP_LENGTH) >= 0;
}

/* Lets Python do the rest of the request. False when an exception is set. */
bool Wsgi::takeOver(bool answered) {
  Object *shared = functions.shared.get();
  if (isTaken()) {
    return true;
  }
  Ref number(python.from_unsigned_long(running));
  Ref block, fields, length;
  if (head) {
    block = Ref(python.from_bytes(head->block.data(), static_cast<ptrdiff_t>(head->block.length())));
    fields = Ref(python.from_long(head->fields));
    length = head->facts.has_length ? Ref(python.from_unsigned_long(head->facts.length)) : Ref::borrowed(python.none);
  } else {
    block = Ref::borrowed(python.none);
    fields = Ref(python.from_long(0));
    length = Ref::borrowed(python.none);
  }
  Ref over(python.from_long(answered));
  if (!number || !block || !fields || !length || !over) {
    return false;
  }
  Ref parts = callWith(options.new_exchange, number.get(), environ, block.get(), fields.get(), length.get(), over.get());
  if (!parts) {
    return false;
  }
  for (ptrdiff_t item : {EXCHANGE, START, WRITE}) {
    Object *part = python.tuple_get(parts.get(), item);
    if (!part) {
      return false;
    }
    python.inc_ref(part);
    if (python.list_set(shared, item, part) != 0) {
      return false;
    }
  }
  return true;
}

/* Reports the error that is set. */
void Wsgi::fail(uint32_t handle) {
  RaisedError error;
  Object *instance = error.instance();
  Ref number(python.from_unsigned_long(handle));
  if (!number || !instance || !callWith(options.on_failure, number.get(), instance)) {
    python.write_unraisable(options.on_failure);
    failRequest(handle);
  }
}

Object *Wsgi::startResponse(Object *const *arguments, ptrdiff_t count, Object *keywords) {
  bool plain = !keywords && (count == 2 || (count == 3 && arguments[2] == python.none)) && !head;
  if (plain && (head = heads.find(arguments[0], arguments[1]))) {
    python.inc_ref(functions.write.get());
    return functions.write.get();
  }
  return passOn(START, arguments, count, keywords);
}

Object *Wsgi::write(Object *const *arguments, ptrdiff_t count, Object *keywords) {
  return passOn(WRITE, arguments, count, keywords);
}

Object *Wsgi::passOn(ptrdiff_t item, Object *const *arguments, ptrdiff_t count, Object *keywords) {
  Object *found = takeOver(false) ? python.list_get(functions.shared.get(), item) : nullptr;
  Ref instead = found ? Ref::borrowed(found) : Ref();
  return instead ? callNamed(instead.get(), arguments, static_cast<size_t>(count), keywords) : nullptr;
}

} // namespace sk
