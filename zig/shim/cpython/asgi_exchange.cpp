#include "cpython/asgi_exchange.h"

#include "cpython/request.h"
#include "cpython/types.h"

#include <cassert>
#include <utility>

namespace sk {

namespace {

Object *exchange_type = nullptr;

/* Objects that are the same for all, made once. */
struct RequestNames {
  Object *type, *body, *more_body, *request, *disconnect;
  Object *empty, *is_false;
} request_names;

void forget(Object *&member) { Ref(std::exchange(member, nullptr)); }

} // namespace

Ref AsgiExchange::create(AsgiRoute route, Object *number, uint32_t handle, int flags) {
  Ref made(python.type_alloc(exchange_type, 0));
  if (made) {
    State &state = AsgiExchange(made.get()).state();
    state.route = Ref::borrowed(route.self()).release();
    state.number = Ref::borrowed(number).release();
    state.head = Ref::borrowed(request_names.empty).release();
    state.thread = threadsRunAtOnce() ? threadMarker() : nullptr;
    state.handle = handle;
    state.flags = flags;
    state.phase = SK_ASGI_PHASE_START;
  }
  return made;
}

bool AsgiExchange::refuse() {
  python.set_error(python.runtime_error, "receive and send are called in the thread of their event loop");
  return false;
}

bool AsgiExchange::is(Object *object) { return isExactly(object, exchange_type); }

bool AsgiExchange::keepHead(std::string_view block, size_t fields) const {
  Ref head = newBytes(block);
  if (!head) {
    return false;
  }
  State &here = state();
  Ref before(std::exchange(here.head, head.release()));
  here.fields = static_cast<int32_t>(fields);
  here.phase = SK_ASGI_PHASE_HEAD;
  return true;
}

bool AsgiExchange::complete() const {
  State &here = state();
  here.phase = SK_ASGI_PHASE_DONE;
  if (here.successor) {
    return static_cast<bool>(callSuccessor(SK_ASGI_COMPLETE));
  }
  if (std::exchange(here.is_followed, false) && python.dict_delete(route()[SK_ASGI_LIVE], here.number) != 0) {
    /* The client left at the same time. */
    python.error_clear();
  }
  return !here.readers || callWith(route()[SK_ASGI_WAKE], here.readers);
}

bool AsgiExchange::follow() const {
  State &here = state();
  here.is_followed = !isComplete();
  return !here.is_followed || python.dict_set(route()[SK_ASGI_LIVE], here.number, self) == 0;
}

void AsgiExchange::setTask(Ref task) const { Ref before(std::exchange(state().task, task.release())); }

Ref AsgiExchange::receive() const {
  State &here = state();
  if (isTakenOver()) {
    return Ref::borrowed(python.none);
  }
  if (isComplete()) {
    Ref message(python.new_dict());
    return setItem(message, request_names.type, Ref::borrowed(request_names.disconnect)) ? std::move(message) : Ref();
  }
  if (!(here.flags & SK_SCOPE_RECEIVED)) {
    return wholeRequest();
  }
  if (!here.readers) {
    here.readers = python.new_list(0);
  }
  return here.readers ? Ref::borrowed(here.readers) : Ref();
}

/* The message http.request with all of a body. */
Ref AsgiExchange::wholeRequest() const {
  State &here = state();
  Ref body = here.flags & SK_SCOPE_BODY ? takeBody(here.handle) : Ref::borrowed(request_names.empty);
  if (!body || body.get() == python.none) {
    return body;
  }
  here.flags |= SK_SCOPE_RECEIVED;
  Ref message(python.new_dict());
  bool made = message && setItem(message, request_names.type, Ref::borrowed(request_names.request)) &&
              setItem(message, request_names.body, body) &&
              setItem(message, request_names.more_body, Ref::borrowed(request_names.is_false));
  return made ? std::move(message) : Ref();
}

Ref AsgiExchange::successor() const {
  State &here = state();
  if (here.successor) {
    return Ref::borrowed(here.successor);
  }
  Ref phase(python.from_long(here.phase)), fields(python.from_long(here.fields)), flags(python.from_long(here.flags));
  if (!phase || !fields || !flags) {
    return Ref();
  }
  Ref kept = head();
  Ref task = Ref::borrowed(here.task ? here.task : python.none), readers = Ref::borrowed(here.readers ? here.readers : python.none);
  Ref made = callWith(route()[SK_ASGI_TAKE_OVER], here.number, phase.get(), kept.get(), fields.get(), flags.get(), task.get(),
                      readers.get());
  /* What ran meanwhile may have asked for it, too. */
  if (made && !here.successor) {
    here.successor = made.release();
  }
  return here.successor ? Ref::borrowed(here.successor) : Ref();
}

/* ---- as an object of Python */

int AsgiExchange::traverse(Object *self, int (*visit)(Object *, void *), void *argument) {
  const State &here = AsgiExchange(self).state();
  for (Object *each : {typeOf(self), here.route, here.number, here.head, here.successor, here.task, here.readers}) {
    if (int result = each ? visit(each, argument) : 0) {
      return result;
    }
  }
  return 0;
}

/* Only what is set later: whatever else is in a circle has somebody who can be told to let go. */
int AsgiExchange::clear(Object *self) {
  State &here = AsgiExchange(self).state();
  for (Object **each : {&here.successor, &here.task, &here.readers}) {
    forget(*each);
  }
  return 0;
}

void AsgiExchange::destroy(Object *self) {
  python.gc_untrack(self);
  clear(self);
  State &here = AsgiExchange(self).state();
  for (Object **each : {&here.route, &here.number, &here.head}) {
    forget(*each);
  }
  Ref type(typeOf(self));
  python.gc_delete(self);
}

Object *AsgiExchange::callObject(Object *self, Object *, Object *) {
  AsgiExchange exchange(self);
  return !threadsRunAtOnce() || exchange.isHere<true>() ? exchange.successor().release() : nullptr;
}

void AsgiExchange::prepare() {
  static TypeSlot slots[] = {
      {TP_CALL, reinterpret_cast<const void *>(callObject)},
      {TP_TRAVERSE, reinterpret_cast<const void *>(traverse)},
      {TP_CLEAR, reinterpret_cast<const void *>(clear)},
      {TP_DEALLOC, reinterpret_cast<const void *>(destroy)},
      {0, nullptr},
  };
  static TypeSpec spec = {"socketify.native.ASGIExchange", static_cast<int>(python.object_size + sizeof(State)), 0,
                          TPFLAGS_HAVE_GC | TPFLAGS_IMMUTABLE | TPFLAGS_NOT_CALLABLE, slots};
  exchange_type = python.type_from_spec(&spec, nullptr);
  assert(exchange_type);
  request_names = {
      python.intern("type"),
      python.intern("body"),
      python.intern("more_body"),
      python.intern("http.request"),
      python.intern("http.disconnect"),
      python.from_bytes("", 0),
      python.from_bool(0),
  };
}

} // namespace sk
