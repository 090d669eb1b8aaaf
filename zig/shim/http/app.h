/* An app: its routes, its limits, its listeners, and the life of its connections. */
#ifndef SK_HTTP_APP_H
#define SK_HTTP_APP_H

#include "abi/socketify.h"
#include "http/added_fields.h"
#include "http/clock.h"
#include "http/compression.h"
#include "http/engine.h"
#include "http/handler.h"
#include "http/metrics.h"
#include "http/observer.h"
#include "http/route_table.h"
#include "http/slot_table.h"

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sk {

class TopicWatch;

struct App {
  /* `on_missing` serves what no route took. */
  App(const sk_app_options &options, std::unique_ptr<Handler> on_missing);

  sk_app_options options;
  std::unique_ptr<Handler> on_missing;
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
  /* Who looks at every request, and whether there is anybody: most apps pay for no more than that. */
  bool watched = false;
  std::unique_ptr<Observer> observer;
  std::unique_ptr<Metrics> metrics;
  TurnClock clock;
  std::unique_ptr<Compression> compression;
  AddedFields added;
  /* It may have connections, or have had some. */
  bool listened = false;
  sk_tls_missing_fn on_missing_name = nullptr;
  /* Contexts and behaviors of the websocket routes, by number. */
  std::vector<std::unique_ptr<WebSocketRoute>> websockets;
  /* For a broker; null without one. */
  std::unique_ptr<TopicWatch> topic_watch;
  /* Its connections of HTTP/2, once there was one. */
  us_socket_context_t *carriers = nullptr;
  /* A route that is taken away leaves its own behind. */
  std::vector<std::unique_ptr<Handler>> handlers;

  ~App();

  /* Keeps a handler for a route. */
  Handler *keep(std::unique_ptr<Handler> handler);
  void addRoute(std::string_view host, std::string_view method, std::string_view pattern, Handler *handler);
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

  /* Tells those who watch that a response is complete, or never will be. */
  void noteEnd(const Slot &slot, bool aborted);

  /* Called when a connection's slot dies; `slot` is released here. */
  void connectionClosed(Slot &slot);
  /* One connection less is open. */
  void connectionEnded();

private:
  struct PendingRoute {
    std::string host, method, pattern;
    Handler *handler;
    WebSocketRoute *websocket;
  };

  /* False when the request was refused: by the bound on requests at a time, or because it is for another name. */
  bool admit(Slot &slot, uWS::HttpRequest *request);
  void countRefused(uint32_t reason);
  void onOpen(HttpResponse *response);
  void readPreamble(HttpResponse *response);
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

} // namespace sk

/* The engine's name for it in C. */
struct sk_app : sk::App {
  using sk::App::App;
};

#endif
