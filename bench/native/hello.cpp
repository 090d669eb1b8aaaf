/* The ceiling of the HTTP benchmarks: the engine and the sockets of the library, without Python.
 * Usage: bench_hello [BEHAVIOUR DIRECTORY] [PORT], 0 for any; prints "listening PORT".
 * The behaviours are those of bench/serve/framework.py; for "tls" the directory holds server.pem and server.key. */
#include "App.h"
#include "usockets_ext.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Response = uWS::HttpResponse<false>;

constexpr int header_count = 20;
constexpr int route_count = 64;
constexpr size_t body_bytes = 10'000;

void announce(us_listen_socket_t *listener) {
  if (!listener) {
    std::fputs("cannot listen\n", stderr);
    std::exit(1);
  }
  std::printf("listening %d\n", us_socket_local_port(0, reinterpret_cast<us_socket_t *>(listener)));
  std::fflush(stdout);
}

/* TLS belongs to the sockets: the engine's plain classes serve it. */
void speakTls(uWS::App &app, const std::string &directory) {
  /* Lists, of one name each. */
  const std::string certificates = directory + "/server.pem" + '\0';
  const std::string keys = directory + "/server.key" + '\0';
  us_tls_options options{};
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

void hello(uWS::App &app) {
  app.get("/", [](auto *response, auto *) { response->end("Hello, World!"); });
}

void headers(uWS::App &app) {
  auto names = std::make_shared<std::vector<std::string>>();
  for (int i = 0; i < header_count; i++) {
    names->push_back("X-Header-" + std::to_string(i));
  }
  app.get("/", [names](auto *response, auto *) {
    response->writeHeader("Content-Type", "text/plain");
    for (const std::string &name : *names) {
      response->writeHeader(name, "a value of a header");
    }
    response->end("Hello, World!");
  });
}

void json(uWS::App &app) {
  app.get("/", [](auto *response, auto *) {
    response->writeHeader("Content-Type", "application/json")->end(R"({"message": "Hello, World!"})");
  });
}

void body(uWS::App &app) {
  auto text = std::make_shared<std::string>(body_bytes, 'x');
  app.get("/", [text](auto *response, auto *) { response->end(*text); });
}

void echo(uWS::App &app) {
  app.post("/", [](auto *response, auto *) {
    response->onAborted([]() {});
    response->onData([response, received = std::string()](std::string_view chunk, bool last) mutable {
      if (last && received.empty()) {
        response->end(chunk);
        return;
      }
      received.append(chunk);
      if (last) {
        response->end(received);
      }
    });
  });
}

void routes(uWS::App &app) {
  for (int i = 0; i < route_count; i++) {
    app.get("/section" + std::to_string(i) + "/:id/items/:item", [](auto *response, auto *request) {
      std::string text(request->getParameter(0));
      text.append(" ").append(request->getParameter(1));
      response->end(text);
    });
  }
}

struct Behaviour {
  std::string_view name;
  void (*add)(uWS::App &);
};

constexpr Behaviour behaviours[] = {
    {"hello", hello}, {"tls", hello}, {"headers", headers}, {"json", json}, {"body", body}, {"echo", echo}, {"routes", routes},
};

bool addBehaviour(uWS::App &app, std::string_view name) {
  for (const Behaviour &behaviour : behaviours) {
    if (behaviour.name == name) {
      behaviour.add(app);
      return true;
    }
  }
  return false;
}

} // namespace

int main(int argc, char **argv) {
  const int port = argc > 1 ? std::atoi(argv[argc - 1]) : 0;
  const std::string_view name = argc > 3 ? argv[1] : "hello";
  uWS::App app;
  if (name == "tls") {
    speakTls(app, argv[2]);
  }
  if (!addBehaviour(app, name)) {
    std::fputs("unknown behaviour\n", stderr);
    return 2;
  }
  app.listen("127.0.0.1", port, announce);
  app.run();
  return 0;
}
