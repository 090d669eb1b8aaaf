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

/* Flags; those of 3.10 mean nothing to what is older. */
constexpr unsigned int TPFLAGS_NOT_CALLABLE = 1u << 7;
constexpr unsigned int TPFLAGS_IMMUTABLE = 1u << 8;
constexpr unsigned int TPFLAGS_HAVE_GC = 1u << 14;

/* Numbers of slots. */
constexpr int TP_CALL = 50;
constexpr int TP_CLEAR = 51;
constexpr int TP_DEALLOC = 52;
constexpr int TP_ITERNEXT = 63;
constexpr int TP_METHODS = 64;
constexpr int TP_TRAVERSE = 71;
constexpr int AM_AWAIT = 77;
constexpr int TP_FINALIZE = 80;
constexpr int AM_SEND = 81;

} // namespace sk
#endif
