#include "cpython/exchange.h"

#include "cpython/members.h"
#include "http/lending.h"

namespace sk {

namespace {

/* All null until the types are known. */
sk_exchange_python exchange_python = {};

/* What holds a response or request while no handler does: the list, and the reference of `handle`. */
constexpr uint32_t OWN_REFERENCES = 2;
/* Likewise what holds the exchange of both: they, and `handle`. */
constexpr uint32_t EXCHANGE_REFERENCES = 3;

/* Whether it is one: a program may have put something else into its slot, or nothing, whose members are not to be read. */
bool isExchange(Object *object) { return object && isExactly(object, exchange_python.exchange_type); }

template <bool at_once> bool ended(Object *exchange) {
  return memberOf<at_once>(exchange, exchange_python.handle) == exchange_python.zero;
}

/* The usual call, with str or bytes for a response of which nothing is set. False for others, where nothing was done: then Python
 * finds out whether the client left, or the response is another thread's. False with an exception, too. */
template <bool at_once> bool endPlainly(Object *response, Object *message) {
  std::string_view body;
  uint32_t handle;
  Held<at_once> held(response, exchange_python.response_exchange);
  Object *exchange = held.get();
  if (!isExchange(exchange) || memberOf<at_once>(exchange, exchange_python.dirty) != exchange_python.not_dirty ||
      ended<at_once>(exchange)) {
    return false;
  }
  bool plain = isExactly(message, python.text_type)    ? takeText(message, body)
               : isExactly(message, python.bytes_type) ? take(message, body)
                                                       : false;
  Held<at_once> number(exchange, exchange_python.handle);
  if (!plain || !number.get() || !take(number.get(), handle)) {
    return false;
  }
  Lent lent(message, body);
  int32_t result = sk_res_send(handle, nullptr, 0, 0, body.data(), body.length(), 0);
  if (result == SK_GONE) {
    return false;
  }
  setMember<at_once>(exchange, exchange_python.handle, Ref::borrowed(exchange_python.zero));
  return true;
}

/* Response.end(message=b"", end_connection=False) */
template <bool at_once> Object *end(Object *response, Object *const *arguments, ptrdiff_t count, Object *names) {
  if (!names && count == 1) {
    if (endPlainly<at_once>(response, arguments[0])) {
      return Ref::borrowed(response).release();
    }
    if (python.error_occurred()) {
      return nullptr;
    }
  }
  return passOn(exchange_python.end, response, arguments, count, names);
}

Method end_method = {"end", nullptr, METH_FASTCALL | METH_KEYWORDS, nullptr};

} // namespace

bool ExchangeHandler::haveSpare() {
  if (python.list_get(given.spare, 0) != python.none) {
    return true;
  }
  bool made = static_cast<bool>(callWith(given.refill));
  if (!made) {
    python.write_unraisable(given.refill);
  }
  return made;
}

template <bool at_once> Ref ExchangeHandler::callHandler(uint32_t handle, const Objects &objects) {
  Ref number(python.from_unsigned_long(handle));
  if (!number) {
    return {};
  }
  Object *exchange = objects.exchange.get();
  setMember<at_once>(exchange, exchange_python.handle, Ref::borrowed(number.get()));
  setMember<at_once>(exchange, exchange_python.request_handle, std::move(number));
  Object *arguments[] = {nullptr, objects.response.get(), objects.request.get()};
  return Ref(python.vectorcall(given.handler, arguments + 1, 2 | ROOM_BEFORE, nullptr));
}

template <bool at_once> int32_t ExchangeHandler::conclude(uint32_t handle, const Objects &objects, Ref result) {
  Object *exchange = objects.exchange.get();
  bool nothing = result && (result.get() == python.none || result.get() == objects.response.get());
  if (nothing && ended<at_once>(exchange) && memberOf<at_once>(exchange, exchange_python.passes_on) == exchange_python.zero) {
    setMember<at_once>(exchange, exchange_python.request_handle, Ref::borrowed(exchange_python.zero));
    return 0;
  }
  Ref done = callWithOutcome(given.conclude, result, objects.response.get(), objects.request.get());
  int32_t passed_on = 0;
  if (!done || !take(done.get(), passed_on)) {
    python.write_unraisable(given.conclude);
    failRequest(handle);
    return 0;
  }
  return passed_on;
}

/* For the next request, unless somebody can reach one of both, as a coroutine that waits does, or a weak reference. */
template <bool at_once> void ExchangeHandler::keep(const Objects &objects, bool are_ours) {
  Object *response = objects.response.get();
  Object *request = objects.request.get();
  Object *exchange = objects.exchange.get();
  bool free = are_ours && hasReferences<at_once>(response, OWN_REFERENCES) && hasReferences<at_once>(request, OWN_REFERENCES) &&
              hasReferences<at_once>(exchange, EXCHANGE_REFERENCES) && ended<at_once>(exchange) &&
              !isWeaklyReferenced(response, exchange_python.response_weak) &&
              !isWeaklyReferenced(request, exchange_python.request_weak) &&
              memberOf<at_once>(response, exchange_python.response_exchange) == exchange &&
              memberOf<at_once>(request, exchange_python.request_exchange) == exchange;
  if (free && memberOf<at_once>(exchange, exchange_python.dirty) != exchange_python.not_dirty) {
    free = static_cast<bool>(callWith(given.reset, exchange));
    if (!free) {
      python.write_unraisable(given.reset);
    }
  }
  if (!free) {
    python.list_set(given.spare, 0, newNone());
    python.list_set(given.spare, 1, newNone());
  }
}

template <bool at_once> int32_t ExchangeHandler::serve(uint32_t handle) {
  beforeCallback();
  if (!haveSpare()) {
    failRequest(handle);
    return 0;
  }
  Objects objects;
  objects.response = Ref::borrowed(python.list_get(given.spare, 0));
  objects.request = Ref::borrowed(python.list_get(given.spare, 1));
  /* Nobody else can reach the response. */
  objects.exchange = Ref::borrowed(memberOf<at_once>(objects.response.get(), exchange_python.response_exchange));
  Object *types[] = {typeOf(objects.response.get()), typeOf(objects.request.get())};
  busy = true;
  int32_t passed_on = conclude<at_once>(handle, objects, callHandler<at_once>(handle, objects));
  busy = false;
  /* Whoever gives them another class means this request. */
  keep<at_once>(objects, isExactly(objects.response.get(), types[0]) && isExactly(objects.request.get(), types[1]));
  return passed_on;
}

int32_t ExchangeHandler::handle(uint32_t handle) {
  if (busy) {
    return ObjectHandler(given.fallback).handle(handle);
  }
  return threadsRunAtOnce() ? serve<true>(handle) : serve<false>(handle);
}

Object *newEndMethod(const sk_exchange_python &facts, Object *type) {
  exchange_python = facts;
  for (Object *each : {exchange_python.end, exchange_python.zero, exchange_python.not_dirty, exchange_python.exchange_type}) {
    python.inc_ref(each);
  }
  return newMethod(type, end_method, threadsRunAtOnce() ? end<true> : end<false>, exchange_python.end_doc);
}

} // namespace sk
