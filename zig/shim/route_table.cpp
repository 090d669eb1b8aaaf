#include "app.h"

#include "websocket.h"

namespace sk {

namespace {

/* Methods that the engine's router has no name for are routed under this one. */
constexpr std::string_view OTHER_METHODS = "?";

bool offer(const Dispatch &dispatch, RequestHandler handler) {
  dispatch.request->setYield(false);
  /* The handler may end the response or lose the connection: what is read afterwards is the slot, which outlives both. */
  return handler(handleOf(*dispatch.slot)) == 0;
}

} // namespace

void RouteTable::add(std::string_view method, std::string_view pattern, RequestHandler handler) {
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
    if (dispatch.probes) {
      return true;
    }
    dispatch.request->setParameters(walking->getParameters());
    for (RequestHandler each : *chain) {
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
  has_websockets = true;
  websockets.add({"GET"}, std::string(pattern), [route](Router *walking) {
    Dispatch &dispatch = walking->getUserData();
    if (!dispatch.upgrades) {
      /* Only whether there is a route was asked. */
      return true;
    }
    dispatch.request->setParameters(walking->getParameters());
    return beginUpgrade(*dispatch.slot, *dispatch.request, *route);
  });
}

bool RouteTable::route(const Dispatch &dispatch, std::string_view method, std::string_view url) {
  if (dispatch.upgrades && routeWebSocket(dispatch, url)) {
    return true;
  }
  router.getUserData() = dispatch;
  return router.route(method, url);
}

bool RouteTable::has(std::string_view method, std::string_view url) {
  router.getUserData() = {nullptr, nullptr, nullptr, false, true};
  return router.route(method, url);
}

bool RouteTable::routeWebSocket(const Dispatch &dispatch, std::string_view url) {
  websockets.getUserData() = dispatch;
  return has_websockets && websockets.route("GET", url);
}

} // namespace sk
