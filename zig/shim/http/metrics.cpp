#include "http/metrics.h"

#include "http/callback.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <utility>

namespace sk {

namespace {

constexpr uint64_t NS_PER_US = 1000;
constexpr uint32_t STATUS_SERVER_ERROR = 5;
constexpr uint8_t STATUS_CLIENT_ERROR = 4;

constexpr size_t BOUNDS = SK_METRICS_BUCKETS - 1;

/* The last bucket has none: nothing is above. */
constexpr std::array<uint64_t, SK_METRICS_BUCKETS> readBounds(std::string_view text) {
  std::array<uint64_t, SK_METRICS_BUCKETS> bounds{};
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
  bounds[BOUNDS] = UINT64_MAX;
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

/* Of a number's highest bit: the first bucket that it may be in. It is in that or the next one, as every bound is at least twice
 * the one before. */
constexpr std::array<uint8_t, 64> findFirstBuckets() {
  std::array<uint8_t, 64> first{};
  for (size_t bit = 0; bit < first.size(); bit++) {
    while (first[bit] < BOUNDS && BOUNDS_NS[first[bit]] < uint64_t{1} << bit) {
      first[bit]++;
    }
  }
  return first;
}

constexpr auto FIRST_BUCKETS = findFirstBuckets();

constexpr uint32_t bucketOf(uint64_t took_ns) {
  uint32_t first = FIRST_BUCKETS[static_cast<size_t>(std::bit_width(took_ns | 1) - 1)];
  return first + (took_ns > BOUNDS_NS[first]);
}

constexpr bool bucketsEndAtBounds() {
  for (size_t i = 0; i < BOUNDS; i++) {
    if (bucketOf(BOUNDS_NS[i]) != i || bucketOf(BOUNDS_NS[i] + 1) != i + 1) {
      return false;
    }
  }
  return bucketOf(0) == 0 && bucketOf(INT64_MAX) == BOUNDS;
}

static_assert(bucketsEndAtBounds());

constexpr auto METHODS = readMethods(SK_METRICS_METHODS);
static_assert(METHODS.back() == "other");

static_assert(METHODS.front() == "GET");

/* Of others than GET; not inline, as most are that. */
[[gnu::noinline]] uint8_t numberOfMethod(std::string_view method) {
  uint8_t number = 1;
  while (number < METHODS.size() - 1 && METHODS[number] != method) {
    number++;
  }
  return number;
}

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
  for (uint32_t word = SK_METRIC_PHASE; word < SK_METRIC_FIRST_COUNTER; word++) {
    /* Others read meanwhile. */
    __atomic_store_n(block + word, 0, __ATOMIC_RELAXED);
  }
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

void Metrics::begin(const Slot &slot, std::string_view method, int64_t now_ns) {
  CountedRequest &record = records[indexOf(slot)];
  uint8_t number = 0;
  if (method != METHODS.front()) [[unlikely]] {
    number = numberOfMethod(method);
  }
  record = {now_ns, SK_METRICS_ROUTE_NONE, number, STATUS_CLIENT_ERROR};
  add(SK_METRIC_IN_FLIGHT);
  if (words[SK_METRIC_ASLEEP]) {
    wake();
  }
}

void Metrics::end(const Slot &slot, bool aborted, int64_t now_ns) {
  CountedRequest &record = records[indexOf(slot)];
  if (!record.began_ns) {
    return;
  }
  auto took = static_cast<uint64_t>(now_ns - record.began_ns);
  record.began_ns = 0;
  subtract(SK_METRIC_IN_FLIGHT);
  if (aborted) {
    add(SK_METRIC_ABORTED);
  }
  count(record.route, record.method, record.status);
  observe(SK_METRICS_DURATIONS + record.route * SK_METRICS_HISTOGRAM, took);
}

void Metrics::count(uint32_t route, uint32_t method, uint32_t status) {
  uint32_t row = route * SK_METRICS_METHOD_COUNT + method;
  add(SK_METRICS_REQUESTS + row * SK_METRICS_STATUS_COUNT + std::min(status, STATUS_SERVER_ERROR) - 1);
}

void Metrics::observe(uint32_t histogram, uint64_t took_ns) {
  add(histogram + bucketOf(took_ns));
  add(histogram + SK_METRICS_BUCKETS, took_ns);
}

void Metrics::refuse(const Slot &slot, int status, int64_t now_ns) {
  add(status == 408 ? SK_METRIC_REFUSED_TIMEOUT : SK_METRIC_REFUSED_REQUEST);
  if (records[indexOf(slot)].began_ns) {
    sent(slot, status);
    end(slot, false, now_ns);
  } else {
    count(SK_METRICS_ROUTE_NONE, SK_METRICS_METHOD_COUNT - 1, static_cast<uint32_t>(status) / 100);
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
