/* Bytes written one after the other. */
#ifndef SK_HTTP_BYTES_H
#define SK_HTTP_BYTES_H

#include <cstring>
#include <string_view>

namespace sk {

inline constexpr char HEX[] = "0123456789abcdef";

/* Returns the place behind what was written. An empty view may point nowhere, which memcpy must not get. */
inline char *put(char *out, std::string_view bytes) {
  if (!bytes.empty()) {
    memcpy(out, bytes.data(), bytes.length());
  }
  return out + bytes.length();
}

} // namespace sk
#endif
