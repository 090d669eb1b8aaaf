#include "cpython/api.h"

#include <climits>
#include <vector>

namespace sk {

sk_python python;

bool take(Object *object, uint32_t &value) {
  unsigned long given = python.as_unsigned_long(object);
  value = static_cast<uint32_t>(given);
  return given != ULONG_MAX || !python.error_occurred();
}

bool take(Object *object, int32_t &value) {
  long given = python.as_long(object);
  value = static_cast<int32_t>(given);
  return given != -1 || !python.error_occurred();
}

bool take(Object *object, std::string_view &value) {
  if (object == python.none) {
    value = {};
    return true;
  }
  char *bytes = nullptr;
  ptrdiff_t length = 0;
  if (python.bytes_content(object, &bytes, &length) != 0) {
    return false;
  }
  value = {bytes, static_cast<size_t>(length)};
  return true;
}

bool takeText(Object *object, std::string_view &value) {
  ptrdiff_t length = 0;
  const char *text = python.text_content(object, &length);
  value = {text, static_cast<size_t>(length)};
  return text;
}

Object *callNamed(Object *callable, Object *const *arguments, size_t count, Object *names) {
  if (!names || !python.vectorcall_takes_dict) {
    return python.vectorcall(callable, arguments, count, names);
  }
  Ref keywords(python.new_dict());
  for (ptrdiff_t i = 0; keywords && i < python.tuple_length(names); i++) {
    if (python.dict_set(keywords.get(), python.tuple_get(names, i), arguments[count + static_cast<size_t>(i)]) != 0) {
      return nullptr;
    }
  }
  return keywords ? python.vectorcall(callable, arguments, count, keywords.get()) : nullptr;
}

Object *passOn(Object *function, Object *self, Object *const *arguments, ptrdiff_t count, Object *names) {
  ptrdiff_t all = count + (names ? python.tuple_length(names) : 0);
  std::vector<Object *> given{self};
  given.insert(given.end(), arguments, arguments + all);
  return callNamed(function, given.data(), static_cast<size_t>(count) + 1, names);
}

} // namespace sk
