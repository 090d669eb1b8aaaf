/* The opening handshake, RFC 6455 section 4.2. */
#ifndef SK_WEBSOCKET_UPGRADE_H
#define SK_WEBSOCKET_UPGRADE_H

#include "http/head.h"
#include "websocket/route.h"

#include <string_view>

namespace sk {

/* What the client said, and what is answered. */
struct Handshake {
  Head head;
  std::string_view key, protocol, extensions;
};

/* Whether a request is an upgrade to websocket, right or wrong. */
bool asksForWebSocket(const uWS::HttpRequest &request);
/* Checks the handshake and answers it, or asks the route's handler to; false to pass the request on to the next route. */
bool beginUpgrade(Slot &slot, const uWS::HttpRequest &request, WebSocketRoute &route);
/* Answers a handshake: the websocket's handle, or a negative result or SK_GONE. */
int64_t upgradeResponse(Slot &slot, WebSocketRoute &route, const Handshake &handshake);

enum class UpgradeRefusal { Required, Version, Malformed, Draining };
void refuseUpgrade(Slot &slot, UpgradeRefusal why);

} // namespace sk
#endif
