#include "http/metrics.h"

#include "http/callback.h"
#include "http/clock.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <utility>

namespace sk {

namespace {

constexpr uint64_t NS_PER_US = 1000;
constexpr int STATUS_SERVER_ERROR = 5, STATUS_CLIENT_ERROR = 4;

constexpr size_t BOUNDS = SK_METRICS_BUCKETS - 1;

constexpr std::array<uint64_t, BOUNDS> readBounds(std::string_view text) {
  std::array<uint64_t, BOUNDS> bounds{};
  size_t index = 0;
  for (char each : text) {
    if (each == ' ') {
      index++;
    } else {
      bounds[index] = bounds[index] * 10 + static_cast<uint64_t>(each - '0');
    }
  }
  for (uint64_t &each : bounds) {
    each *= NS_PER_US;
  }
  return bounds;
}

constexpr auto BOUNDS_NS = readBounds(SK_METRICS_BOUNDS);
static_assert(BOUNDS_NS[BOUNDS - 1] == 10'000'000'000);
static_assert(SK_METRICS_LABEL_WORDS * sizeof(uint64_t) == SK_METRICS_LABEL_BYTES);
static_assert(SK_METRICS_LABELS + SK_METRICS_ROUTE_COUNT * SK_METRICS_LABEL_WORDS <= SK_METRICS_WORDS);

constexpr std::array<std::string_view, SK_METRICS_METHOD_COUNT> readMethods(std::string_view text) {
  std::array<std::string_view, SK_METRICS_METHOD_COUNT> methods{};
  for (std::string_view &each : methods) {
    each = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(each.length() + 1, text.length()));
  }
  return methods;
}

constexpr auto METHODS = readMethods(SK_METRICS_METHODS);
static_assert(METHODS.back() == "other");

uint8_t numberOfMethod(std::string_view method) {
  uint8_t number = 0;
  while (number < METHODS.size() - 1 && METHODS[number] != method) {
    number++;
  }
  return number;
}

/* Never 0. */
int64_t clockNs() { return monotonicNs() + 1; }

/* The records of all threads, each of which has slots of its own. As with the slots, the size costs address space only. */
void *allRecords(size_t record_bytes) {
  static void *made = nullptr;
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  if (!made) {
    made = calloc(SLOT_COUNT, record_bytes);
  }
  return made;
}

void releaseBlock(uint64_t *block) {
  std::fill(block + SK_METRIC_PHASE, block + SK_METRIC_FIRST_COUNTER, 0);
  __atomic_store_n(block + SK_METRIC_OWNER, 0, __ATOMIC_RELEASE);
}

} // namespace

Metrics::Metrics(uint64_t *block, sk_active_fn on_active)
    : words(block), on_active(on_active), records(static_cast<CountedRequest *>(allRecords(sizeof(CountedRequest)))) {
  store(SK_METRIC_PHASE, SK_PHASE_STARTING);
  store(SK_METRIC_ASLEEP, 1);
  store(SK_METRIC_USED, 1);
}

Metrics::~Metrics() {
  /* In the child of a fork it is the parent's. */
  if (words[SK_METRIC_OWNER] == static_cast<uint64_t>(getpid())) {
    releaseBlock(words);
  }
}

uint32_t Metrics::claim(uint64_t *memory, uint32_t blocks) {
  if (!allRecords(sizeof(CountedRequest))) {
    return 0;
  }
  auto self = static_cast<uint64_t>(getpid());
  for (uint32_t i = 1; i < blocks; i++) {
    uint64_t nobody = 0;
    uint64_t *owner = memory + size_t{i} * SK_METRICS_WORDS + SK_METRIC_OWNER;
    if (__atomic_compare_exchange_n(owner, &nobody, self, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
      return i;
    }
  }
  return 0;
}

void Metrics::begin(const Slot &slot, std::string_view method) {
  CountedRequest &record = records[indexOf(slot)];
  record = {clockNs(), SK_METRICS_ROUTE_NONE, numberOfMethod(method), 0};
  add(SK_METRIC_IN_FLIGHT);
  if (words[SK_METRIC_ASLEEP]) {
    wake();
  }
}

void Metrics::end(const Slot &slot) {
  CountedRequest &record = records[indexOf(slot)];
  if (!record.began_ns) {
    return;
  }
  auto took = static_cast<uint64_t>(clockNs() - record.began_ns);
  record.began_ns = 0;
  subtract(SK_METRIC_IN_FLIGHT);
  count(record);
  observe(SK_METRICS_DURATIONS + record.route * SK_METRICS_HISTOGRAM, took);
}

void Metrics::abort(const Slot &slot) {
  if (records[indexOf(slot)].began_ns) {
    add(SK_METRIC_ABORTED);
    end(slot);
  }
}

void Metrics::count(const CountedRequest &record) {
  /* The access log has 499 for a client that left before its answer had begun. */
  uint32_t status = std::clamp<uint32_t>(record.status ? record.status : STATUS_CLIENT_ERROR, 1, STATUS_SERVER_ERROR);
  uint32_t row = record.route * SK_METRICS_METHOD_COUNT + record.method;
  add(SK_METRICS_REQUESTS + row * SK_METRICS_STATUS_COUNT + status - 1);
}

void Metrics::observe(uint32_t histogram, uint64_t took_ns) {
  uint32_t bucket = 0;
  while (bucket < BOUNDS && took_ns > BOUNDS_NS[bucket]) {
    bucket++;
  }
  add(histogram + bucket);
  add(histogram + SK_METRICS_BUCKETS, took_ns);
}

void Metrics::refuse(const Slot &slot, int status) {
  add(status == 408 ? SK_METRIC_REFUSED_TIMEOUT : SK_METRIC_REFUSED_REQUEST);
  if (records[indexOf(slot)].began_ns) {
    sent(slot, status);
    end(slot);
  } else {
    count({0, SK_METRICS_ROUTE_NONE, SK_METRICS_METHOD_COUNT - 1, static_cast<uint8_t>(status / 100)});
  }
}

/* Blocks keep their routes as well: who takes one finds most of its own there. */
uint16_t Metrics::numberOf(RouteLabel &label) {
  auto *labels = reinterpret_cast<char *>(words + SK_METRICS_LABELS);
  /* The last byte stays 0. */
  std::string_view name = std::string_view(label.pattern).substr(0, SK_METRICS_LABEL_BYTES - 1);
  label.number = SK_METRICS_ROUTE_OTHER;
  if (name.empty()) {
    return label.number;
  }
  for (uint16_t i = SK_METRICS_ROUTE_FIRST; i < SK_METRICS_ROUTE_COUNT; i++) {
    char *place = labels + size_t{i} * SK_METRICS_LABEL_BYTES;
    if (!*place) {
      /* Who reads meanwhile takes a pattern without its first character for none. */
      memcpy(place + 1, name.data() + 1, name.length() - 1);
      __atomic_store_n(place, name[0], __ATOMIC_RELEASE);
    }
    if (name == place) {
      label.number = i;
      break;
    }
  }
  return label.number;
}

void Metrics::connectionOpened(bool is_secure) {
  add(SK_METRIC_ACCEPTED);
  add(SK_METRIC_CONNECTIONS);
  if (is_secure) {
    add(SK_METRIC_TLS_HANDSHAKES);
  }
}

void Metrics::messageReceived(size_t length) {
  add(SK_METRIC_WS_RECEIVED);
  add(SK_METRIC_WS_RECEIVED_BYTES, length);
  if (words[SK_METRIC_ASLEEP]) {
    wake();
  }
}

void Metrics::messageSent(size_t length, bool whole, bool dropped) {
  if (dropped) {
    add(SK_METRIC_WS_DROPPED);
    return;
  }
  add(SK_METRIC_WS_SENT, whole);
  add(SK_METRIC_WS_SENT_BYTES, length);
}

void Metrics::published() {
  add(SK_METRIC_PUBLISHED);
  if (words[SK_METRIC_ASLEEP]) {
    wake();
  }
}

void Metrics::wake() {
  store(SK_METRIC_ASLEEP, 0);
  beforeCallback();
  on_active();
}

} // namespace sk
