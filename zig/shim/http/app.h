/* An app: its routes, its limits, its listeners, and the life of its connections. */
#ifndef SK_APP_H
#define SK_APP_H

#include "abi/socketify.h"
#include "cpython/functions.h"
#include "http/engine.h"
#include "http/observer.h"
#include "http/slot_table.h"

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sk {

struct App;
struct WebSocketRoute;

/* Several handlers of one method and pattern form a chain: the engine's router takes one each. */
using Chain = std::vector<RequestHandler>;

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
  const Chain *handlers;
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
  void add(std::string_view method, std::string_view pattern, RequestHandler handler);
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

struct App {
  explicit App(const sk_app_options &options);

  sk_app_options options;
  std::string server_header;
  uWS::HttpLimits limits;
  EngineApp engine;
  RouteTable routes;
  using Hosts = std::map<std::string, RouteTable, std::less<>>;
  Hosts hosts;
  bool draining = false;
  /* Handshakes of websockets are answered, also while it drains. */
  bool admits_websockets = true;
  /* Its listeners speak TLS. */
  bool secure = false;
  uint32_t connections = 0;
  /* Requests without a complete response, and websockets. */
  uint32_t busy = 0;
  /* Requests until `on_last_request` is called; 0 for never. */
  uint64_t requests_left = 0;
  sk_drained_fn on_last_request = nullptr;
  std::unique_ptr<Observer> observer;
  /* It may have connections, or have had some. */
  bool listened = false;
  sk_tls_missing_fn on_missing_name = nullptr;
  /* Contexts and behaviors of the websocket routes, by number. */
  std::vector<std::unique_ptr<WebSocketRoute>> websockets;
  /* Handlers in Python; a route that is taken away leaves its own behind. */
  std::vector<std::unique_ptr<NativeHandler>> exchanges;

  ~App();

  void addRoute(std::string_view host, std::string_view method, std::string_view pattern, RequestHandler handler);
  void addWebSocketRoute(std::string_view host, std::string_view pattern, WebSocketRoute *route);
  void removeHost(std::string_view host);
  us_socket_context_t *context() { return reinterpret_cast<us_socket_context_t *>(engine.httpContext); }

  /* The methods that some route takes for what the request asks, with commas between; empty when it is known nowhere. */
  std::string allowedMethods(uWS::HttpRequest *request);
  /* Calls the handlers of the routes that match. */
  void onRequest(HttpResponse *response, uWS::HttpRequest *request);

  /* The Date and Server lines, rendered once a second. */
  std::string_view commonFields();
  std::string_view dateField();
  std::string_view serverField() const { return server_field; }

  /* Called when a connection's slot dies; `slot` is released here. */
  void connectionClosed(Slot &slot);

private:
  struct PendingRoute {
    std::string host, method, pattern;
    RequestHandler handler;
    WebSocketRoute *websocket;
  };

  /* False when the request was refused: by the bound on requests at a time, or because it is for another name. */
  bool admit(Slot &slot, uWS::HttpRequest *request);
  void onOpen(HttpResponse *response);
  void onClose(HttpResponse *response);
  void applyPendingRoutes();
  RouteTable &tableFor(std::string_view host);
  Hosts::iterator findHost(std::string_view name);
  void renderCommonFields();

  /* Routes cannot change while the router walks: what handlers add waits here. */
  std::vector<PendingRoute> pending_routes;
  std::vector<std::string> pending_removals;
  bool dispatching = false;
  std::string server_field;
  int64_t rendered_second = -1;
  size_t date_length = 0;
  size_t common_length = 0;
  char common[256];
};

/* Whether the client speaks TLS, with us or with a trusted proxy. */
bool isSecure(const Slot &slot);
/* A new request of the connection: the handles of the one before are stale from now on. */
void beginRequest(Slot &slot, HttpResponse *response, uWS::HttpRequest *request);
/* Reads the connection's held requests when enough of its output has been taken. */
void continueWhenWritable(Slot &slot);

} // namespace sk

struct sk_app : sk::App {
  using sk::App::App;
};

#endif
