#include "http2/connection.h"

#include "Carrier.h"
#include "http/app.h"
#include "http/connection.h"
#include "http/response.h"

#include <new>
#include <string>
#include <utility>

namespace sk {

namespace {

/* As much of the preface as tells (RFC 9113 section 3.4): the rest is looked at by who reads frames. */
constexpr std::string_view PREFACE = "PRI * HTTP/2.0";

void onClosed(void *user) {
  auto *connection = static_cast<Connection *>(user);
  App *app = connection->app;
  delete connection;
  app->connectionEnded();
}

/* The first connection makes it: an app that has none pays nothing. */
us_socket_context_t *contextOf(App &app) {
  if (!app.carriers) {
    static const carrier_callbacks callbacks = {onStreamRequest, onStreamBody, onStreamRefused, onClosed};
    const sk_app_options &options = app.options;
    carrier_limits limits{};
    limits.max_body_bytes = options.max_body_bytes;
    limits.max_target_bytes = app.limits.maxRequestLine;
    limits.max_header_bytes = app.limits.maxHeaderBytes;
    limits.max_trailer_bytes = app.limits.maxTrailerBytes;
    limits.max_header_count = app.limits.maxHeaderCount;
    limits.max_streams = options.max_streams;
    carrier_timeouts timeouts{options.header_timeout_s, options.keep_alive_timeout_s, options.write_timeout_s};
    app.carriers = carrier_create_context(app.context(), sizeof(HttpData), &callbacks, &limits, &timeouts);
  }
  return app.carriers;
}

bool isOffered(const Slot &slot) {
  us_socket_t *s = raw(slot.socket);
  int version = slot.app->options.http_version;
  if (version == SK_HTTP_1) {
    return false;
  }
  /* RFC 9113 section 3.2: with TLS, it is agreed on there. */
  return !slot.app->secure || us_socket_tls_speaks_http_2(s);
}

} // namespace

Connection &connectionOf(us_socket_t *stream) { return *static_cast<Connection *>(carrier_user(stream)); }

us_socket_t *beginConnection(Slot &slot, std::string_view bytes) {
  if (bytes.substr(0, PREFACE.length()) != PREFACE || slot.request_handle || !isOffered(slot)) {
    return nullptr;
  }
  App &app = *slot.app;
  us_socket_context_t *context = contextOf(app);
  if (!context) {
    return nullptr;
  }
  HttpData *data = httpData(slot.socket);
  auto *connection = new Connection{&app, data->proxyParser, std::move(data->ends)};
  us_socket_t *s = raw(slot.socket);
  slot.socket->uncork();
  std::string begun(bytes);
  us_socket_set_tag(s, 0);
  /* The memory is there until the turn ends. */
  us_socket_t *moved = carrier_begin(context, s, begun.data(), begun.length(), connection);
  if (!moved) {
    delete connection;
    us_socket_set_tag(s, indexOf(slot));
    return nullptr;
  }
  data->~HttpResponseData();
  if (app.observer) {
    app.observer->forget(slot);
  }
  if (app.metrics) {
    app.metrics->add(SK_METRIC_ACCEPTED_HTTP_2);
  }
  releaseSlot(indexOf(slot));
  return moved;
}

void drainConnections(App &app, bool patient) {
  if (app.carriers) {
    carrier_drain(app.carriers, patient);
  }
}

void closeConnections(App &app) {
  if (app.carriers) {
    us_socket_context_close(0, app.carriers);
  }
}

} // namespace sk
