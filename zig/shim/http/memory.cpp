#include "http/memory.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>

namespace sk {

namespace {

/* Nobody touches them, so that they cost addresses only, of which a limit (RLIMIT_AS) leaves as many. Each is large enough for the
 * C library to begin a new part of its heap there, for which it takes 1 MiB. */
constexpr size_t BLOCK_BYTES = 2 * 1024 * 1024;
constexpr size_t BLOCKS = 4;
/* Smaller ones are left to the reserve. */
constexpr size_t SMALL_MAX = 16 * 1024;

std::atomic<void *> reserve[BLOCKS];
std::atomic<bool> used{true};

/* Called by operator new, which tries once more when this returns. */
void releaseReserve() {
  used = true;
  for (auto &block : reserve) {
    if (void *kept = block.exchange(nullptr)) {
      free(kept);
      return;
    }
  }
  fputs("socketify: no memory is left, not even what was put aside for that\n", stderr);
  abort();
}

/* Whether so many bytes can be had, beside the reserve. */
bool memoryIsThere(size_t bytes) {
  if (bytes <= SMALL_MAX) {
    return true;
  }
  /* A compiler may leave out what is only made to be freed. */
  void *volatile probe = malloc(bytes);
  bool there = probe;
  free(probe);
  return there;
}

} // namespace

void keepReserve() {
  if (!used.load(std::memory_order_relaxed) || !used.exchange(false)) {
    return;
  }
  std::set_new_handler(releaseReserve);
  for (auto &block : reserve) {
    void *nothing = nullptr;
    void *made = block.load() ? nullptr : malloc(BLOCK_BYTES);
    if (made && !block.compare_exchange_strong(nothing, made)) {
      free(made);
    }
    if (!block.load()) {
      used = true;
    }
  }
}

bool makeRoom(std::string &text, size_t more) {
  size_t needed = text.length() + more;
  if (needed < more) {
    return false;
  }
  if (needed <= text.capacity()) {
    return true;
  }
  size_t generous = std::max(needed, 2 * text.capacity());
  /* What the string's own arithmetic adds. */
  constexpr size_t ROUNDED_UP = 64;
  for (size_t size : {generous, needed}) {
    if (memoryIsThere(size + ROUNDED_UP)) {
      text.reserve(size);
      return true;
    }
  }
  return false;
}

} // namespace sk
