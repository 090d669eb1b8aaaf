#include "cpython/coroutine.h"

#include "cpython/types.h"

#include <cassert>

namespace sk {

namespace {

/* The one instance of the type below. */
Object *finished = nullptr;

Object *awaitFinished(Object *self) { return Ref::borrowed(self).release(); }

/* Without an exception this is the end, with None. */
Object *nextOfFinished(Object *) { return nullptr; }

Object *sendToFinished(Object *, Object *) {
  python.set_error_none(python.stop_iteration);
  return nullptr;
}

Object *throwIntoFinished(Object *, Object *const *arguments, ptrdiff_t count) { return raiseThrown(arguments, count); }

Object *closeFinished(Object *, Object *const *, ptrdiff_t) { return newNone(); }

Method finished_methods[] = {
    callWithOne("send", sendToFinished),
    fastCall("throw", throwIntoFinished),
    fastCall("close", closeFinished),
    {nullptr, nullptr, 0, nullptr},
};

TypeSlot finished_slots[] = {
    {AM_AWAIT, reinterpret_cast<const void *>(awaitFinished)},
    {TP_ITERNEXT, reinterpret_cast<const void *>(nextOfFinished)},
    {TP_METHODS, finished_methods},
    {0, nullptr},
};

TypeSpec finished_spec = {"socketify.native.Finished", 0, 0, 0, finished_slots};

/* The task is not the current one any more; an exception that is set stays. */
bool leave(Object *loop, Object *task) {
  Object *arguments[] = {loop, task};
  return static_cast<bool>(call(python.leave_task, arguments));
}

} // namespace

Object *raiseThrown(Object *const *arguments, ptrdiff_t count) {
  if (count < 1) {
    python.set_error(python.type_error, "throw takes an exception");
    return nullptr;
  }
  Ref type(count == 1 ? python.get_attribute(arguments[0], "__class__") : nullptr);
  if (count == 1 && !type) {
    return nullptr;
  }
  if (count == 1 && !isExactly(arguments[0], python.type_type)) {
    python.set_error_object(type.get(), arguments[0]);
  } else {
    python.set_error_object(arguments[0], count > 1 ? arguments[1] : python.none);
  }
  return nullptr;
}

Stepped begin(Object *loop, Object *task, Object *coroutine) {
  Stepped failed{Step::Failed, Ref(), Ref()};
  Ref context(python.context_copy_current());
  Object *arguments[] = {loop, task};
  if (!context || !call(python.enter_task, arguments)) {
    return failed;
  }
  Object *result = nullptr;
  int sent = SEND_ERROR;
  if (python.context_enter(context.get()) == 0) {
    sent = python.iterator_send(coroutine, python.none, &result);
    python.context_exit(context.get());
  }
  Ref owned(result);
  if (sent == SEND_ERROR) {
    RaisedError error;
    if (leave(loop, task)) {
      error.restore();
    }
    return failed;
  }
  if (!leave(loop, task)) {
    return failed;
  }
  if (sent == SEND_NEXT) {
    return {Step::Waits, std::move(owned), std::move(context)};
  }
  return {Step::Finished, Ref(), Ref()};
}

Object *beginCoroutine(Object *, Object *const *arguments, ptrdiff_t count) {
  if (!counts(count, 3)) {
    return nullptr;
  }
  Stepped stepped = begin(arguments[0], arguments[1], arguments[2]);
  switch (stepped.outcome) {
  case Step::Failed:
    return nullptr;
  case Step::Finished:
    return newNone();
  case Step::Waits:
    break;
  }
  return newPair(std::move(stepped.yielded), std::move(stepped.context)).release();
}

Object *newFinished() { return Ref::borrowed(finished).release(); }

void prepareCoroutines() {
  Ref type(python.type_from_spec(&finished_spec, nullptr));
  finished = type ? python.vectorcall(type.get(), nullptr, 0, nullptr) : nullptr;
  assert(finished);
}

} // namespace sk
