/* Nanoseconds that a request parser takes for each request of a file: compiled with ours, and with the engine's own.
 * Usage: bench_parser FILE ROUNDS; prints one figure, the least of all rounds. */
#include "HttpParser.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace {

constexpr size_t PADDING = 64;
constexpr int REQUESTS_PER_ROUND = 20'000;

struct Connection {
  uWS::HttpParser parser;
  size_t seen = 0;

  /* False when the request was refused. */
  bool feed(char *data, size_t length) {
    auto [error, returned] = parser.consumePostPadded(
        data, static_cast<unsigned int>(length), this, reserved,
        [this](void *user, uWS::HttpRequest *request) -> void * {
          seen += request->getUrl().length();
          return user;
        },
        [](void *user, std::string_view, bool) -> void * { return user; });
    return returned == this;
  }

#ifdef UWS_WITH_PROXY
  uWS::ProxyParser proxy;
  void *reserved = &proxy;
#else
  void *reserved = nullptr;
#endif
};

double round(const std::string &text, std::vector<char> &buffer) {
  using Clock = std::chrono::steady_clock;
  Connection connection;
  auto begin = Clock::now();
  for (int i = 0; i < REQUESTS_PER_ROUND; i++) {
    /* As the system would: names were lowered in place. */
    memcpy(buffer.data() + PADDING, text.data(), text.length());
    if (!connection.feed(buffer.data() + PADDING, text.length())) {
      std::fputs("the request was refused\n", stderr);
      std::exit(1);
    }
  }
  std::chrono::duration<double, std::nano> took = Clock::now() - begin;
  if (!connection.seen) {
    std::exit(1);
  }
  return took.count() / REQUESTS_PER_ROUND;
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 3) {
    std::fputs("usage: bench_parser FILE ROUNDS\n", stderr);
    return 2;
  }
  std::ifstream file(argv[1], std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::vector<char> buffer(text.length() + 2 * PADDING);
  double best = 1e18;
  for (int i = std::atoi(argv[2]); i > 0; i--) {
    best = std::min(best, round(text, buffer));
  }
  std::printf("%.1f\n", best);
  return 0;
}
