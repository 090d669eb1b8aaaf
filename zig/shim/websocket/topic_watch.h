/* Which topics got their first subscriber or lost their last one: what a broker has to know. An app without a broker has no watch,
 * and pays a comparison with a null pointer. */
#ifndef SK_WEBSOCKET_TOPIC_WATCH_H
#define SK_WEBSOCKET_TOPIC_WATCH_H

#include "abi/socketify.h"
#include "http/engine.h"

#include <string>
#include <string_view>
#include <unordered_set>

namespace sk {

using TopicTree = uWS::TopicTree<uWS::TopicTreeMessage, uWS::TopicTreeBigMessage>;

class TopicWatch {
public:
  explicit TopicWatch(sk_topics_fn on_change) : on_change(on_change) {}

  static bool isReserved(std::string_view topic) { return topic.starts_with(SK_WS_TOPICS_RESERVED); }

  /* Calls back where that was not done since all was taken: the last that a caller does. */
  void note(std::string_view topic);
  /* See sk_app_take_topics. */
  int32_t take(TopicTree *tree);

private:
  sk_topics_fn on_change;
  /* They may have changed back meanwhile. */
  std::unordered_set<std::string> changed;
};

} // namespace sk
#endif
