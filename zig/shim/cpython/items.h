/* Items of lists, tuples and dicts that belong to the program: they stay while they are looked at, whatever other threads do. */
#ifndef SK_CPYTHON_ITEMS_H
#define SK_CPYTHON_ITEMS_H

#include "cpython/api.h"

#include <type_traits>

namespace sk {

/* Those of a list or a tuple itself; of anything else, nothing. Where other threads may change a list meanwhile, they are what it
 * held at once. */
template <bool at_once> class Items {
public:
  explicit Items(Object *given) : object(given), is_list(isExactly(given, python.list_type)) {
    if (!is_list) {
      object = isExactly(given, python.tuple_type) ? given : nullptr;
    } else if constexpr (at_once) {
      is_list = false;
      copy = Ref(python.list_as_tuple(given));
      object = copy.get();
      if (!copy) {
        python.error_clear();
      }
    }
  }

  explicit operator bool() const { return object; }
  ptrdiff_t length() const { return is_list ? python.list_length(object) : python.tuple_length(object); }
  Object *operator[](ptrdiff_t index) const { return is_list ? python.list_get(object, index) : python.tuple_get(object, index); }

private:
  struct Nothing {};

  Object *object;
  bool is_list;
  [[no_unique_address]] std::conditional_t<at_once, Ref, Nothing> copy;
};

/* What a list holds at an index, while this lives: without such an item null, and an exception is set. */
template <bool at_once> class HeldItem {
public:
  HeldItem(Object *list, ptrdiff_t index) : found(python.list_get_ref(list, index)) {}
  Object *get() const { return found.get(); }

private:
  Ref found;
};

/* Where nobody else runs, until Python does. */
template <> class HeldItem<false> {
public:
  HeldItem(Object *list, ptrdiff_t index) : found(python.list_get(list, index)) {}
  Object *get() const { return found; }

private:
  Object *found;
};

/* The same, to be kept. */
template <bool at_once> Ref itemOf(Object *list, ptrdiff_t index) {
  HeldItem<at_once> item(list, index);
  return item.get() ? Ref::borrowed(item.get()) : Ref();
}

inline Ref itemOf(Object *list, ptrdiff_t index) {
  return threadsRunAtOnce() ? itemOf<true>(list, index) : itemOf<false>(list, index);
}

/* What a dict has for a key, if anything; else an exception may be set, of a key's own comparison. May run Python. */
template <bool at_once> Ref itemOf(Object *dict, Object *key) {
  Object *found = nullptr;
  if constexpr (at_once) {
    python.dict_get_ref(dict, key, &found);
    return Ref(found);
  } else {
    found = python.dict_get(dict, key);
    return found ? Ref::borrowed(found) : Ref();
  }
}

} // namespace sk
#endif
