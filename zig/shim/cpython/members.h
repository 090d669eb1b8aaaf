/* Members of objects, read and written in memory, and how many references an object has.
 *
 * Where threads of Python run at the same time, any of them may put something else into a slot, which CPython does under the lock
 * of the object, and what was there may be gone at once. So what is only compared is loaded; what is looked into is held before;
 * and what is written is exchanged under that lock. With the interpreter's lock all this costs nothing, as nobody else runs. */
#ifndef SK_CPYTHON_MEMBERS_H
#define SK_CPYTHON_MEMBERS_H

#include "cpython/api.h"

#include <cstdint>
#include <utility>

namespace sk {

/* While it lives, no other thread changes the slots of an object. Whatever may wait for something gives that up: inside there are
 * only loads, stores and counting. Where threads do not run at once, it does nothing. */
template <bool at_once> class Section {
public:
  explicit Section(Object *object) { python.section_begin(room, object); }
  Section(const Section &) = delete;
  ~Section() { python.section_end(room); }

private:
  /* CPython uses two words of it. */
  void *room[4];
};

template <> class Section<false> {
public:
  explicit Section(Object *) {}
};

inline Object **placeOf(Object *object, size_t member) {
  return const_cast<Object **>(static_cast<Object *const *>(object)) + member;
}

/* What a slot holds, or null: to be compared, or where nobody else can reach the object. */
template <bool at_once> Object *memberOf(Object *object, size_t member) {
  Object **place = placeOf(object, member);
  if constexpr (at_once) {
    return __atomic_load_n(place, __ATOMIC_RELAXED);
  } else {
    return *place;
  }
}

/* A new reference to what a slot holds, if anything. */
template <bool at_once> Ref memberRef(Object *object, size_t member) {
  [[maybe_unused]] Section<at_once> section(object);
  Object *found = memberOf<at_once>(object, member);
  return found ? Ref::borrowed(found) : Ref();
}

inline Ref memberRef(Object *object, size_t member) {
  return threadsRunAtOnce() ? memberRef<true>(object, member) : memberRef<false>(object, member);
}

/* What a slot holds, or null, for a moment in which no Python runs in this thread: another one cannot end it either. */
template <bool at_once> class Held {
public:
  Held(Object *object, size_t member) : found(memberRef<true>(object, member)) {}
  Object *get() const { return found.get(); }

private:
  Ref found;
};

template <> class Held<false> {
public:
  Held(Object *object, size_t member) : found(memberOf<false>(object, member)) {}
  Object *get() const { return found; }

private:
  Object *found;
};

/* Puts something else into a slot, or nothing. Returns what was there: what lets go of it may run Python. */
template <bool at_once> Ref swapMember(Object *object, size_t member, Ref value) {
  [[maybe_unused]] Section<at_once> section(object);
  Object **place = placeOf(object, member);
  if constexpr (at_once) {
    return Ref(__atomic_exchange_n(place, value.release(), __ATOMIC_ACQ_REL));
  } else {
    return Ref(std::exchange(*place, value.release()));
  }
}

inline Ref swapMember(Object *object, size_t member, Ref value) {
  return threadsRunAtOnce() ? swapMember<true>(object, member, std::move(value))
                            : swapMember<false>(object, member, std::move(value));
}

template <bool at_once> void setMember(Object *object, size_t member, Ref value) {
  swapMember<at_once>(object, member, std::move(value));
}

inline void setMember(Object *object, size_t member, Ref value) { swapMember(object, member, std::move(value)); }

/* Whether there are weak references to an object; where they begin differs by its type, and may lie before the object. */
inline bool isWeaklyReferenced(Object *object, int64_t weak_member) {
  return static_cast<Object *const *>(object)[weak_member] != nullptr;
}

/* Whether there are exactly so many references to an object, all of this thread's. Only where counts are known (SK_COUNT_*). */
template <bool at_once> bool hasReferences(Object *object, uint32_t wanted) {
  uint32_t count;
  memcpy(&count, object, sizeof(count));
  return count == wanted;
}

template <> bool hasReferences<true>(Object *object, uint32_t wanted);

/* The same; false where counts are not known. */
inline bool hasReferences(Object *object, uint32_t wanted) {
  if (python.counting == SK_COUNT_FIRST) [[likely]] {
    return hasReferences<false>(object, wanted);
  }
  return python.counting == SK_COUNT_SPLIT && hasReferences<true>(object, wanted);
}

} // namespace sk
#endif
