#include "app.h"

#include "websocket.h"

namespace sk {

namespace {

/* Methods that the engine's router has no name for are routed under this one. */
constexpr std::string_view OTHER_METHODS = "?";

/* Before the routes of a method, in the same node of the tree: the engine's own high priority would beat static segments. */
constexpr uint32_t WEBSOCKET_PRIORITY = 0xc0000000;
static_assert(WEBSOCKET_PRIORITY < Router::HIGH_PRIORITY && !(WEBSOCKET_PRIORITY & Router::HANDLER_MASK));

bool offer(const Dispatch &dispatch, sk_request_fn handler) {
  dispatch.request->setYield(false);
  /* The handler may end the response or lose the connection: what is read afterwards is the slot, which outlives both. */
  return handler(handleOf(*dispatch.slot)) == 0;
}

} // namespace

void RouteTable::add(std::string_view method, std::string_view pattern, sk_request_fn handler) {
  bool any = method == "*";
  std::string key = std::string(method) + ' ' + std::string(pattern);
  std::unique_ptr<Chain> &chain = chains[key];
  if (chain) {
    chain->push_back(handler);
    return;
  }
  chain = std::make_unique<Chain>(1, handler);
  std::vector<std::string> methods{std::string(method)};
  if (any) {
    methods = router.upperCasedMethods;
    methods.emplace_back(OTHER_METHODS);
  }
  uint32_t priority = any ? Router::LOW_PRIORITY : Router::MEDIUM_PRIORITY;
  router.add(methods, std::string(pattern), [chain = chain.get()](Router *walking) {
    Dispatch &dispatch = walking->getUserData();
    dispatch.request->setParameters(walking->getParameters());
    for (sk_request_fn each : *chain) {
      if (offer(dispatch, each)) {
        return true;
      }
      if (!(dispatch.slot->flags & PENDING) || us_socket_is_closed(0, raw(dispatch.slot->socket))) {
        return true;
      }
    }
    return false;
  }, priority);
}

void RouteTable::addWebSocket(std::string_view pattern, WebSocketRoute *route) {
  router.add({"GET"}, std::string(pattern), [route](Router *walking) {
    Dispatch &dispatch = walking->getUserData();
    if (!asksForWebSocket(*dispatch.request)) {
      dispatch.upgrade_required = true;
      return false;
    }
    dispatch.request->setParameters(walking->getParameters());
    return !beginUpgrade(*dispatch.slot, *dispatch.request, *route);
  }, WEBSOCKET_PRIORITY);
}

bool RouteTable::route(Dispatch &dispatch, std::string_view method, std::string_view url) {
  router.getUserData() = dispatch;
  bool routed = router.route(method, url);
  dispatch.upgrade_required |= router.getUserData().upgrade_required;
  return routed;
}

} // namespace sk
