/* CPython's C API as the shim uses it: functions by address, owned references, and arguments as C++ types. */
#ifndef SK_CPYTHON_API_H
#define SK_CPYTHON_API_H

#include "abi/socketify.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

namespace sk {

/* A PyObject. */
using Object = const void;

/* Set once, by the thread that imports the package. */
extern sk_python python;

/* METH_FASTCALL and METH_O, as the stable ABI has them. */
constexpr int METH_FASTCALL = 0x80;
constexpr int METH_KEYWORDS = 0x2;
constexpr int METH_O = 0x8;

using FastCall = Object *(*)(Object *self, Object *const *arguments, ptrdiff_t count);
using FastCallWithNames = Object *(*)(Object *self, Object *const *arguments, ptrdiff_t count, Object *names);
using CallWithOne = Object *(*)(Object *self, Object *argument);

/* PyMethodDef. CPython keeps pointers to it: it must not move. */
struct Method {
  const char *name;
  const void *function;
  int flags;
  const char *doc;
};

inline Method fastCall(const char *name, FastCall function) {
  return {name, reinterpret_cast<const void *>(function), METH_FASTCALL, nullptr};
}

inline Method callWithOne(const char *name, CallWithOne function) {
  return {name, reinterpret_cast<const void *>(function), METH_O, nullptr};
}

/* PY_VECTORCALL_ARGUMENTS_OFFSET: the word before the arguments is free, where a bound method puts its instance. */
constexpr size_t ROOM_BEFORE = size_t{1} << (8 * sizeof(size_t) - 1);

/* An owned reference, or none: then an exception is set, mostly. */
class Ref {
public:
  Ref() = default;
  explicit Ref(Object *owned) : object(owned) {}
  Ref(Ref &&other) noexcept : object(std::exchange(other.object, nullptr)) {}
  Ref &operator=(Ref &&other) noexcept {
    std::swap(object, other.object);
    return *this;
  }
  ~Ref() {
    if (object) {
      python.dec_ref(object);
    }
  }

  static Ref borrowed(Object *object) {
    python.inc_ref(object);
    return Ref(object);
  }

  explicit operator bool() const { return object; }
  Object *get() const { return object; }
  /* Hands the reference over. */
  Object *release() { return std::exchange(object, nullptr); }

private:
  Object *object = nullptr;
};

/* The exception that is set, put aside. */
class RaisedError {
public:
  RaisedError() { python.error_fetch(&type, &value, &traceback); }
  RaisedError(const RaisedError &) = delete;
  ~RaisedError() {
    for (Object *each : {type, value, traceback}) {
      if (each) {
        python.dec_ref(each);
      }
    }
  }

  void restore() {
    python.error_restore(std::exchange(type, nullptr), std::exchange(value, nullptr), std::exchange(traceback, nullptr));
  }
  /* The exception as an object, with its traceback. */
  Object *instance() {
    python.error_normalize(&type, &value, &traceback);
    if (traceback) {
      python.set_traceback(value, traceback);
    }
    return value;
  }

private:
  Object *type = nullptr;
  Object *value = nullptr;
  Object *traceback = nullptr;
};

inline Object *newNone() { return Ref::borrowed(python.none).release(); }

inline Object *typeOf(Object *object) { return static_cast<Object *const *>(object)[python.type_word]; }

/* Its type itself, not one derived from it. */
inline bool isExactly(Object *object, Object *type) { return typeOf(object) == type; }

template <size_t count> Ref call(Object *callable, Object *const (&arguments)[count]) {
  return Ref(python.vectorcall(callable, arguments, count, nullptr));
}

template <typename... Arguments> Ref callWith(Object *callable, Arguments... arguments) {
  Object *given[] = {arguments..., nullptr};
  return Ref(python.vectorcall(callable, given, sizeof...(arguments), nullptr));
}

/* Calls with the arguments of a METH_FASTCALL | METH_KEYWORDS function: what is passed by `names`, a tuple or null, follows the
 * `count` that are passed by position. Null when an exception is set. */
Object *callNamed(Object *callable, Object *const *arguments, size_t count, Object *names);
/* Calls a function with the arguments of one of its methods. */
Object *passOn(Object *function, Object *self, Object *const *arguments, ptrdiff_t count, Object *names);

/* Whether threads of Python run at the same time: then what belongs to the program may change while it is looked at. */
inline bool threadsRunAtOnce() { return python.section_begin; }

/* Calls a function with the outcome of a call: behind `given` its result, and its error, which is taken; one of both is None. */
template <typename... Given> Ref callWithOutcome(Object *function, const Ref &result, Given... given) {
  if (result) {
    return callWith(function, given..., result.get(), python.none);
  }
  RaisedError error;
  return callWith(function, given..., python.none, error.instance());
}

/* A new reference to a method for a type, or null with an exception set. The method and its documentation stay where they are. */
inline Object *newMethod(Object *type, Method &method, FastCallWithNames function, const char *doc) {
  method.function = reinterpret_cast<const void *>(function);
  method.doc = doc;
  return python.new_method(type, &method);
}

/* Whether a call has the right number of arguments; if not, TypeError is set. */
inline bool counts(ptrdiff_t given, ptrdiff_t wanted) {
  if (given != wanted) {
    python.set_error(python.type_error, "wrong number of arguments");
  }
  return given == wanted;
}

/* False when an exception is set. */
bool take(Object *object, uint32_t &value);
bool take(Object *object, int32_t &value);
/* The content of bytes; None is empty. */
bool take(Object *object, std::string_view &value);
/* A str as UTF-8. */
bool takeText(Object *object, std::string_view &value);

inline Ref newBytes(std::string_view content) {
  return Ref(python.from_bytes(content.data(), static_cast<ptrdiff_t>(content.length())));
}

inline Ref newLatin1(std::string_view content) {
  return Ref(python.from_latin1(content.data(), static_cast<ptrdiff_t>(content.length()), nullptr));
}

/* Puts an item into a dict; false when one of both is missing, or an exception is set. */
inline bool setItem(const Ref &dict, Object *key, const Ref &value) {
  return dict && value && python.dict_set(dict.get(), key, value.get()) == 0;
}

/* A tuple of both, unless one is missing: then an exception is set. */
inline Ref newPair(Ref first, Ref second) {
  Ref made(first && second ? python.new_tuple(2) : nullptr);
  if (made) {
    python.tuple_set(made.get(), 0, first.release());
    python.tuple_set(made.get(), 1, second.release());
  }
  return made;
}

} // namespace sk
#endif
