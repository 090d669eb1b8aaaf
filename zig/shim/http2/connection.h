/* Connections of HTTP/2: how they begin, and what the shim knows of each beside its streams. */
#ifndef SK_HTTP2_CONNECTION_H
#define SK_HTTP2_CONNECTION_H

#include "http/engine.h"
#include "http/slot_table.h"

#include <memory>
#include <string_view>

namespace sk {

/* What its streams share. */
struct Connection {
  App *app;
  uWS::ProxyParser proxyParser;
  std::unique_ptr<uWS::HttpEnds> ends;
};

/* Of the connection that carries a stream. */
Connection &connectionOf(us_socket_t *stream);

/* Where a connection without a request so far begins as one of HTTP/2, and may: it is one from now on, another socket, and its slot
 * is released. Else NULL. */
us_socket_t *beginConnection(Slot &slot, std::string_view bytes);

/* Asks the app's connections to end. */
void drainConnections(App &app, bool patient);
void closeConnections(App &app);

} // namespace sk
#endif
