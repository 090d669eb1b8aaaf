/* Topics: who is subscribed, and what is published on its way to them. */
#ifndef SK_WEBSOCKET_TOPICS_H
#define SK_WEBSOCKET_TOPICS_H

#include "http/app.h"
#include "websocket/websocket.h"

#include <string_view>

namespace sk {

/* Once for each app, before its first websocket. */
void createTopicTree(App &app);
/* 1 when somebody gets it, 0 when nobody does, SK_BAD_HEAD for an opcode that is none of a message. `sender` gets nothing and may
 * be null. */
int32_t publish(App &app, uWS::Subscriber *sender, std::string_view topic, std::string_view data, int32_t flags);
/* Sends what was published between the fragments of a message. */
void sendDeferred(Slot &slot);
/* 1, or SK_BAD_HEAD for a name that is too long. */
int32_t subscribe(Slot &slot, std::string_view topic);
/* 1 for done, 0 when it was not subscribed. */
int32_t unsubscribe(Slot &slot, std::string_view topic);
/* Every subscription is over. */
void leaveTopics(WebSocket *socket);

} // namespace sk
#endif
