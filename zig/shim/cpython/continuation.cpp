#include "cpython/continuation.h"

#include "cpython/coroutine.h"
#include "cpython/members.h"
#include "cpython/types.h"

#include <utility>

namespace sk {

namespace {

/* All null until the class is known. */
sk_continuation_python continuation_python = {};
Object *true_object = nullptr;
Object *false_object = nullptr;
/* The type that is made of the class, and the names of what its tasks are made with. */
Object *continuation_type = nullptr;
Object *task_names = nullptr;

/* One of them. A program can reach it by its task and put anything into its members: nothing is taken for granted of what lies
 * there, or that it stays while Python runs. An empty member is None to Python. */
template <bool at_once> class Continuation {
public:
  explicit Continuation(Object *self) : self(self) {}

  /* Whether it has a coroutine that has not ended. */
  bool isActive() const {
    Object *context = memberOf<at_once>(self, continuation_python.context);
    return context && context != python.none && memberOf<at_once>(self, continuation_python.coroutine);
  }

  /* What the first step of the coroutine yielded, once; else nothing. */
  Ref takeYielded() const {
    if (memberOf<at_once>(self, continuation_python.is_pending) != true_object) {
      return Ref();
    }
    set(continuation_python.is_pending, Ref::borrowed(false_object));
    return take(continuation_python.yielded);
  }

  /* Goes on with a coroutine. Without a result an exception is set; else its task. */
  Ref adopt(Object *coroutine, Object *waits, Object *report, Object *finish) const {
    if (!isExactly(waits, python.tuple_type) || python.tuple_length(waits) != 2) {
      python.set_error(python.type_error, "waits must be what begin returned");
      return Ref();
    }
    const std::pair<size_t, Object *> given[] = {
        {continuation_python.coroutine, coroutine},
        {continuation_python.yielded, python.tuple_get(waits, 0)},
        {continuation_python.context, python.tuple_get(waits, 1)},
        {continuation_python.is_pending, true_object},
        {continuation_python.report, report},
        {continuation_python.finish, finish},
    };
    for (auto [member, value] : given) {
      set(member, Ref::borrowed(value));
    }
    Ref running = heldMember(continuation_python.running), waker = heldMember(continuation_python.waker);
    bool waits_already = waker.get() != python.none;
    if (python.set_add(running.get(), self) != 0 || (waits_already && !callWith(continuation_python.wake, self))) {
      return Ref();
    }
    return heldMember(continuation_python.task);
  }

  /* Steps the active coroutine; the result is a PySendResult, as for the following ones. */
  int send(Object *value, Object **result) const {
    Ref context = heldMember(continuation_python.context), coroutine = heldMember(continuation_python.coroutine);
    int sent = SEND_ERROR;
    if (python.context_enter(context.get()) == 0) {
      sent = python.iterator_send(coroutine.get(), value, result);
      python.context_exit(context.get());
    }
    return sent == SEND_NEXT ? sent : end(sent, result);
  }

  int throwInto(Object *const *arguments, ptrdiff_t count, Object **result) const {
    Ref context = heldMember(continuation_python.context), coroutine = heldMember(continuation_python.coroutine);
    Ref method(python.get_attribute(coroutine.get(), "throw"));
    if (method && python.context_enter(context.get()) == 0) {
      *result = python.vectorcall(method.get(), arguments, static_cast<size_t>(count), nullptr);
      python.context_exit(context.get());
    }
    if (*result) {
      return SEND_NEXT;
    }
    if (python.error_occurred() != python.stop_iteration) {
      return end(SEND_ERROR, result);
    }
    {
      RaisedError stop;
      *result = python.get_attribute(stop.instance(), "value");
    }
    return end(*result ? SEND_RETURN : SEND_ERROR, result);
  }

private:
  void set(size_t member, Ref value) const { setMember<at_once>(self, member, std::move(value)); }
  Ref take(size_t member) const { return swapMember<at_once>(self, member, Ref()); }
  Ref heldMember(size_t member) const {
    Ref found = memberRef<at_once>(self, member);
    return found ? std::move(found) : Ref::borrowed(python.none);
  }

  /* The coroutine ended: tells who asked for that, and what the task ends with. */
  int end(int sent, Object **result) const {
    RaisedError error;
    Ref returned(std::exchange(*result, nullptr));
    Ref finish = take(continuation_python.finish), report = take(continuation_python.report);
    leave();
    if (sent == SEND_ERROR) {
      return fail(report, error, result);
    }
    if (finish && finish.get() != python.none && !Ref(python.vectorcall(finish.get(), nullptr, 0, nullptr))) {
      RaisedError another;
      return fail(report, another, result);
    }
    *result = returned.release();
    return SEND_RETURN;
  }

  /* Is among those that run no longer. */
  void leave() const {
    Ref context = take(continuation_python.context), task = take(continuation_python.task);
    Ref running = take(continuation_python.running);
    if (running && python.set_discard(running.get(), self) < 0) {
      python.error_clear();
    }
  }

  int fail(const Ref &report, RaisedError &error, Object **result) const {
    Object *to = report ? report.get() : python.none;
    Ref ends_task = callWith(continuation_python.fail, self, to, error.instance());
    if (!ends_task) {
      return SEND_ERROR;
    }
    if (ends_task.get() == true_object) {
      error.restore();
      return SEND_ERROR;
    }
    *result = newNone();
    return SEND_RETURN;
  }

  Object *self;
};

template <bool at_once> int sendToCoroutine(Object *self, Object *value, Object **result) {
  *result = nullptr;
  Continuation<at_once> continuation(self);
  if (!continuation.isActive()) {
    *result = callWith(continuation_python.idle, self).release();
    return *result ? SEND_NEXT : SEND_ERROR;
  }
  Ref yielded = continuation.takeYielded();
  if (yielded) {
    *result = yielded.release();
    return SEND_NEXT;
  }
  return continuation.send(value, result);
}

/* As a method returns what became of a step. */
Object *resultOfStep(int sent, Object *result) {
  if (sent == SEND_RETURN) {
    Ref returned(result);
    /* An instance: a tuple would be taken for the arguments of one. */
    Object *arguments[] = {nullptr, result};
    Ref stop(python.vectorcall(python.stop_iteration, arguments + 1, 1 | ROOM_BEFORE, nullptr));
    if (stop) {
      python.set_error_object(python.stop_iteration, stop.get());
    }
    return nullptr;
  }
  return result;
}

/* send(value) */
template <bool at_once> Object *sendValue(Object *self, Object *value) {
  Object *result = nullptr;
  int sent = sendToCoroutine<at_once>(self, value, &result);
  return resultOfStep(sent, result);
}

/* throw(exception) or throw(type, value, traceback) */
template <bool at_once> Object *throwIntoCoroutine(Object *self, Object *const *arguments, ptrdiff_t count) {
  Continuation<at_once> continuation(self);
  if (!continuation.isActive()) {
    return raiseThrown(arguments, count);
  }
  /* It is not waited for any more. */
  continuation.takeYielded();
  Object *result = nullptr;
  int sent = continuation.throwInto(arguments, count, &result);
  return resultOfStep(sent, result);
}

/* Its task is dropped, and the coroutine goes with it: that is an end, too. */
void finalizeContinuation(Object *self) {
  if (!Continuation<false>(self).isActive()) {
    return;
  }
  RaisedError before;
  Ref close(python.get_attribute(self, "close"));
  if (!close || !Ref(python.vectorcall(close.get(), nullptr, 0, nullptr))) {
    python.write_unraisable(self);
  }
  before.restore();
}

template <bool at_once>
Method continuation_methods[] = {
    callWithOne("send", sendValue<at_once>),
    fastCall("throw", throwIntoCoroutine<at_once>),
    {nullptr, nullptr, 0, nullptr},
};

template <bool at_once>
TypeSlot continuation_slots[] = {
    {AM_SEND, reinterpret_cast<const void *>(sendToCoroutine<at_once>)},
    {TP_METHODS, continuation_methods<at_once>},
    {TP_FINALIZE, reinterpret_cast<const void *>(finalizeContinuation)},
    {0, nullptr},
};

template <bool at_once> Object *makeType(Object *bases) {
  static TypeSpec spec = {"socketify.native.NativeContinuation", 0, 0, 0, continuation_slots<at_once>};
  return python.type_from_spec(&spec, bases);
}

/* ---- the runner */

/* Puts an item into the list of a runner that is as it was made; what that lets go of may run Python. */
void putItem(Object *runner, ptrdiff_t item, Ref value) {
  if (python.list_set(runner, item, value.release()) != 0) {
    python.error_clear();
  }
}

bool isIntact(Object *runner) { return isExactly(runner, python.list_type) && python.list_length(runner) == SK_RUNNER_ITEMS; }

/* The same, with an exception if not. */
bool checkIntact(Object *runner) {
  bool intact = isIntact(runner);
  if (!intact) {
    python.set_error(python.runtime_error, "somebody changed what coroutines are run by");
  }
  return intact;
}

Ref callRunner(Object *runner, const char *name, Object *const *arguments, size_t count) {
  if (!checkIntact(runner)) {
    return Ref();
  }
  Ref method(python.get_attribute(python.list_get(runner, SK_RUNNER_ITSELF), name));
  return Ref(method ? python.vectorcall(method.get(), arguments, count, nullptr) : nullptr);
}

/* Whether coroutines were begun that are still to go on in other tasks than the next one. */
bool hasBegun(Object *runner) {
  Object *begun = python.list_get(runner, SK_RUNNER_BEGUN);
  return !isExactly(begun, python.list_type) || python.list_length(begun) != 0;
}

/* A continuation with its task, for a runner that is intact. */
Ref newSpare(Object *runner) {
  Ref spare(python.vectorcall(continuation_type, nullptr, 0, nullptr));
  if (!spare || !checkIntact(runner)) {
    return Ref();
  }
  Ref loop = Ref::borrowed(python.list_get(runner, SK_RUNNER_LOOP));
  Ref task_type = Ref::borrowed(python.list_get(runner, SK_RUNNER_TASK_TYPE));
  setMember(spare.get(), continuation_python.runner, Ref::borrowed(python.list_get(runner, SK_RUNNER_ITSELF)));
  setMember(spare.get(), continuation_python.running, Ref::borrowed(python.list_get(runner, SK_RUNNER_RUNNING)));
  Object *arguments[] = {spare.get(), loop.get()};
  Ref task(callNamed(task_type.get(), arguments, 1, task_names));
  if (!task) {
    return Ref();
  }
  setMember(spare.get(), continuation_python.task, std::move(task));
  return checkIntact(runner) ? std::move(spare) : Ref();
}

} // namespace

Ref prepareTask(Object *runner) {
  if (!checkIntact(runner)) {
    return Ref();
  }
  Object *found = python.list_get(runner, SK_RUNNER_TASK);
  if (found != python.none) {
    return Ref::borrowed(found);
  }
  if (hasBegun(runner) || !continuation_type) {
    return callRunner(runner, SK_RUNNER_PREPARE, nullptr, 0);
  }
  Ref spare = newSpare(runner);
  if (!spare) {
    return Ref();
  }
  Ref task = memberRef(spare.get(), continuation_python.task);
  putItem(runner, SK_RUNNER_TASK, Ref::borrowed(task.get()));
  putItem(runner, SK_RUNNER_SPARE, std::move(spare));
  return task;
}

Ref carryOn(Object *runner, Object *coroutine, Object *waits, Object *report, Object *finish) {
  Ref spare;
  if (isIntact(runner) && !hasBegun(runner) && isExactly(python.list_get(runner, SK_RUNNER_SPARE), continuation_type)) {
    spare = Ref::borrowed(python.list_get(runner, SK_RUNNER_SPARE));
  }
  if (!spare) {
    Object *arguments[] = {coroutine, waits, report, finish};
    return callRunner(runner, SK_RUNNER_ADOPT, arguments, std::size(arguments));
  }
  putItem(runner, SK_RUNNER_TASK, Ref::borrowed(python.none));
  putItem(runner, SK_RUNNER_SPARE, Ref::borrowed(python.none));
  return threadsRunAtOnce() ? Continuation<true>(spare.get()).adopt(coroutine, waits, report, finish)
                            : Continuation<false>(spare.get()).adopt(coroutine, waits, report, finish);
}

Object *prepareTaskOf(Object *, Object *const *arguments, ptrdiff_t count) {
  return counts(count, 1) ? prepareTask(arguments[0]).release() : nullptr;
}

Object *carryOnIn(Object *, Object *const *arguments, ptrdiff_t count) {
  if (!counts(count, 5)) {
    return nullptr;
  }
  return carryOn(arguments[0], arguments[1], arguments[2], arguments[3], arguments[4]).release();
}

Object *newContinuationType(const sk_continuation_python &facts) {
  continuation_python = facts;
  true_object = python.from_bool(1);
  false_object = python.from_bool(0);
  Ref bases(python.new_tuple(1)), names(python.new_tuple(1));
  if (!bases || python.tuple_set(bases.get(), 0, Ref::borrowed(continuation_python.type).release()) != 0 || !names ||
      python.tuple_set(names.get(), 0, python.intern("loop")) != 0) {
    return nullptr;
  }
  task_names = names.release();
  continuation_type = threadsRunAtOnce() ? makeType<true>(bases.get()) : makeType<false>(bases.get());
  return continuation_type ? Ref::borrowed(continuation_type).release() : nullptr;
}

} // namespace sk
