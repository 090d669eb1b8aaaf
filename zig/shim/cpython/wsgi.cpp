#include "cpython/wsgi.h"

#include "cpython/handler.h"
#include "cpython/hidden_loop.h"
#include "cpython/items.h"
#include "cpython/members.h"
#include "http/body.h"
#include "http/bytes.h"
#include "http/callback.h"
#include "http/clock.h"

#include <algorithm>
#include <cassert>
#include <mutex>
#include <optional>
#include <vector>

namespace sk {

namespace {

/* Items of the list that start_response and write share: what Python took over with, or None. */
enum Shared : ptrdiff_t { EXCHANGE, START, WRITE, SHARED_ITEMS };

/* Py_TPFLAGS_LIST_SUBCLASS, Py_TPFLAGS_TUPLE_SUBCLASS. */
constexpr unsigned long LIST_OR_TUPLE = (1ul << 25) | (1ul << 26);

/* All there are, of all threads. */
std::vector<Wsgi *> instances;
std::mutex instances_mutex;
/* The one whose application this thread runs, where others may run one at the same time. */
thread_local Wsgi *serving = nullptr;

/* METH_FASTCALL | METH_KEYWORDS. */
using CallWithKeywords = Object *(*)(Object *self, Object *const *arguments, ptrdiff_t count, Object *keywords);

Method callWithKeywords(const char *name, CallWithKeywords function) {
  return {name, reinterpret_cast<const void *>(function), METH_FASTCALL | METH_KEYWORDS, nullptr};
}

/* Whose request runs with this list; null with an exception set. */
template <bool at_once> Wsgi *ownerOf(Object *shared) {
  if constexpr (at_once) {
    if (serving && serving->runsWith(shared)) {
      return serving;
    }
    python.set_error(python.type_error, "the request is over, or another thread's");
    return nullptr;
  }
  /* An application may have other threads call while it waits for them: the interpreter's lock keeps them out of each other's way.
   */
  for (Wsgi *each : instances) {
    if (each->runsWith(shared)) {
      return each;
    }
  }
  python.set_error(python.type_error, "the request is over");
  return nullptr;
}

using Early = Object *(Wsgi::*)(Object *const *arguments, ptrdiff_t count, Object *keywords);

/* Calls what took over, or else the owner. */
template <bool at_once, Shared item, Early early>
Object *dispatch(Object *self, Object *const *arguments, ptrdiff_t count, Object *keywords) {
  HeldItem<at_once> found(self, item);
  if (found.get() != python.none) {
    /* Held here: the list is anybody's. */
    Ref instead = found.get() ? Ref::borrowed(found.get()) : Ref();
    return instead ? callNamed(instead.get(), arguments, static_cast<size_t>(count), keywords) : nullptr;
  }
  Wsgi *owner = ownerOf<at_once>(self);
  return owner ? (owner->*early)(arguments, count, keywords) : nullptr;
}

Ref numberOrNone(std::optional<uint64_t> number) {
  return number ? Ref(python.from_unsigned_long(*number)) : Ref::borrowed(python.none);
}

Ref orNone(Object *object) { return Ref::borrowed(object ? object : python.none); }

/* The content of a block as most are, or nothing. */
std::optional<std::string_view> simpleBlock(Object *block, int32_t max) {
  std::string_view content;
  if (!isExactly(block, python.bytes_type) || !take(block, content) || content.length() > static_cast<size_t>(max)) {
    return std::nullopt;
  }
  return content;
}

/* One block of all of them; none when they are not as simple. */
Ref joined(const std::vector<Ref> &blocks, int32_t max) {
  size_t length = 0;
  for (const Ref &each : blocks) {
    std::optional<std::string_view> content = simpleBlock(each.get(), max);
    if (!content || (length += content->length()) > static_cast<size_t>(max)) {
      return Ref();
    }
  }
  Ref made(python.from_bytes(nullptr, static_cast<ptrdiff_t>(length)));
  std::string_view room;
  if (!made || !take(made.get(), room)) {
    python.error_clear();
    return Ref();
  }
  /* Nobody else has seen it. */
  char *out = const_cast<char *>(room.data());
  for (const Ref &each : blocks) {
    out = put(out, *simpleBlock(each.get(), max));
  }
  return made;
}

template <bool at_once>
Method start_response_method = callWithKeywords("start_response", dispatch<at_once, START, &Wsgi::startResponse<at_once>>);
template <bool at_once> Method write_method = callWithKeywords("write", dispatch<at_once, WRITE, &Wsgi::write>);

} // namespace

Wsgi::Wsgi(const sk_wsgi_options &given) : options(given), environs(given) {
  std::lock_guard<std::mutex> lock(instances_mutex);
  instances.push_back(this);
}

Wsgi::~Wsgi() {
  std::lock_guard<std::mutex> lock(instances_mutex);
  std::erase(instances, this);
}

template <bool at_once> bool Wsgi::makeFunctions() {
  functions = {};
  Ref shared(python.new_list(SHARED_ITEMS));
  if (!shared) {
    return false;
  }
  for (ptrdiff_t item : {EXCHANGE, START, WRITE}) {
    python.inc_ref(python.none);
    python.list_set(shared.get(), item, python.none);
  }
  functions.start = Ref(python.new_function(&start_response_method<at_once>, shared.get(), nullptr));
  functions.write = Ref(python.new_function(&write_method<at_once>, shared.get(), nullptr));
  functions.shared = std::move(shared);
  return functions.start && functions.write;
}

template <bool at_once> bool Wsgi::isTaken() const {
  /* Whoever takes the list from __self__ can do with it what he likes, where threads run at once at any time. */
  if (python.list_length(functions.shared.get()) != SHARED_ITEMS) {
    return true;
  }
  HeldItem<at_once> exchange(functions.shared.get(), EXCHANGE);
  if (!exchange.get()) {
    python.error_clear();
  }
  return exchange.get() != python.none;
}

bool Wsgi::isTaken() const { return threadsRunAtOnce() ? isTaken<true>() : isTaken<false>(); }

/* Nobody else can reach them. */
template <bool at_once> bool Wsgi::areAlone() const {
  bool is_known = at_once ? python.counting == SK_COUNT_SPLIT : python.counting == SK_COUNT_FIRST;
  return is_known && hasReferences<at_once>(functions.start.get(), 1) && hasReferences<at_once>(functions.write.get(), 1) &&
         hasReferences<at_once>(functions.shared.get(), 3) && !isWeaklyReferenced(functions.start.get(), python.function_weak) &&
         !isWeaklyReferenced(functions.write.get(), python.function_weak);
}

int32_t Wsgi::handle(uint32_t handle) {
  uWS::HttpRequest *request = findRequest(handle);
  Slot *slot = findHttpSlot(handle);
  assert(request && slot);
  bool has_body = request->hasBody(), tells_length = request->tellsLength(), is_head_request = slot->flags & HEAD_REQUEST;
  /* A copy at once: what is below runs Python, which may close the connection. */
  std::optional<std::string_view> here = has_body ? takeBodyHere(*slot) : std::nullopt;
  Ref content = here ? newBytes(*here) : Ref();
  Ref environ = content || !here ? environs.build(*slot, *request) : Ref();
  Ref input = content && environ ? callWith(options.new_input, content.get()) : Ref();
  if (!environ ||
      (here && (!input || !environs.setInput(environ, input, tells_length ? std::nullopt : std::optional(here->length()))))) {
    beforeCallback();
    fail(handle);
    return 0;
  }
  if (!options.application || (has_body && !here)) {
    beforeCallback();
    Ref number(python.from_unsigned_long(handle)), flags(python.from_long(has_body && !here ? SK_SCOPE_BODY : 0));
    if (!number || !flags ||
        !callWith(options.on_request, number.get(), flags.get(), environ.get(), input ? input.get() : python.none)) {
      fail(handle);
    }
    return 0;
  }
  bool at_once = threadsRunAtOnce();
  if (!functions.write && !(at_once ? makeFunctions<true>() : makeFunctions<false>())) {
    beforeCallback();
    fail(handle);
  } else if (at_once) {
    serve<true>(handle, is_head_request, std::move(environ), std::move(input));
  } else {
    serve<false>(handle, is_head_request, std::move(environ), std::move(input));
  }
  return 0;
}

template <bool at_once> void Wsgi::serve(uint32_t handle, bool is_head_request, Ref environ, Ref input) {
  LoopHidden hidden(options.get_running_loop, options.set_running_loop);
  Request request{WsgiResponse(handle, is_head_request), environ.get(), std::move(input)};
  running = &request;
  if constexpr (at_once) {
    serving = this;
  }
  answer<at_once>();
  environ = Ref();
  if (request.input) {
    closeInput();
  }
  if (isTaken<at_once>() || !areAlone<at_once>()) {
    functions = {};
  }
  running = nullptr;
  if constexpr (at_once) {
    serving = nullptr;
  }
}

template <bool at_once> void Wsgi::answer() {
  Ref result = callWith(options.application, running->environ, functions.start.get());
  if (!result) {
    passError();
  } else if (isTaken<at_once>()) {
    passTo(options.on_result, result.get());
  } else if (sendWhole<at_once>(result.get())) {
    result = Ref();
  } else if (isStream(result.get())) {
    stream(std::move(result));
  } else {
    passTo(options.on_result, result.get());
  }
  /* What somebody keeps must know that the request is over. */
  if (!isTaken<at_once>() && !areAlone<at_once>() && !takeOver(SK_WSGI_STARTED | SK_WSGI_OVER | SK_WSGI_DONE)) {
    fail(0);
  }
  running->environ = nullptr;
}

/* Sends a result that is complete; false when nothing was done. */
template <bool at_once> bool Wsgi::sendWhole(Object *result) {
  Items<at_once> items(result);
  if (running->response.started || !items) {
    return false;
  }
  ptrdiff_t count = items.length();
  /* Held here: what is called back meanwhile, as the access log, may change the list. */
  Ref body = count == 1 ? Ref::borrowed(items[0]) : Ref();
  if (count != 1) {
    std::vector<Ref> blocks;
    for (ptrdiff_t i = 0; i < count; i++) {
      blocks.push_back(Ref::borrowed(items[i]));
    }
    body = joined(blocks, options.piece_bytes);
  }
  std::optional<std::string_view> content = body ? simpleBlock(body.get(), options.piece_bytes) : std::nullopt;
  return content && running->response.send(body.get(), *content);
}

/* Whether a result can be sent block by block here. */
bool Wsgi::isStream(Object *result) {
  const WsgiResponse &response = running->response;
  Object *type = typeOf(result);
  if (type == options.file_wrapper) {
    return false;
  }
  if (response.started || type == python.generator_type) {
    return true;
  }
  if (python.type_flags(type) & LIST_OR_TUPLE) {
    return false;
  }
  if (!response.lacksLength()) {
    return true;
  }
  /* The length of the only block is that of the body. */
  Ref sized(python.get_attribute(type, "__len__"));
  if (!sized) {
    python.error_clear();
  }
  return !sized;
}

/* Sends a result block by block: each leaves before the next is asked for (PEP 3333, Buffering and Streaming). */
void Wsgi::stream(Ref result) {
  WsgiResponse &response = running->response;
  Ref blocks(python.get_iterator(result.get()));
  Ref block;
  Stop stop = blocks ? pump(blocks.get(), block) : Stop::Error;
  if (stop == Stop::Error) {
    passError();
    blocks = Ref();
    close(std::move(result));
    return;
  }
  bool runs_on = stop == Stop::GoOn || stop == Stop::Full || stop == Stop::Turn;
  if (!runs_on && !isTaken() && (response.left || response.over || response.finish())) {
    /* A generator that ran out has nothing to close. */
    bool is_closed = stop == Stop::End && isExactly(result.get(), python.generator_type);
    blocks = Ref();
    if (!is_closed) {
      close(std::move(result));
    }
    return;
  }
  Ref first(python.new_tuple(block ? 1 : 0));
  if (first && block) {
    python.tuple_set(first.get(), 0, block.release());
  }
  Ref why(python.from_long(stop == Stop::Full ? SK_WSGI_FULL : stop == Stop::Turn ? SK_WSGI_TURN : SK_WSGI_GO_ON));
  if (!first || !why) {
    fail(response.handle);
    return;
  }
  passTo(options.on_blocks, result.get(), first.get(), runs_on ? blocks.get() : python.none, why.get());
}

/* Sends blocks while they are simple, the connection takes them and others need not wait. A block that was not sent is left. */
Wsgi::Stop Wsgi::pump(Object *blocks, Ref &block) {
  WsgiResponse &response = running->response;
  int64_t turn_ends = monotonicNs() + options.turn_ns;
  while (true) {
    block = Ref(python.iterator_next(blocks));
    if (!block) {
      return python.error_occurred() ? Stop::Error : Stop::End;
    }
    std::optional<std::string_view> content = simpleBlock(block.get(), options.piece_bytes);
    if (!content || isTaken()) {
      return Stop::GoOn;
    }
    if (content->empty()) {
      continue;
    }
    int32_t result = response.put(block.get(), *content);
    if (result != SK_OK && result != SK_BUFFERED && result != SK_GONE) {
      return Stop::GoOn;
    }
    block = Ref();
    if (response.isFull()) {
      /* The code of the application after its last block still runs. */
      response.finish();
    }
    bool is_enough = response.left || (!response.remaining() && response.isBodiless());
    if (is_enough) {
      return Stop::Enough;
    }
    if (result == SK_BUFFERED && !response.over) {
      return Stop::Full;
    }
    if (monotonicNs() >= turn_ends) {
      return Stop::Turn;
    }
  }
}

/* Calls the close of a result, which must be called in any case. */
void Wsgi::close(Ref result) {
  Ref method(python.get_attribute(result.get(), "close"));
  if (!method && python.error_matches(python.attribute_error)) {
    python.error_clear();
    return;
  }
  if (method && method.get() == python.none) {
    return;
  }
  if (!method || !Ref(python.vectorcall(method.get(), nullptr, 0, nullptr))) {
    fail(0);
  }
}

/* Releases the body of the request, unless nobody has it any more, or the response goes on. */
void Wsgi::closeInput() {
  Ref input = std::move(running->input);
  if (!running->passed_on && !hasReferences(input.get(), 1)) {
    close(std::move(input));
  }
}

/* Lets Python do the rest of the request. False when an exception is set. */
bool Wsgi::takeOver(int32_t state) {
  Object *shared = functions.shared.get();
  if (isTaken()) {
    return true;
  }
  const WsgiResponse &response = running->response;
  const GivenHead *head = response.head;
  std::optional<uint64_t> length = head && head->facts.has_length ? std::optional(head->facts.length) : std::nullopt;
  Ref given[] = {
      Ref(python.from_unsigned_long(response.handle)),
      orNone(running->environ),
      orNone(running->input.get()),
      head ? newBytes(head->block) : orNone(nullptr),
      Ref(python.from_long(head ? head->fields : 0)),
      numberOrNone(length),
      Ref(python.from_long(state | response.state())),
      numberOrNone(response.remaining()),
  };
  Object *arguments[std::size(given)];
  for (size_t i = 0; i < std::size(given); i++) {
    arguments[i] = given[i].get();
    if (!arguments[i]) {
      return false;
    }
  }
  Ref parts = call(options.new_exchange, arguments);
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

/* Calls a function with what takes over, and then these. */
template <typename... Arguments> void Wsgi::passTo(Object *callback, Arguments... arguments) {
  Ref exchange = takeOver(0) ? itemOf(functions.shared.get(), EXCHANGE) : Ref();
  if (!exchange || !callWith(callback, exchange.get(), arguments...)) {
    fail(running->response.handle);
    return;
  }
  running->passed_on = true;
}

/* Passes on the error that is set, of the application. */
void Wsgi::passError() {
  RaisedError error;
  passTo(options.on_error, error.instance());
  running->passed_on = false;
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

template <bool at_once> Object *Wsgi::startResponse(Object *const *arguments, ptrdiff_t count, Object *keywords) {
  WsgiResponse &response = running->response;
  bool plain = !keywords && (count == 2 || (count == 3 && arguments[2] == python.none)) && !response.head;
  if (plain && (response.head = heads.find<at_once>(arguments[0], arguments[1]))) {
    python.inc_ref(functions.write.get());
    return functions.write.get();
  }
  return passOn(START, arguments, count, keywords);
}

Object *Wsgi::write(Object *const *arguments, ptrdiff_t count, Object *keywords) {
  std::optional<std::string_view> block;
  if (!keywords && count == 1 && (block = simpleBlock(arguments[0], options.piece_bytes))) {
    /* Held here: the caller's own may be anybody's. */
    Ref owner = Ref::borrowed(arguments[0]);
    int32_t result = block->empty() ? SK_OK : running->response.put(owner.get(), *block);
    if (result == SK_OK || result == SK_BUFFERED) {
      return newNone();
    }
  }
  return passOn(WRITE, arguments, count, keywords);
}

Object *Wsgi::passOn(ptrdiff_t item, Object *const *arguments, ptrdiff_t count, Object *keywords) {
  Ref instead = takeOver(0) ? itemOf(functions.shared.get(), item) : Ref();
  return instead ? callNamed(instead.get(), arguments, static_cast<size_t>(count), keywords) : nullptr;
}

} // namespace sk
