#include "websocket/topics.h"

#include "http/loop.h"
#include "websocket/frame.h"
#include "websocket/route.h"
#include "websocket/send.h"
#include "websocket/topic_watch.h"

#include <utility>

namespace sk {

namespace {

/* Set in the opcode of a published message that is a whole frame already. */
constexpr int FRAMED = 0x100;

/* What the topic tree keeps of a message until it is sent. */
/* Compression is a matter of each connection; every other frame is the same for all. */
uWS::TopicTreeMessage framedForAll(std::string_view message, int opcode, bool compress) {
  if (compress) {
    return {std::string(message), opcode, true};
  }
  char header[FRAME_HEADER_MAX];
  std::string frame(frameHeader(header, message.length(), opcode, false, true));
  frame.append(message);
  return {std::move(frame), opcode | FRAMED, false};
}

/* Of a whole frame, which is not masked (RFC 6455 section 5.2). */
size_t payloadBytes(std::string_view frame) {
  auto length = static_cast<unsigned char>(frame[1]);
  return frame.length() - (length < 126 ? 2 : length == 126 ? 4 : 10);
}

/* A websocket joined a topic, or left it: then `subscribers` are left. */
void countSubscription(const App &app, bool joined, int32_t subscribers) {
  if (!app.metrics) {
    return;
  }
  if (joined) {
    app.metrics->add(SK_METRIC_SUBSCRIPTIONS);
    app.metrics->add(SK_METRIC_TOPICS, subscribers == 1);
  } else {
    app.metrics->subtract(SK_METRIC_SUBSCRIPTIONS);
    app.metrics->subtract(SK_METRIC_TOPICS, subscribers == 0);
  }
}

/* Sends a published message, or keeps it until the fragments of another one are sent. True when it was dropped because of
 * the backpressure limit. */
bool sendPublished(WebSocket *socket, std::string_view message, int opcode, bool compress) {
  Slot &slot = slotOf(socket);
  if (slot.flags & WS_FRAGMENTS) {
    slot.route->deferred[indexOf(slot)].push_back({std::string(message), opcode, compress});
    return false;
  }
  WebSocketContextData &context = *slot.route->data();
  bool dropped = opcode & FRAMED ? isOverLimit(socket, context) || sendFrame(socket, context, message, {}) == WebSocket::DROPPED
                                 : sendWhole(socket, message, opcode, compress) == WebSocket::DROPPED;
  if (Metrics *metrics = slot.app->metrics.get()) {
    metrics->messageSent(opcode & FRAMED ? payloadBytes(message) : message.length(), true, dropped);
  }
  return dropped;
}

/* Sends one of those that a subscriber gets now; true when it was dropped, and those behind it too. */
/* Several messages for one subscriber leave as one packet. */
bool sendBatched(uWS::Subscriber *subscriber, uWS::TopicTreeMessage &message, bool first, bool last) {
  static thread_local bool corked = false;
  auto *socket = static_cast<WebSocket *>(subscriber->user);
  if (first && !last) {
    corked = socket->canCork();
    if (corked) {
      socket->AsyncSocket::cork();
    }
  }
  bool dropped = sendPublished(socket, message.message, message.opCode, message.compress);
  if (corked && (dropped || last)) {
    socket->AsyncSocket::uncork();
    corked = false;
  }
  return dropped;
}

} // namespace

void createTopicTree(App &app) {
  auto *tree = app.engine.topicTree =
      new TopicTree([](uWS::Subscriber *subscriber, uWS::TopicTreeMessage &message, TopicTree::IteratorFlags flags) {
        return sendBatched(subscriber, message, flags & TopicTree::FIRST, flags & TopicTree::LAST);
      });
  uWS::Loop::get()->addPostHandler(tree, [&app, tree](uWS::Loop *) {
    if (!tree->drainableSubscribers) {
      return;
    }
    if (app.topic_watch) {
      /* Other processes get it first, so that both send at the same time; and what they have sent is the same packet's. */
      us_wakeup_loop(currentLoop());
    } else {
      tree->drain();
    }
  });
  uWS::Loop::get()->addPreHandler(tree, [tree](uWS::Loop *) {
    if (tree->drainableSubscribers) {
      tree->drain();
    }
  });
}

int32_t publish(App &app, uWS::Subscriber *sender, std::string_view topic, std::string_view data, int32_t flags) {
  int opcode = flags & SK_WS_OPCODE_MASK;
  if (opcode != uWS::OpCode::TEXT && opcode != uWS::OpCode::BINARY) {
    return SK_BAD_HEAD;
  }
  TopicTree *tree = app.engine.topicTree;
  if (!tree) {
    return 0;
  }
  if (app.metrics) {
    app.metrics->published();
  }
  bool compress = flags & SK_WS_COMPRESS;
  if (data.length() >= uWS::LoopData::CORK_BUFFER_SIZE) {
    /* The tree would count the sender. */
    bool reached = false;
    tree->publishBig(sender, topic, {data, opcode, compress},
                     [&reached](uWS::Subscriber *subscriber, uWS::TopicTreeBigMessage &message) {
                       reached = true;
                       sendPublished(static_cast<WebSocket *>(subscriber->user), message.message, message.opCode, message.compress);
                     });
    return reached;
  }
  bool wanted = tree->publish(sender, topic, framedForAll(data, opcode, compress));
  if (wanted && !loopIsPumping()) {
    /* Sent at the beginning of the loop's next turn: many messages to one subscriber are one packet. */
    us_wakeup_loop(currentLoop());
  }
  return wanted;
}

void sendDeferred(Slot &slot) {
  auto waiting = slot.route->deferred.extract(indexOf(slot));
  if (waiting.empty()) {
    return;
  }
  for (uWS::TopicTreeMessage &each : waiting.mapped()) {
    sendPublished(webSocketOf(slot), each.message, each.opCode, each.compress);
  }
}

int32_t subscribe(Slot &slot, std::string_view topic) {
  if (topic.length() > SK_WS_TOPIC_MAX) {
    return SK_BAD_HEAD;
  }
  TopicWatch *watch = slot.app->topic_watch.get();
  if (watch && TopicWatch::isReserved(topic)) {
    return SK_BAD_HEAD;
  }
  WebSocket *socket = webSocketOf(slot);
  TopicTree *tree = slot.app->engine.topicTree;
  uWS::Subscriber *&subscriber = webSocketData(socket)->subscriber;
  if (!subscriber) {
    subscriber = tree->createSubscriber();
    subscriber->user = socket;
  }
  uWS::Topic *joined = tree->subscribe(subscriber, topic);
  auto count = joined ? static_cast<int32_t>(joined->size()) : 0;
  if (joined) {
    countSubscription(*slot.app, true, count);
  }
  if (joined && slot.route->behavior.on_subscription) {
    slot.route->behavior.on_subscription(handleOf(slot), topic.data(), topic.length(), count, count - 1);
  }
  if (watch && count == 1) {
    watch->note(topic);
  }
  return 1;
}

int32_t unsubscribe(Slot &slot, std::string_view topic) {
  uWS::Subscriber *&subscriber = webSocketData(webSocketOf(slot))->subscriber;
  if (!subscriber) {
    return 0;
  }
  TopicTree *tree = slot.app->engine.topicTree;
  TopicWatch *watch = slot.app->topic_watch.get();
  /* What was published until now is still for this subscriber. */
  tree->drain(subscriber);
  auto [left, last, count] = tree->unsubscribe(subscriber, topic);
  if (left && last) {
    tree->freeSubscriber(std::exchange(subscriber, nullptr));
  }
  if (left) {
    countSubscription(*slot.app, false, count);
  }
  if (left && slot.route->behavior.on_subscription) {
    slot.route->behavior.on_subscription(handleOf(slot), topic.data(), topic.length(), count, count + 1);
  }
  if (watch && left && !count) {
    watch->note(topic);
  }
  return left;
}

/* The names are copied, because the handler may do anything. */
void leaveTopics(WebSocket *socket) {
  WebSocketRoute &route = *slotOf(socket).route;
  uWS::Subscriber *subscriber = std::exchange(webSocketData(socket)->subscriber, nullptr);
  if (!subscriber) {
    return;
  }
  TopicWatch *watch = route.app->topic_watch.get();
  std::vector<std::pair<std::string, int>> left;
  if (route.behavior.on_subscription || watch || route.app->metrics) {
    for (uWS::Topic *topic : subscriber->topics) {
      left.emplace_back(topic->name, static_cast<int>(topic->size()));
    }
  }
  TopicTree *tree = route.app->engine.topicTree;
  tree->freeSubscriber(subscriber);
  if (!tree->drainableSubscribers) {
    /* Nobody refers to them any more, and the tree forgets them only when it drains somebody. */
    tree->outgoingMessages.clear();
  }
  for (auto &[topic, count] : left) {
    countSubscription(*route.app, false, count - 1);
    if (route.behavior.on_subscription) {
      route.behavior.on_subscription(handleOf(slotOf(socket)), topic.data(), topic.length(), count - 1, count);
    }
    if (watch && count == 1) {
      watch->note(topic);
    }
  }
}

} // namespace sk
