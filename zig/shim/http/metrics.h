/* What an app counts for whoever watches it, in memory that other processes read. An app that was not asked to count has no
 * metrics, and pays a comparison with a null pointer. */
#ifndef SK_HTTP_METRICS_H
#define SK_HTTP_METRICS_H

#include "abi/socketify.h"
#include "http/slot_table.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace sk {

/* A route as metrics know it: it gets a number when its first request comes. */
struct RouteLabel {
  std::string pattern;
  uint16_t number = SK_METRICS_ROUTE_NONE;
};

class Metrics {
public:
  /* In a block that was claimed. */
  Metrics(uint64_t *block, sk_active_fn on_active);
  Metrics(const Metrics &) = delete;
  ~Metrics();

  /* The number of a block that is ours now, or 0 when there is none. */
  static uint32_t claim(uint64_t *memory, uint32_t blocks);

  void add(uint32_t word, uint64_t count = 1) { store(word, words[word] + count); }
  void subtract(uint32_t word, uint64_t count = 1) { store(word, words[word] - count); }
  /* For who adds to a word by itself. */
  uint64_t *address(uint32_t word) { return words + word; }

  /* A request begins, and what becomes of it; the times are of App::clock. */
  void begin(const Slot &slot, std::string_view method, int64_t now_ns);
  /* Inline: a call for each request is more than most of them need. */
  [[gnu::always_inline]] void take(const Slot &slot, RouteLabel &label) {
    records[indexOf(slot)].route = label.number ? label.number : numberOf(label);
  }
  void sent(const Slot &slot, int status) { records[indexOf(slot)].status = static_cast<uint8_t>(status / 100); }
  /* Its response is complete; or never will be, as the client left, or the connection was cut. */
  void end(const Slot &slot, bool aborted, int64_t now_ns);
  /* A request was answered by the server itself, as it could not be read or took too long: one that began, or not. */
  void refuse(const Slot &slot, int status, int64_t now_ns);

  void connectionOpened(bool is_secure);
  void clientsWait(int reason) { add(reason ? SK_METRIC_WAITED_SYSTEM : SK_METRIC_WAITED_LIMIT); }
  void published();
  /* Not inline, so that those who do not count need no room for it. */
  [[gnu::noinline]] void messageReceived(size_t length);
  /* Or a fragment of one, if it is not `whole`. */
  [[gnu::noinline]] void messageSent(size_t length, bool whole, bool dropped);

private:
  /* A request that goes on, by slot. */
  struct CountedRequest {
    int64_t began_ns; /* 0 without one */
    uint16_t route;
    uint8_t method;
    uint8_t status; /* its first digit; before the head is out, that of 499, as the access log has it for clients that left */
  };

  /* Others read meanwhile. */
  void store(uint32_t word, uint64_t value) { __atomic_store_n(words + word, value, __ATOMIC_RELAXED); }
  void count(uint32_t route, uint32_t method, uint32_t status);
  void observe(uint32_t histogram, uint64_t took_ns);
  [[gnu::noinline]] uint16_t numberOf(RouteLabel &label);
  [[gnu::noinline]] void wake();

  uint64_t *words;
  sk_active_fn on_active;
  CountedRequest *records;
};

} // namespace sk
#endif
