/* What Zig's compiler calls for memory that is copied and set; run times of ThreadSanitizer before LLVM 15 lack it, but look at
 * what goes by the usual names. */
#include <cstring>

#define UNCHECKED __attribute__((no_sanitize("thread")))

extern "C" {

UNCHECKED void *__tsan_memcpy(void *to, const void *from, size_t length) { return memcpy(to, from, length); }

UNCHECKED void *__tsan_memmove(void *to, const void *from, size_t length) { return memmove(to, from, length); }

UNCHECKED void *__tsan_memset(void *to, int value, size_t length) { return memset(to, value, length); }

} // extern "C"
