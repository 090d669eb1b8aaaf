/* One request of an ASGI application and its response, while Python does not have to know of it. */
#ifndef SK_CPYTHON_ASGI_EXCHANGE_H
#define SK_CPYTHON_ASGI_EXCHANGE_H

#include "cpython/asgi_scope.h"
#include "cpython/members.h"
#include "http/slot_table.h"

#include <string_view>

namespace sk {

/* An object of a type of its own, which send and receive belong to. Who takes it from send.__self__ can only call it: that is how
 * events of the connection find the Python object that goes on. Python's collector sees everything that it holds. */
class AsgiExchange {
public:
  explicit AsgiExchange(Object *self) : self(self) {}

  /* None with an exception set. */
  static Ref create(AsgiRoute route, Object *number, uint32_t handle, int flags);
  static bool is(Object *object);

  Object *object() const { return self; }
  AsgiRoute route() const { return AsgiRoute(state().route); }
  uint32_t handle() const { return state().handle; }
  int phase() const { return state().phase; }
  /* Status line and fields, from the start message on; and how many fields. */
  Ref head() const { return Ref::borrowed(state().head); }
  int32_t fields() const { return state().fields; }
  bool isTakenOver() const { return state().successor; }
  /* Whether this is the thread that it belongs to: where they run at the same time, others must not touch it, and RuntimeError is
   * set. With the interpreter's lock they find out that the handle is none of theirs. */
  template <bool at_once> bool isHere() const { return !at_once || state().thread == threadMarker() || refuse(); }
  bool isComplete() const { return state().phase >= SK_ASGI_PHASE_DONE; }

  bool keepHead(std::string_view block, size_t fields) const;
  void stream() const { state().phase = SK_ASGI_PHASE_STREAM; }
  /* The response is complete. False with an exception set. */
  bool complete() const;

  /* The events of the connection are for this exchange from now on. False with an exception set. */
  bool follow() const;
  /* The task of an application that waits, or nothing when it does not run any more. */
  void setTask(Ref task) const;

  /* The next message for a request that nobody took over: all of its body; after that the list of what waits for the end of the
   * response, and then that it ended. None is for Python to say, null is an exception. */
  Ref receive() const;

  /* The Python object that goes on from here; none with an exception set. */
  Ref successor() const;
  /* Calls one of its methods. */
  template <typename... Arguments> Ref callSuccessor(const char *method, Arguments... arguments) const {
    Ref object = successor();
    Ref bound(object ? python.get_attribute(object.get(), method) : nullptr);
    return bound ? callWith(bound.get(), arguments...) : Ref();
  }

  /* Once, after the C API was loaded. */
  static void prepare();

private:
  /* What the object holds. Nothing of Python can reach it. */
  struct State {
    Object *route, *number, *head;
    Object *successor, *task, *readers;
    const void *thread;
    uint32_t handle;
    int32_t fields, flags, phase;
    bool is_followed;
  };

  State &state() const {
    char *memory = const_cast<char *>(static_cast<const char *>(self));
    return *reinterpret_cast<State *>(memory + python.object_size);
  }
  Ref wholeRequest() const;
  static bool refuse();

  static int traverse(Object *self, int (*visit)(Object *, void *), void *argument);
  static int clear(Object *self);
  static void destroy(Object *self);
  static Object *callObject(Object *self, Object *arguments, Object *names);

  Object *self;
};

} // namespace sk
#endif
