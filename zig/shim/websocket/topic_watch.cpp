#include "websocket/topic_watch.h"

#include "http/scratch.h"

namespace sk {

namespace {

/* In front of each name: whether it has subscribers, and the length of the name. */
constexpr size_t PREFIX_BYTES = 3;

} // namespace

void TopicWatch::note(std::string_view topic) {
  bool first = changed.empty();
  changed.emplace(topic);
  if (first) {
    on_change();
  }
}

int32_t TopicWatch::take(TopicTree *tree) {
  ScratchWriter writer;
  size_t left = SK_SCRATCH_BYTES;
  auto each = changed.begin();
  for (; each != changed.end() && each->length() + PREFIX_BYTES <= left; ++each) {
    size_t length = each->length();
    char prefix[PREFIX_BYTES] = {tree && tree->lookupTopic(*each) ? '\1' : '\0', static_cast<char>(length & 0xff),
                                 static_cast<char>(length >> 8)};
    writer.text({prefix, PREFIX_BYTES});
    writer.text(*each);
    left -= length + PREFIX_BYTES;
  }
  if (each == changed.end()) {
    /* Its memory, too: many topics may have come at once. */
    std::unordered_set<std::string>().swap(changed);
  } else {
    changed.erase(changed.begin(), each);
  }
  return writer.length();
}

} // namespace sk
