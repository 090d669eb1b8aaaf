/* Text on its way to Python: through the loop's scratch buffer. */
#ifndef SK_HTTP_SCRATCH_H
#define SK_HTTP_SCRATCH_H

#include "abi/socketify.h"
#include "http/bytes.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string_view>

namespace sk {

/* The buffer of this thread, of SK_SCRATCH_BYTES. */
char *scratchBuffer();

/* Fills the scratch buffer, and never writes beyond its end. The ceilings of the limits are chosen so that all that a
 * request says fits in (SK_SCRATCH_BYTES). */
class ScratchWriter {
public:
  void text(std::string_view text) { out = put(out, text.substr(0, static_cast<size_t>(end - out))); }

  void line(std::string_view content) {
    text(content);
    text("\n");
  }

  void number(int value) {
    char digits[12];
    line({digits, static_cast<size_t>(snprintf(digits, sizeof(digits), "%d", value))});
  }

  int32_t length() const { return static_cast<int32_t>(out - begin); }
  /* Without the LF after the last line. */
  int32_t lengthOfLines() const { return length() - 1; }

private:
  char *const begin = scratchBuffer();
  char *const end = begin + SK_SCRATCH_BYTES;
  char *out = begin;
};

/* Puts a text into the scratch buffer, and returns its length. */
inline int32_t toScratch(std::string_view text) {
  ScratchWriter writer;
  writer.text(text);
  return writer.length();
}

} // namespace sk
#endif
