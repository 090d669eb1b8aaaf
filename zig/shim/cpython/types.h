/* Types that the shim makes, as the stable ABI describes them. */
#ifndef SK_CPYTHON_TYPES_H
#define SK_CPYTHON_TYPES_H

namespace sk {

/* PyType_Slot and PyType_Spec. */
struct TypeSlot {
  int slot;
  const void *value;
};
struct TypeSpec {
  const char *name;
  /* 0 for that of the base. */
  int basic_size;
  int item_size;
  unsigned int flags;
  TypeSlot *slots;
};

/* Numbers of slots. */
constexpr int TP_ITERNEXT = 63;
constexpr int TP_METHODS = 64;
constexpr int AM_AWAIT = 77;
constexpr int TP_FINALIZE = 80;
constexpr int AM_SEND = 81;

} // namespace sk
#endif
