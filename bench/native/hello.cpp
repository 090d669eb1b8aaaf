/* The ceiling of the hello world benchmark: the engine and the sockets of the library, without Python.
 * Usage: bench_hello [CERTIFICATE KEY] [PORT], 0 for any; prints "listening PORT". With a certificate it speaks TLS. */
#include "App.h"
#include "usockets_ext.h"

#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

void announce(us_listen_socket_t *listener) {
  if (!listener) {
    std::fputs("cannot listen\n", stderr);
    std::exit(1);
  }
  std::printf("listening %d\n", us_socket_local_port(0, reinterpret_cast<us_socket_t *>(listener)));
  std::fflush(stdout);
}

/* TLS belongs to the sockets: the engine's plain classes serve it. */
void speakTls(uWS::App &app, const char *certificate, const char *key) {
  us_tls_options options{};
  const std::string certificates = std::string(certificate) + '\0', keys = std::string(key) + '\0';
  options.cert_files = certificates.c_str();
  options.key_files = keys.c_str();
  options.handshake_timeout_s = 10;
  char reason[256] = "OpenSSL 3 was not found";
  auto *context = reinterpret_cast<us_socket_context_t *>(app.httpContext);
  if (us_tls_load("libssl.so.3") != 1 || us_socket_context_tls(context, "", 0, &options, reason, sizeof(reason)) != 0) {
    std::fprintf(stderr, "cannot speak TLS: %s\n", reason);
    std::exit(1);
  }
}

} // namespace

int main(int argc, char **argv) {
  const int port = argc > 1 ? std::atoi(argv[argc - 1]) : 0;
  uWS::App app;
  if (argc > 3) {
    speakTls(app, argv[1], argv[2]);
  }
  app.get("/", [](auto *response, auto *) { response->end("Hello, World!"); });
  app.listen("127.0.0.1", port, announce);
  app.run();
  return 0;
}
