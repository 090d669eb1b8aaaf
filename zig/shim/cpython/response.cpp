#include "cpython/response.h"

#include "cpython/items.h"
#include "http/ascii.h"
#include "http/bytes.h"
#include "http/lending.h"

#include <climits>
#include <memory>
#include <utility>

namespace sk {

namespace {

constexpr std::string_view CONTENT_TYPE = "content-type";

/* Lines of more bytes are not on the stack. */
constexpr size_t USUAL_BYTES = 1024;

/* UTF-8 is what latin-1 is only for ASCII; a line feed would make two lines of one. */
bool isSimple(std::string_view text) {
  for (char c : text) {
    if (static_cast<unsigned char>(c) >= 0x80 || c == '\n') {
      return false;
    }
  }
  return true;
}

/* The content of a str or bytes that can stand in a block as it is. */
bool takeSimple(Object *object, std::string_view &text) {
  if (isExactly(object, python.text_type)) {
    return takeText(object, text) && isSimple(text);
  }
  return isExactly(object, python.bytes_type) && take(object, text) && isSimple(text);
}

/* Lines of a block, as long as everything is as simple as this knows. Room in front of them is for the lines that depend on them.
 */
class Block {
public:
  explicit Block(size_t room) {
    makeRoom(room);
    out += room;
    first = out;
  }

  bool add(Object *pair) {
    std::string_view name, value;
    if (!isExactly(pair, python.tuple_type) || python.tuple_length(pair) != 2 || !takeSimple(python.tuple_get(pair, 0), name) ||
        !takeSimple(python.tuple_get(pair, 1), value)) {
      return false;
    }
    has_content_type |= equalsLower(name, CONTENT_TYPE);
    add(name, value);
    return true;
  }

  template <bool at_once> bool addAll(Object *given) {
    Items<at_once> headers(given);
    if (!headers) {
      return given == python.none;
    }
    ptrdiff_t length = headers.length();
    for (ptrdiff_t i = 0; i < length; i++) {
      if (!add(headers[i])) {
        return false;
      }
    }
    return true;
  }

  void add(std::string_view name, std::string_view value) {
    makeRoom(2 + name.length() + value.length());
    *out++ = '\n';
    out = put(out, name);
    *out++ = '\n';
    out = put(out, value);
    fields++;
  }

  /* Into the room. */
  void putInFront(std::string_view text) {
    first -= text.length();
    put(first, text);
  }

  std::string_view lines() const { return {first, static_cast<size_t>(out - first)}; }

  int32_t fields = 0;
  bool has_content_type = false;

private:
  void makeRoom(size_t bytes) {
    if (bytes > static_cast<size_t>(end - out)) {
      growFor(bytes);
    }
  }

  [[gnu::noinline]] void growFor(size_t bytes) {
    size_t used = static_cast<size_t>(out - begin), front = static_cast<size_t>(first - begin);
    size_t capacity = 2 * (used + bytes);
    std::unique_ptr<char[]> larger(new char[capacity]);
    put(larger.get(), {begin, used});
    large = std::move(larger);
    begin = large.get();
    first = begin + front;
    out = begin + used;
    end = begin + capacity;
  }

  char usual[USUAL_BYTES];
  std::unique_ptr<char[]> large;
  char *begin = usual, *first = usual, *out = usual, *end = usual + sizeof(usual);
};

} // namespace

Object *sendWith(Object *, Object *const *arguments, ptrdiff_t count) {
  uint32_t handle;
  int32_t yields, flags;
  std::string_view status, content_type, body;
  if (!counts(count, 7) || !take(arguments[0], handle) || !take(arguments[3], yields) || !take(arguments[5], body) ||
      !take(arguments[6], flags)) {
    return nullptr;
  }
  bool typed = arguments[2] != python.none;
  if (!takeSimple(arguments[1], status) || (typed && !takeSimple(arguments[2], content_type))) {
    python.error_clear();
    return newNone();
  }
  Block block(status.length() + 2 + CONTENT_TYPE.length() + content_type.length());
  if (!(threadsRunAtOnce() ? block.addAll<true>(arguments[4]) : block.addAll<false>(arguments[4]))) {
    python.error_clear();
    return newNone();
  }
  if (typed && !(yields && block.has_content_type)) {
    block.putInFront(content_type);
    block.putInFront("\nContent-Type\n");
    block.fields++;
  }
  block.putInFront(status);
  std::string_view lines = block.lines();
  if (lines.length() > INT32_MAX) {
    return python.from_long(SK_BAD_HEAD);
  }
  Lent lent(arguments[5], body);
  return python.from_long(
      sk_res_send(handle, lines.data(), static_cast<int32_t>(lines.length()), block.fields, body.data(), body.length(), flags));
}

} // namespace sk
