#include "http/observer.h"

#include "proxy/client.h"

#include <ctime>
#include <utility>

namespace sk {

namespace {

/* nginx's: the client left before it had an answer. */
constexpr int CLIENT_LEFT = 499;

int64_t now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return int64_t{time.tv_sec} * 1000000000 + time.tv_nsec;
}

std::string_view wordOf(std::string_view text) { return text.substr(0, text.find(' ')); }

} // namespace

Observer::Record *Observer::find(const Slot &slot) {
  auto found = records.find(indexOf(slot));
  return found == records.end() ? nullptr : &found->second;
}

void Observer::begin(Slot &slot, HttpResponse *response, const uWS::HttpRequest *request) {
  Record &record = records[indexOf(slot)];
  record.forwarded = {};
  record.ends.clear();
  if (believes && request) {
    if (!std::exchange(record.peer_known, true)) {
      record.peer_trusted = trusted.contain(peerOf(response));
    }
    if (record.peer_trusted) {
      record.forwarded = readForwarded(*request, trusted);
    }
  }
  if (!log) {
    return;
  }
  record.request = wordOf(ends(slot, endpointsOf(response)));
  if (request) {
    record.request.append("\n").append(request->rawMethod()).append("\n").append(request->getFullUrl());
    record.request.append(request->isAncient() ? "\n1.0" : slot.stream ? "\n2" : "\n1.1");
  } else {
    record.request.append("\n\n\n");
  }
  record.status = 0;
  record.bytes = 0;
  record.began_ns = now();
}

void Observer::sent(const Slot &slot, int status) {
  if (Record *record = find(slot)) {
    record->status = status;
  }
}

void Observer::sent(const Slot &slot, uint64_t bytes) {
  if (Record *record = find(slot)) {
    record->bytes += bytes;
  }
}

void Observer::end(const Slot &slot) {
  Record *record = find(slot);
  if (!record || record->request.empty()) {
    return;
  }
  /* The callback may begin something new. */
  std::string request = std::move(record->request);
  record->request.clear();
  log(request.data(), request.length(), record->status ? record->status : CLIENT_LEFT, record->bytes,
      static_cast<uint64_t>(now() - record->began_ns) / 1000);
}

const Forwarded *Observer::forwarded(const Slot &slot) const {
  auto found = records.find(indexOf(slot));
  return found == records.end() ? nullptr : &found->second.forwarded;
}

std::string_view Observer::ends(const Slot &slot, std::string_view of_connection) {
  Record *record = find(slot);
  if (!record || record->forwarded.address.empty()) {
    return of_connection;
  }
  if (record->ends.empty()) {
    appendEnd(record->ends, record->forwarded.address, record->forwarded.port);
    if (size_t host = of_connection.find(' '); host != std::string_view::npos) {
      record->ends.append(of_connection.substr(of_connection.find(' ', host + 1)));
    }
  }
  return record->ends;
}

} // namespace sk
