/* UTF-8 that arrives in pieces (RFC 3629): what is wrong is found with its first wrong byte. */
#ifndef SK_UTF8_H
#define SK_UTF8_H

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace uWS {

class Utf8Validator {
public:
  /* False from the first byte on that no text can have there. */
  bool feed(const unsigned char *bytes, size_t length) {
    const unsigned char *end = bytes + length;
    while (bytes != end) {
      if (!expected) {
        bytes = skipAscii(bytes, end);
        if (bytes == end) {
          return true;
        }
        if (!begin(*bytes++)) {
          return false;
        }
      } else {
        unsigned char byte = *bytes++;
        if (byte < low || byte > high) {
          return false;
        }
        low = 0x80;
        high = 0xbf;
        expected--;
      }
    }
    return true;
  }

  /* No character is cut off. */
  bool complete() const { return !expected; }

private:
  /* Continuation bytes that the character still needs, and the bounds of the next one. */
  uint8_t expected = 0;
  uint8_t low = 0x80;
  uint8_t high = 0xbf;

  static const unsigned char *skipAscii(const unsigned char *bytes, const unsigned char *end) {
    while (end - bytes >= 8) {
      uint64_t word;
      memcpy(&word, bytes, 8);
      if (word & 0x8080808080808080u) {
        break;
      }
      bytes += 8;
    }
    while (bytes != end && *bytes < 0x80) {
      bytes++;
    }
    return bytes;
  }

  /* The bounds exclude overlong forms, surrogates, and what is above U+10FFFF. */
  bool begin(unsigned char lead) {
    if (lead < 0xc2 || lead > 0xf4) {
      return false;
    }
    if (lead < 0xe0) {
      expected = 1;
    } else if (lead < 0xf0) {
      expected = 2;
      low = lead == 0xe0 ? 0xa0 : 0x80;
      high = lead == 0xed ? 0x9f : 0xbf;
    } else {
      expected = 3;
      low = lead == 0xf0 ? 0x90 : 0x80;
      high = lead == 0xf4 ? 0x8f : 0xbf;
    }
    return true;
  }
};

} // namespace uWS
#endif
