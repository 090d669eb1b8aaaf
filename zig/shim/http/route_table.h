/* Which handlers a request is for, by method and path. */
#ifndef SK_HTTP_ROUTE_TABLE_H
#define SK_HTTP_ROUTE_TABLE_H

#include "http/engine.h"
#include "http/handler.h"
#include "http/metrics.h"
#include "http/slot_table.h"

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sk {

/* Several handlers of one method and pattern form a chain: the engine's router takes one each. */
struct Chain {
  std::vector<Handler *> handlers;
  RouteLabel label;
};

/* What the parts of a path are that a pattern left open: the request's own, whatever the router walks for afterwards. */
struct Parameters {
  /* The engine's router knows no more parts of a path. */
  static constexpr int MAX = 100;

  Parameters() {}

  int last;
  /* Not set before they are known: most requests have none. */
  union {
    std::string_view values[MAX];
  };
};

/* What is called when a route matches: handlers, or a websocket's handshake. */
struct Match {
  Chain *chain;
  WebSocketRoute *websocket;
};

struct RouteSearch;
using Router = uWS::HttpRouter<RouteSearch *>;

/* One walk of a router, which calls nothing: it remembers the route that it found. */
struct RouteSearch {
  /* So many routes that match passed the request on already. */
  uint32_t passed_over;
  /* Where the parameters go; null when only asked whether there is a route. */
  Parameters *parameters;
  Match found;

  /* Whether the walk ends at this route. */
  bool takes(Router &walking, const Match &match);
};

/* A request on its way through the routes. */
struct Dispatch {
  Slot *slot;
  uWS::HttpRequest *request;
  /* The request asks for an upgrade to websocket. */
  bool upgrades;
  Parameters *parameters;
};

/* The routes of one host name, or of all others. */
class RouteTable {
public:
  /* The handler must live as long as the table. */
  void add(std::string_view method, std::string_view pattern, Handler *handler);
  /* Only for upgrades, which ask these routes before all others. */
  void addWebSocket(std::string_view pattern, WebSocketRoute *route);
  /* Calls the handlers of the routes that match; false when none took the request. */
  bool route(const Dispatch &dispatch, std::string_view method, std::string_view url);
  /* Whether a route would be asked; its handler is not. */
  bool has(std::string_view method, std::string_view url);
  bool hasWebSocket(std::string_view url);

private:
  bool upgrade(const Dispatch &dispatch, std::string_view url);

  Router router;
  Router websockets;
  bool has_websockets = false;
  std::map<std::string, std::unique_ptr<Chain>> chains;
};

} // namespace sk
#endif
