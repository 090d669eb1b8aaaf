#include "cpython/members.h"

namespace sk {

namespace {

/* What an object begins with. Only its own thread writes `local`; `shared` is of all others, with two bits that say more. */
struct SplitCount {
  uintptr_t thread;
  uint16_t flags;
  uint8_t lock;
  uint8_t collector_bits;
  uint32_t local;
  intptr_t shared;
};

uintptr_t threadOf(const SplitCount *count) { return __atomic_load_n(&count->thread, __ATOMIC_RELAXED); }

/* As CPython numbers this thread: an object that it has just made has the number. 0 when there is no memory for one. */
uintptr_t ownThread() {
  thread_local uintptr_t number = 0;
  if (!number) {
    Ref made(python.new_list(0));
    if (!made) {
      python.error_clear();
      return 0;
    }
    number = threadOf(static_cast<const SplitCount *>(made.get()));
  }
  return number;
}

} // namespace

template <> bool hasReferences<true>(Object *object, uint32_t wanted) {
  auto *count = static_cast<const SplitCount *>(object);
  uintptr_t thread = threadOf(count);
  return thread && thread == ownThread() && __atomic_load_n(&count->local, __ATOMIC_RELAXED) == wanted &&
         __atomic_load_n(&count->shared, __ATOMIC_ACQUIRE) == 0;
}

} // namespace sk
