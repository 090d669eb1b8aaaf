/* Names of fields and their tokens: ASCII, in any case (RFC 9110 sections 5.1 and 5.6.2). */
#ifndef SK_HTTP_ASCII_H
#define SK_HTTP_ASCII_H

#include <string_view>

namespace sk {

inline char toLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 32) : c; }

/* Whether a text is, in lower case, the other. */
inline bool equalsLower(std::string_view text, std::string_view lower) {
  if (text.length() != lower.length()) {
    return false;
  }
  for (size_t i = 0; i < lower.length(); i++) {
    if (toLower(text[i]) != lower[i]) {
      return false;
    }
  }
  return true;
}

/* Without the white space around it (OWS, RFC 9110 section 5.6.3). */
inline std::string_view trim(std::string_view text) {
  size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) {
    return text.substr(0, 0);
  }
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

} // namespace sk

#endif
