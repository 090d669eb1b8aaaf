/* Opening, draining and closing. */
#include "app.h"
#include "websocket.h"

#include <cerrno>

using namespace sk;

namespace {

/* The resolver's codes are small negative numbers, as negated errno would be. */
constexpr int32_t RESOLVER_ERROR_BASE = -100000;
int32_t listened(sk_app *app, us_listen_socket_t *listener) {
  if (!listener) {
    int error = us_socket_context_listen_error(app->context());
    return error < 0 ? RESOLVER_ERROR_BASE + error : -(error ? error : EINVAL);
  }
  app->listeners.push_back(listener);
  int port = us_socket_local_port(0, reinterpret_cast<us_socket_t *>(listener));
  return port < 0 ? 0 : port;
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

} // namespace

int32_t sk_app_listen(sk_app *app, const char *host, int32_t port, int32_t exclusive) {
  int options = exclusive ? LIBUS_LISTEN_EXCLUSIVE_PORT : LIBUS_LISTEN_DEFAULT;
  return listened(app, us_socket_context_listen(0, app->context(), host, port, options, sizeof(HttpData)));
}

int32_t sk_app_listen_unix(sk_app *app, const char *path) {
  return listened(app, us_socket_context_listen_unix(0, app->context(), path, LIBUS_LISTEN_DEFAULT, sizeof(HttpData)));
}

int32_t sk_app_listen_fd(sk_app *app, int32_t fd) {
  return listened(app, us_socket_context_listen_fd(0, app->context(), fd, sizeof(HttpData)));
}

int32_t sk_app_drain(sk_app *app, int32_t stage) {
  us_socket_context_close_listeners(app->context());
  app->listeners.clear();
  app->draining = true;
  app->admits_websockets = stage == SK_DRAIN_PATIENT;
  us_socket_context_for_each(app->context(), [](us_socket_t *s, void *user) {
    auto *socket = reinterpret_cast<Socket *>(s);
    uint32_t index = us_socket_tag(s);
    bool patient = *static_cast<int32_t *>(user) == SK_DRAIN_PATIENT;
    if (!us_socket_is_established(0, s)) {
      /* Its handshake goes on: no request of it was taken. */
      if (!patient) {
        socket->close();
      }
    } else if (index && isIdle(socket, slotAt(index)) && !(patient && mayHaveSent(socket, slotAt(index)))) {
      socket->shutdown();
      socket->close();
    }
  }, &stage);
  endAllWebSockets(*app);
  if (stage == SK_DRAIN_WEBSOCKETS) {
    closeEndedWebSockets(*app);
  }
  return static_cast<int32_t>(app->connections);
}

/* By number, because what is told of the end of a connection may add a route. */
void sk_app_close(sk_app *app) {
  app->listeners.clear();
  us_socket_context_close(0, app->context());
  for (size_t i = 0; i < app->websockets.size(); i++) {
    us_socket_context_close(0, app->websockets[i]->context->getSocketContext());
  }
}

int32_t sk_app_destroy(sk_app *app) {
  if (sk_loop_pump() == SK_BUSY) {
    return SK_BUSY;
  }
  sk_app_close(app);
  /* One more turn lets the socket layer free what was closed, while its context still exists. */
  sk_loop_pump();
  delete app;
  return SK_OK;
}
