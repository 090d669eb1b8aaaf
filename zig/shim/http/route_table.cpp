#include "http/route_table.h"

#include "http/app.h"
#include "websocket/upgrade.h"

#include <algorithm>

namespace sk {

namespace {

/* Methods that the engine's router has no name for are routed under this one. */
constexpr std::string_view OTHER_METHODS = "?";

/* Calls one handler after the other, until one of them takes the request. */
bool offer(const Dispatch &dispatch, const Chain &chain) {
  for (Handler *each : chain.handlers) {
    dispatch.request->setYield(false);
    /* The handler may end the response or lose the connection: what is read afterwards is the slot, which outlives both. */
    if (each->handle(handleOf(*dispatch.slot)) == 0) {
      return true;
    }
    if (!(dispatch.slot->flags & PENDING) || us_socket_is_closed(0, raw(dispatch.slot->socket))) {
      return true;
    }
  }
  return false;
}

[[gnu::always_inline]] inline void countRoute(const Dispatch &dispatch, RouteLabel &label) {
  if (Metrics *metrics = dispatch.slot->app->metrics.get()) [[unlikely]] {
    metrics->take(*dispatch.slot, label);
  }
}

} // namespace

bool RouteSearch::takes(Router &walking, const Match &match) {
  if (passed_over) {
    passed_over--;
    return false;
  }
  found = match;
  if (parameters) {
    auto [last, values] = walking.getParameters();
    parameters->last = last;
    std::copy_n(values, last + 1, parameters->values);
  }
  return true;
}

void RouteTable::add(std::string_view method, std::string_view pattern, Handler *handler) {
  bool any = method == "*";
  std::string key = std::string(method) + ' ' + std::string(pattern);
  std::unique_ptr<Chain> &chain = chains[key];
  if (chain) {
    chain->handlers.push_back(handler);
    return;
  }
  chain = std::make_unique<Chain>(Chain{{handler}, {std::string(pattern)}});
  std::vector<std::string> methods{std::string(method)};
  if (any) {
    methods = router.upperCasedMethods;
    methods.emplace_back(OTHER_METHODS);
  }
  uint32_t priority = any ? Router::LOW_PRIORITY : Router::MEDIUM_PRIORITY;
  Match match{chain.get(), nullptr};
  router.add(
      methods, std::string(pattern), [match](Router *walking) { return walking->getUserData()->takes(*walking, match); }, priority);
}

void RouteTable::addWebSocket(std::string_view pattern, WebSocketRoute *route) {
  has_websockets = true;
  route->label.pattern = pattern;
  websockets.add({"GET"}, std::string(pattern),
                 [found = Match{nullptr, route}](Router *walking) { return walking->getUserData()->takes(*walking, found); });
}

/* Nothing is called while the router walks: what it found is called afterwards, and when that passes the request on, the next
 * walk passes over as many. */
bool RouteTable::route(const Dispatch &dispatch, std::string_view method, std::string_view url) {
  if (dispatch.upgrades && has_websockets && upgrade(dispatch, url)) {
    return true;
  }
  if (dispatch.request->isExtended()) {
    /* Any answer of 200 would open a websocket (RFC 8441 section 4). */
    return false;
  }
  for (uint32_t passed_on = 0;; passed_on++) {
    RouteSearch search{passed_on, dispatch.parameters, {}};
    router.getUserData() = &search;
    if (!router.route(method, url)) {
      return false;
    }
    dispatch.request->setParameters({dispatch.parameters->last, dispatch.parameters->values});
    countRoute(dispatch, search.found.chain->label);
    if (offer(dispatch, *search.found.chain)) {
      return true;
    }
  }
}

bool RouteTable::upgrade(const Dispatch &dispatch, std::string_view url) {
  for (uint32_t passed_on = 0;; passed_on++) {
    RouteSearch search{passed_on, dispatch.parameters, {}};
    websockets.getUserData() = &search;
    if (!websockets.route("GET", url)) {
      return false;
    }
    dispatch.request->setParameters({dispatch.parameters->last, dispatch.parameters->values});
    countRoute(dispatch, search.found.websocket->label);
    if (beginUpgrade(*dispatch.slot, *dispatch.request, *search.found.websocket)) {
      return true;
    }
  }
}

bool RouteTable::has(std::string_view method, std::string_view url) {
  RouteSearch search{};
  router.getUserData() = &search;
  return router.route(method, url);
}

bool RouteTable::hasWebSocket(std::string_view url) {
  RouteSearch search{};
  websockets.getUserData() = &search;
  return has_websockets && websockets.route("GET", url);
}

} // namespace sk
