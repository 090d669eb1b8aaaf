#include "cpython/wsgi_head.h"

#include "cpython/members.h"
#include "http/ascii.h"

namespace sk {

namespace {

constexpr ptrdiff_t FIELDS_MAX = 64;
constexpr size_t LENGTH_DIGITS_MAX = 18;
/* Larger heads are not kept. */
constexpr size_t KNOWN_HEAD_BYTES_MAX = 2048;

/* What belongs to the connection is the server's own (PEP 3333, RFC 9110 section 7.6.1), in lower case. */
constexpr std::string_view HOP_BY_HOP[] = {"keep-alive", "proxy-authenticate", "proxy-authorization", "te",
                                           "trailer",    "trailers",           "transfer-encoding",   "upgrade"};

bool isHopByHop(std::string_view name) {
  for (std::string_view each : HOP_BY_HOP) {
    if (equalsLower(name, each)) {
      return true;
    }
  }
  return false;
}

/* A number as the server would write it itself. */
bool isLength(std::string_view value) {
  for (char c : value) {
    if (c < '0' || c > '9') {
      return false;
    }
  }
  return !value.empty() && value.length() <= LENGTH_DIGITS_MAX && (value[0] != '0' || value.length() == 1);
}

/* The content of a str that is ASCII; false for everything else. */
bool asciiOf(Object *object, std::string_view &text) {
  if (!isExactly(object, python.text_type)) {
    return false;
  }
  ptrdiff_t length = 0;
  const char *content = python.text_content(object, &length);
  if (!content) {
    /* Surrogates. */
    python.error_clear();
    return false;
  }
  text = {content, static_cast<size_t>(length)};
  for (char c : text) {
    if (c & 0x80) {
      return false;
    }
  }
  return true;
}

/* False when it must be looked at more closely. */
bool append(GivenHead &head, Object *pair, bool &has_length) {
  std::string_view name, value;
  if (!isExactly(pair, python.tuple_type) || python.tuple_length(pair) != 2 || !asciiOf(python.tuple_get(pair, 0), name) ||
      !asciiOf(python.tuple_get(pair, 1), value)) {
    return false;
  }
  if (isHopByHop(name)) {
    return true;
  }
  if (equalsLower(name, "content-length")) {
    if (has_length || !isLength(value)) {
      return false;
    }
    has_length = true;
  }
  head.block.append(1, '\n').append(name).append(1, '\n').append(value);
  head.fields++;
  return true;
}

template <bool at_once> bool compile(GivenHead &head, Object *status, const Items<at_once> &headers, ptrdiff_t count) {
  std::string_view line;
  /* An empty block would pass for 200. */
  if (!asciiOf(status, line) || line.empty()) {
    return false;
  }
  head.block.assign(line);
  head.fields = 0;
  bool has_length = false;
  for (ptrdiff_t i = 0; i < count; i++) {
    if (!append(head, headers[i], has_length)) {
      return false;
    }
  }
  if (head.block.length() > INT32_MAX) {
    return false;
  }
  head.facts = inspect(head.view());
  return head.facts.valid && head.facts.status < 1000;
}

} // namespace

template <bool at_once>
bool GivenHeads::matches(const KnownHead &each, Object *status, const Items<at_once> &headers, ptrdiff_t count) const {
  if (each.status.get() != status || each.pairs.size() != static_cast<size_t>(count)) {
    return false;
  }
  for (ptrdiff_t i = 0; i < count; i++) {
    if (each.pairs[static_cast<size_t>(i)].get() != headers[i]) {
      return false;
    }
  }
  return true;
}

template <bool at_once> const GivenHead *GivenHeads::find(Object *status, Object *given) {
  if (!isExactly(given, python.list_type)) {
    return nullptr;
  }
  Items<at_once> headers(given);
  if (!headers) {
    return nullptr;
  }
  ptrdiff_t count = headers.length();
  for (const KnownHead &each : known) {
    if (matches<at_once>(each, status, headers, count)) {
      return &each.head;
    }
  }
  if (count > FIELDS_MAX || !compile<at_once>(fresh, status, headers, count)) {
    return nullptr;
  }
  /* Somebody else has them too: they may be constants. */
  bool lasting =
      python.counting != SK_COUNT_UNKNOWN && !hasReferences<at_once>(status, 1) && fresh.block.length() <= KNOWN_HEAD_BYTES_MAX;
  for (ptrdiff_t i = 0; lasting && i < count; i++) {
    /* The list has one, and so has a copy. */
    lasting = !hasReferences<at_once>(headers[i], at_once ? 2 : 1);
  }
  if (!lasting) {
    return &fresh;
  }
  KnownHead &replaced = known[next++ % known.size()];
  KnownHead made{Ref::borrowed(status), {}, fresh};
  for (ptrdiff_t i = 0; i < count; i++) {
    made.pairs.push_back(Ref::borrowed(headers[i]));
  }
  std::swap(replaced, made);
  return &replaced.head;
}

template const GivenHead *GivenHeads::find<false>(Object *status, Object *given);
template const GivenHead *GivenHeads::find<true>(Object *status, Object *given);

void GivenHeads::clear() {
  std::array<KnownHead, 8> before;
  std::swap(before, known);
}

} // namespace sk
