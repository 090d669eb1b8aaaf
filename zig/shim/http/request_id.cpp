#include "http/request_id.h"

#include "http/bytes.h"

#include <cstdint>
#include <ctime>
#include <fcntl.h>
#include <unistd.h>

namespace sk {

namespace {

constexpr size_t LENGTH_MAX = 128;

/* Not a secret, only never the same twice: the state begins at random in each thread of each process. */
struct Generator {
  uint64_t state[2] = {};
  pid_t process = 0;

  uint64_t next() {
    /* xorshift128+ */
    uint64_t a = state[0], b = state[1];
    state[0] = b;
    a ^= a << 23;
    state[1] = a ^ b ^ (a >> 17) ^ (b >> 26);
    return state[1] + b;
  }

  void seed() {
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    bool seeded = fd >= 0 && read(fd, state, sizeof(state)) == sizeof(state);
    if (fd >= 0) {
      close(fd);
    }
    if (!seeded) {
      timespec time;
      clock_gettime(CLOCK_REALTIME, &time);
      state[0] = static_cast<uint64_t>(time.tv_nsec) << 32 ^ static_cast<uint64_t>(time.tv_sec);
      state[1] = static_cast<uint64_t>(getpid()) << 20 | 1;
    }
  }
};

void putHex(std::string &out, uint64_t number) {
  for (int shift = 60; shift >= 0; shift -= 4) {
    out += HEX[number >> shift & 15];
  }
}

} // namespace

bool isRequestId(std::string_view text) {
  for (unsigned char c : text) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!plain && std::string_view("-._~+/=:@;,|").find(static_cast<char>(c)) == std::string_view::npos) {
      return false;
    }
  }
  return !text.empty() && text.length() <= LENGTH_MAX;
}

void makeRequestId(std::string &out) {
  thread_local Generator generator;
  /* A child of a fork must not go on with its parent's. */
  if (pid_t process = getpid(); generator.process != process) {
    generator.process = process;
    generator.seed();
  }
  out.clear();
  putHex(out, generator.next());
  putHex(out, generator.next());
}

} // namespace sk
