/* The ceiling of the hello world benchmark: the engine and the sockets of the library, without Python.
 * Usage: bench_hello [PORT], 0 for any; prints "listening PORT". */
#include "App.h"

#include <cstdio>
#include <cstdlib>

namespace {

void announce(us_listen_socket_t *listener) {
  if (!listener) {
    std::fputs("cannot listen\n", stderr);
    std::exit(1);
  }
  std::printf("listening %d\n", us_socket_local_port(0, reinterpret_cast<us_socket_t *>(listener)));
  std::fflush(stdout);
}

} // namespace

int main(int argc, char **argv) {
  const int port = argc > 1 ? std::atoi(argv[1]) : 0;
  uWS::App()
      .get("/", [](auto *response, auto *) { response->end("Hello, World!"); })
      .listen("127.0.0.1", port, announce)
      .run();
  return 0;
}
