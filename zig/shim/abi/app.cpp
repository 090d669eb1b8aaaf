/* Opening, draining and closing. */
#include "http/app.h"
#include "websocket/websocket.h"

#include <cerrno>

using namespace sk;

namespace {

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

int32_t sk_app_listen_fd(sk_app *app, int32_t fd, int32_t shared) {
  app->listened = true;
  if (us_socket_context_listen_fd(0, app->context(), fd, shared, sizeof(HttpData))) {
    return SK_OK;
  }
  int error = us_socket_context_listen_error(app->context());
  return error > 0 ? -error : -EINVAL;
}

void sk_app_stop_listening(sk_app *app) { us_socket_context_close_listeners(app->context()); }

int32_t sk_app_drain(sk_app *app, int32_t stage) {
  us_socket_context_close_listeners(app->context());
  app->draining = true;
  app->admits_websockets = stage == SK_DRAIN_PATIENT;
  us_socket_context_for_each(
      app->context(),
      [](us_socket_t *s, void *user) {
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
      },
      &stage);
  endAllWebSockets(*app);
  if (stage == SK_DRAIN_WEBSOCKETS) {
    closeEndedWebSockets(*app);
  }
  return static_cast<int32_t>(app->connections);
}

/* By number, because what is told of the end of a connection may add a route. */
void sk_app_close(sk_app *app) {
  us_socket_context_close(0, app->context());
  for (size_t i = 0; i < app->websockets.size(); i++) {
    us_socket_context_close(0, app->websockets[i]->context->getSocketContext());
  }
}

int32_t sk_app_destroy(sk_app *app) {
  if (loopIsPumping()) {
    return SK_BUSY;
  }
  if (app->listened) {
    sk_loop_pump();
    sk_app_close(app);
    /* One more turn lets the socket layer free what was closed, while its context still exists. */
    sk_loop_pump();
  }
  delete app;
  return SK_OK;
}
