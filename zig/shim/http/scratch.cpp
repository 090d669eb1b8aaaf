#include "http/scratch.h"

#include <memory>

namespace sk {

namespace {

thread_local std::unique_ptr<char[]> buffer;

} // namespace

char *scratchBuffer() {
  if (!buffer) {
    /* Its pages are the system's until something is written there. */
    buffer.reset(new char[SK_SCRATCH_BYTES]);
  }
  return buffer.get();
}

} // namespace sk
