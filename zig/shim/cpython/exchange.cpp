#include "cpython/exchange.h"

#include "http/lending.h"

namespace sk {

namespace {

/* All null until the types are known. */
sk_exchange_python exchange_python = {};

/* What holds an object of the pair while no handler does: the list, and the reference of `handle`. */
constexpr uint32_t OWN_REFERENCES = 2;

void setMember(Object *object, size_t member, Ref value) {
  Object **place = const_cast<Object **>(static_cast<Object *const *>(object)) + member;
  Ref old(std::exchange(*place, value.release()));
}

bool ended(Object *response) { return memberOf(response, exchange_python.response_handle) == exchange_python.zero; }

/* The usual call, with str or bytes for a response of which nothing is set. False for others, where nothing was done: then Python
 * finds out whether the client left, or the response is another thread's. False with an exception, too. */
bool endPlainly(Object *response, Object *message) {
  std::string_view body;
  uint32_t handle;
  if (memberOf(response, exchange_python.response_dirty) != exchange_python.not_dirty || ended(response)) {
    return false;
  }
  bool plain = isExactly(message, python.text_type)    ? takeText(message, body)
               : isExactly(message, python.bytes_type) ? take(message, body)
                                                       : false;
  if (!plain || !take(memberOf(response, exchange_python.response_handle), handle)) {
    return false;
  }
  Lent lent(message, body);
  int32_t result = sk_res_send(handle, nullptr, 0, 0, body.data(), body.length(), 0);
  if (result == SK_GONE) {
    return false;
  }
  setMember(response, exchange_python.response_handle, Ref::borrowed(exchange_python.zero));
  return true;
}

/* Response.end(message=b"", end_connection=False) */
Object *end(Object *response, Object *const *arguments, ptrdiff_t count, Object *names) {
  if (!names && count == 1) {
    if (endPlainly(response, arguments[0])) {
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

bool ExchangeHandler::havePair() {
  if (python.list_get(given.pair, 0) != python.none) {
    return true;
  }
  bool made = static_cast<bool>(callWith(given.renew));
  if (!made) {
    python.write_unraisable(given.renew);
  }
  return made;
}

Ref ExchangeHandler::callHandler(uint32_t handle, Object *response, Object *request) {
  Ref number(python.from_unsigned_long(handle));
  if (!number) {
    return {};
  }
  setMember(response, exchange_python.response_handle, Ref::borrowed(number.get()));
  setMember(request, exchange_python.request_handle, std::move(number));
  Object *arguments[] = {nullptr, response, request};
  return Ref(python.vectorcall(given.handler, arguments + 1, 2 | ROOM_BEFORE, nullptr));
}

int32_t ExchangeHandler::finish(uint32_t handle, Object *response, Object *request, Ref result) {
  bool nothing = result && (result.get() == python.none || result.get() == response);
  if (nothing && ended(response) && memberOf(request, exchange_python.request_yielded) == exchange_python.zero) {
    setMember(request, exchange_python.request_handle, Ref::borrowed(exchange_python.zero));
    return 0;
  }
  Ref done = tellOutcome(given.settle, result, response, request);
  int32_t passed_on = 0;
  if (!done || !take(done.get(), passed_on)) {
    python.write_unraisable(given.settle);
    failRequest(handle);
    return 0;
  }
  return passed_on;
}

/* For the next request, unless somebody can reach one of both, as a coroutine that waits does, or a weak reference. */
void ExchangeHandler::keepPair(Object *response, Object *request, bool are_ours) {
  bool free = are_ours && referenceCount(response) == OWN_REFERENCES && referenceCount(request) == OWN_REFERENCES &&
              ended(response) && !isWeaklyReferenced(response, exchange_python.response_weak) &&
              !isWeaklyReferenced(request, exchange_python.request_weak);
  bool used = memberOf(response, exchange_python.response_dirty) != exchange_python.not_dirty ||
              memberOf(request, exchange_python.request_dirty) != exchange_python.not_dirty;
  if (free && used) {
    free = static_cast<bool>(callWith(given.clean, response, request));
    if (!free) {
      python.write_unraisable(given.clean);
    }
  }
  if (!free) {
    python.list_set(given.pair, 0, newNone());
    python.list_set(given.pair, 1, newNone());
  }
}

int32_t ExchangeHandler::handle(uint32_t handle) {
  if (busy) {
    return ObjectHandler(given.otherwise).handle(handle);
  }
  beforeCallback();
  if (!havePair()) {
    failRequest(handle);
    return 0;
  }
  Ref response = Ref::borrowed(python.list_get(given.pair, 0));
  Ref request = Ref::borrowed(python.list_get(given.pair, 1));
  Object *types[] = {typeOf(response.get()), typeOf(request.get())};
  busy = true;
  int32_t passed_on = finish(handle, response.get(), request.get(), callHandler(handle, response.get(), request.get()));
  busy = false;
  /* Whoever gives them another class means this request. */
  keepPair(response.get(), request.get(), isExactly(response.get(), types[0]) && isExactly(request.get(), types[1]));
  return passed_on;
}

Object *newEndMethod(const sk_exchange_python &facts, Object *type) {
  exchange_python = facts;
  for (Object *each : {exchange_python.end, exchange_python.zero, exchange_python.not_dirty}) {
    python.inc_ref(each);
  }
  return newMethod(type, end_method, end, exchange_python.end_doc);
}

} // namespace sk
