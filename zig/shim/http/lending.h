/* Bytes that somebody else owns, referred to instead of copied where they have to wait. */
#ifndef SK_HTTP_LENDING_H
#define SK_HTTP_LENDING_H

#include "http/engine.h"

#include <string_view>

namespace sk {

/* While it lives, `bytes` may be kept by referring to `owner`: nothing changes or moves them as long as he is referred to. */
class Lent {
public:
  Lent(const void *owner, std::string_view bytes) : used(bytes.length() >= uWS::BackPressure::HELD_MIN) {
    if (used) {
      uWS::loan = {owner, bytes.data(), bytes.length()};
    }
  }
  Lent(const Lent &) = delete;
  ~Lent() {
    if (used) {
      uWS::loan = {};
    }
  }

private:
  bool used;
};

} // namespace sk
#endif
