/* sk_app_*: an app from its birth to its end. Its certificates are in tls.cpp. */
#include "http/app.h"

#include "cpython/exchange.h"
#include "cpython/handler.h"
#include "cpython/websocket.h"
#include "http/loop.h"
#include "http2/connection.h"
#include "websocket/route.h"
#include "websocket/topic_watch.h"
#include "websocket/topics.h"

#include <cassert>
#include <cerrno>

namespace sk {

namespace {

/* Longer values would not fit the block of common fields; the caller checks too. */
constexpr size_t SERVER_HEADER_MAX = 128;

/* An object has precedence; without either there is none. */
std::unique_ptr<Handler> handlerOf(sk_request_fn function, const void *object) {
  if (object) {
    return std::make_unique<ObjectHandler>(object);
  }
  return function ? std::make_unique<FunctionHandler>(function) : nullptr;
}

std::unique_ptr<MessageHandler> messageHandlerOf(const sk_ws_behavior &behavior) {
  if (behavior.on_message_object) {
    return std::make_unique<ObjectMessages>(behavior);
  }
  return std::make_unique<FunctionMessages>(behavior.on_message);
}

Observer &observerOf(sk_app *app) {
  if (!app->observer) {
    app->observer = std::make_unique<Observer>();
    app->watched = true;
  }
  return *app->observer;
}

/* No request of it was taken, and no bytes of a response are owed to it. */
bool isIdle(Socket *socket, const Slot &slot) {
  return slot.kind == Kind::Http && !(slot.flags & PENDING) && socket->getBufferedAmount() == 0;
}

/* A client that was heard of just now may have its next request, or the rest of it, on the way: it is answered, with
 * Connection: close. */
bool mayHaveSent(Socket *socket, const Slot &slot) {
  const sk_app_options &options = slot.app->options;
  uint32_t seconds = slot.flags & HEAD_BEGUN ? options.header_timeout_s : options.keep_alive_timeout_s;
  uint32_t left = us_socket_timeout_left(raw(socket));
  return !left || left >= seconds || httpData(socket)->hasPartialHead();
}

/* Unless the client has sent what nobody has read yet: that is served. */
void closeIdle(us_socket_t *s, void *user) {
  auto *socket = reinterpret_cast<Socket *>(s);
  uint32_t index = us_socket_tag(s);
  bool patient = *static_cast<int32_t *>(user) == SK_DRAIN_PATIENT;
  if (!us_socket_is_established(0, s)) {
    /* Its handshake goes on: no request of it was taken. */
    if (!patient && !us_socket_has_input(s)) {
      socket->close();
    }
  } else if (index && isIdle(socket, slotAt(index)) && !(patient && mayHaveSent(socket, slotAt(index))) &&
             !us_socket_has_input(s)) {
    socket->shutdown();
    socket->close();
  }
}

} // namespace

extern "C" {

sk_app *sk_app_create(const sk_app_options *options) {
  assert(options->on_missing || options->on_missing_object);
  assert(options->on_abort && options->on_body && options->on_writable && options->on_drained && options->on_waiting);
  if (options->server_header_length > SERVER_HEADER_MAX) {
    return nullptr;
  }
  auto *app = new sk_app(*options, handlerOf(options->on_missing, options->on_missing_object));
  if (app->engine.constructorFailed()) {
    delete app;
    return nullptr;
  }
  if (app->limits.proxyMode != uWS::ProxyMode::Off) {
    observerOf(app);
  }
  return app;
}

void sk_app_route(sk_app *app, const char *host, size_t host_length, const char *method, size_t method_length, const char *pattern,
                  size_t pattern_length, sk_request_fn handler, const void *object) {
  app->addRoute({host, host_length}, {method, method_length}, {pattern, pattern_length}, app->keep(handlerOf(handler, object)));
}

void sk_app_route_exchange(sk_app *app, const char *host, size_t host_length, const char *method, size_t method_length,
                           const char *pattern, size_t pattern_length, const sk_exchange_handler *handler) {
  app->addRoute({host, host_length}, {method, method_length}, {pattern, pattern_length},
                app->keep(std::make_unique<ExchangeHandler>(*handler)));
}

void sk_app_remove_host(sk_app *app, const char *host, size_t host_length) { app->removeHost({host, host_length}); }

uint32_t sk_app_connections(sk_app *app) { return app->connections; }

void sk_app_log(sk_app *app, const sk_log_part *parts, size_t count, int32_t json, sk_log_fn callback) {
  observerOf(app).log = std::make_unique<AccessLog>(parts, count, json != 0, callback);
}

void sk_app_flush_log(sk_app *app) {
  if (app->observer && app->observer->log) {
    app->observer->log->flush();
  }
}

void sk_app_report_ends(sk_app *app, sk_ends_fn callback) { observerOf(app).end_report = std::make_unique<EndReport>(callback); }

void sk_app_take_ends(sk_app *app) {
  if (app->observer && app->observer->end_report) {
    app->observer->end_report->flush();
  }
}

void sk_app_name_requests(sk_app *app, const char *field, size_t length) { observerOf(app).id_field.assign(field, length); }

void sk_app_add_field(sk_app *app, const char *name, size_t name_length, const char *value, size_t length) {
  app->added.add({name, name_length}, {value, length});
}

void sk_app_trust(sk_app *app, const char *networks, size_t length, uint32_t proxies, uint32_t fields) {
  observerOf(app).trust.assign({networks, length}, proxies, fields);
}

void sk_app_limit_requests(sk_app *app, uint64_t count, sk_drained_fn callback) {
  app->requests_left = count;
  app->on_last_request = callback;
}

int32_t sk_app_listen_fd(sk_app *app, int32_t fd, int32_t shared) {
  app->listened = true;
  if (us_socket_context_listen_fd(0, app->context(), fd, shared, sizeof(HttpData))) {
    return SK_OK;
  }
  int error = us_socket_context_listen_error(app->context());
  return error > 0 ? -error : -EINVAL;
}

void sk_app_stop_listening(sk_app *app) { us_socket_context_close_listeners(app->context()); }

void sk_app_accept_waiting(sk_app *app, int32_t shared) { us_socket_context_accept_waiting(app->context(), shared); }

int32_t sk_app_drain(sk_app *app, int32_t stage) {
  us_socket_context_close_listeners(app->context());
  app->draining = true;
  app->admits_websockets = stage == SK_DRAIN_PATIENT;
  us_socket_context_for_each(app->context(), closeIdle, &stage);
  drainConnections(*app, stage == SK_DRAIN_PATIENT);
  endAllWebSockets(*app);
  if (stage == SK_DRAIN_WEBSOCKETS) {
    closeEndedWebSockets(*app);
  }
  return static_cast<int32_t>(app->connections ? app->connections : us_socket_context_count(app->context()));
}

/* By number, because a callback at the end of a connection may add a route. */
void sk_app_close(sk_app *app) {
  us_socket_context_close(0, app->context());
  for (size_t i = 0; i < app->websockets.size(); i++) {
    us_socket_context_close(0, app->websockets[i]->context->getSocketContext());
  }
  closeConnections(*app);
}

int32_t sk_app_destroy(sk_app *app) {
  if (loopIsPumping()) {
    return SK_BUSY;
  }
  if (app->listened) {
    pumpLoop();
    sk_app_close(app);
    /* One more turn lets the socket layer free what was closed, while its context still exists. */
    pumpLoop();
  }
  sk_app_flush_log(app);
  sk_app_take_ends(app);
  delete app;
  return SK_OK;
}

int32_t sk_app_ws(sk_app *app, const char *host, size_t host_length, const char *pattern, size_t pattern_length,
                  const sk_ws_behavior *behavior) {
  assert((behavior->on_message || behavior->on_message_object) && behavior->on_close);
  assert(behavior->on_open || behavior->on_upgrade || behavior->on_upgrade_object);
  WebSocketRoute *route = createWebSocketRoute(*app, *behavior, handlerOf(behavior->on_upgrade, behavior->on_upgrade_object),
                                               messageHandlerOf(*behavior));
  if (!route) {
    return SK_BUSY;
  }
  app->addWebSocketRoute({host, host_length}, {pattern, pattern_length}, route);
  return static_cast<int32_t>(app->websockets.size()) - 1;
}

int32_t sk_app_publish(sk_app *app, const char *topic, size_t topic_length, const char *data, size_t length, int32_t flags) {
  return publish(*app, nullptr, {topic, topic_length}, {data, length}, flags);
}

uint32_t sk_app_num_subscribers(sk_app *app, const char *topic, size_t topic_length) {
  return app->engine.topicTree ? app->engine.numSubscribers({topic, topic_length}) : 0;
}

void sk_app_watch_topics(sk_app *app, sk_topics_fn on_change) { app->topic_watch = std::make_unique<TopicWatch>(on_change); }

int32_t sk_app_take_topics(sk_app *app) { return app->topic_watch ? app->topic_watch->take(app->engine.topicTree) : 0; }

} // extern "C"

} // namespace sk
