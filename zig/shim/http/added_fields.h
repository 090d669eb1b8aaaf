/* Fields that all responses of an app have, beside those that the server decides about. */
#ifndef SK_HTTP_ADDED_FIELDS_H
#define SK_HTTP_ADDED_FIELDS_H

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sk {

class AddedFields {
public:
  void add(std::string_view name, std::string_view value) {
    fields.emplace_back(name, value);
    bound += lineBytes(name, value);
    with_once += lineBytes(name, value);
  }
  /* One more, of the response that is composed next; empty for none. */
  void addOnce(std::string_view name, std::string_view value) {
    once_name = name;
    once_value = value;
    with_once = bound + (value.empty() ? 0 : lineBytes(name, value));
  }

  bool any() const { return with_once != 0; }
  /* Bytes of all lines. */
  size_t bytes() const { return with_once; }

  template <typename Take> void each(Take take) const {
    for (const auto &[name, value] : fields) {
      take(std::string_view(name), std::string_view(value));
    }
    if (!once_value.empty()) {
      take(once_name, once_value);
    }
  }

private:
  static size_t lineBytes(std::string_view name, std::string_view value) { return name.length() + value.length() + 4; }

  std::vector<std::pair<std::string, std::string>> fields;
  /* Bytes of their lines, and of those with the one more: asked for each response. */
  size_t bound = 0, with_once = 0;
  std::string_view once_name, once_value;
};

} // namespace sk
#endif
