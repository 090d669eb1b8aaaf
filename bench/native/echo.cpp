/* The ceiling of the websocket benchmarks: /echo sends every message back, /broadcast sends it to all its connections.
 * Usage: bench_echo [BEHAVIOUR DIRECTORY] [PORT], 0 for any; prints "listening PORT". Both words are ignored: there is one
 * behaviour. */
#include "App.h"

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

struct Connection {};

using WebSocket = uWS::WebSocket<false, true, Connection>;
using Behavior = uWS::App::WebSocketBehavior<Connection>;

constexpr std::string_view topic = "broadcast";

void announce(us_listen_socket_t *listener) {
  if (!listener) {
    std::fputs("cannot listen\n", stderr);
    std::exit(1);
  }
  std::printf("listening %d\n", us_socket_local_port(0, reinterpret_cast<us_socket_t *>(listener)));
  std::fflush(stdout);
}

Behavior echo() {
  Behavior behavior;
  behavior.maxPayloadLength = 16 * 1024 * 1024;
  behavior.message = [](WebSocket *socket, std::string_view message, uWS::OpCode code) { socket->send(message, code); };
  return behavior;
}

Behavior broadcast(uWS::App &app) {
  Behavior behavior;
  behavior.open = [](WebSocket *socket) { socket->subscribe(topic); };
  behavior.message = [&app](WebSocket *, std::string_view message, uWS::OpCode code) { app.publish(topic, message, code); };
  return behavior;
}

} // namespace

int main(int argc, char **argv) {
  const int port = argc > 1 ? std::atoi(argv[argc - 1]) : 0;
  uWS::App app;
  app.ws<Connection>("/echo", echo()).ws<Connection>("/broadcast", broadcast(app)).listen("127.0.0.1", port, announce).run();
  return 0;
}
