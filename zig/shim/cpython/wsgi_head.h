/* Heads of responses as applications pass them: a status and a list of (name, value) tuples of str. */
#ifndef SK_CPYTHON_WSGI_HEAD_H
#define SK_CPYTHON_WSGI_HEAD_H

#include "cpython/items.h"
#include "http/head.h"

#include <array>
#include <string>
#include <vector>

namespace sk {

/* A head as the native side takes it. */
struct GivenHead {
  std::string block;
  int32_t fields = 0;
  HeadFacts facts;

  Head view() const { return {block, fields}; }
};

/* Knows the heads that were used last, by the very objects they were made of: most applications use constants. */
class GivenHeads {
public:
  /* Nothing for what is not plain, valid text of ASCII, whatever is wrong with it: the caller looks at that by other means. What
   * is returned stays until the next call. */
  template <bool at_once> const GivenHead *find(Object *status, Object *given);
  /* Forgets everything. */
  void clear();

private:
  struct KnownHead {
    Ref status;
    std::vector<Ref> pairs;
    GivenHead head;
  };
  template <bool at_once>
  bool matches(const KnownHead &known, Object *status, const Items<at_once> &headers, ptrdiff_t count) const;

  std::array<KnownHead, 8> known;
  size_t next = 0;
  GivenHead fresh;
};

} // namespace sk
#endif
