#include "http/observer.h"

#include "http/head.h"
#include "http/request_id.h"
#include "proxy/client.h"

#include <algorithm>
#include <utility>

namespace sk {

namespace {

/* A header of the PROXY protocol is as good as a field in each request. */
void readProxyHeader(HttpResponse *response, Forwarded &found) {
  const uWS::ProxyFacts *facts = proxyFactsOf(response);
  if (facts && facts->family == uWS::ProxyFacts::Internet) {
    found.address = facts->source;
    found.port = facts->sourcePort;
  }
  if (facts && facts->secure) {
    found.scheme = Forwarded::Https;
  }
}

/* What clients connect to for an authority, as appendEnd has it. */
void appendServer(std::string &out, std::string_view authority, bool secure) {
  std::string_view host = hostOf(authority), port = portTextOf(authority);
  if (host.length() > 2 && host.front() == '[') {
    host = host.substr(1, host.length() - 2);
  }
  out.append(" ").append(host).append(" ").append(!port.empty() ? port : secure ? "443" : "80");
}

} // namespace

Observer::Record *Observer::find(const Slot &slot) {
  auto found = records.find(indexOf(slot));
  return found == records.end() ? nullptr : &found->second;
}

void Observer::begin(Slot &slot, HttpResponse *response, uWS::HttpRequest *request) {
  Record &record = records[indexOf(slot)];
  record.forwarded = {};
  record.ends.clear();
  record.host.clear();
  readProxyHeader(response, record.forwarded);
  if (trust.isGiven() && request) {
    if (!std::exchange(record.peer_known, true)) {
      record.peer_trusted = trust.believesPeer(peerOf(response));
    }
    if (record.peer_trusted) {
      readForwarded(*request, trust, record.forwarded);
      record.host = authorityOf(record.forwarded, request->host(), isSecure(slot));
    }
  }
  nameRequest(record, request);
  record.handle = request ? slot.request_handle : 0;
  record.status = 0;
  if (log) {
    log->begin(record.line, slot, request, ends(slot, endpointsOf(response)), record.id);
  }
}

void Observer::nameRequest(Record &record, uWS::HttpRequest *request) {
  if (id_field.empty()) {
    return;
  }
  std::string_view given = request ? request->header(id_field) : std::string_view();
  if (isRequestId(given)) {
    record.id = given;
    return;
  }
  makeRequestId(record.id);
  if (request) {
    request->putField(id_field, record.id);
  }
}

void Observer::sent(const Slot &slot, int status, const Head &head) {
  Record *record = findFollowed(slot);
  if (!record) {
    return;
  }
  record->status = status;
  if (log) {
    log->sent(record->line, status, head);
  }
}

void Observer::sent(const Slot &slot, uint64_t bytes) {
  Record *record = log ? find(slot) : nullptr;
  if (record) {
    record->line.bytes += bytes;
  }
}

void Observer::end(const Slot &slot, bool aborted, int64_t now_ns) {
  Record *record = findFollowed(slot);
  if (!record) {
    return;
  }
  uint32_t handle = std::exchange(record->handle, 0);
  if (end_report && handle) {
    end_report->add(handle, record->status, aborted);
  }
  if (log) {
    log->end(record->line, now_ns);
  }
}

std::string_view Observer::requestId(const Slot &slot) const {
  auto found = id_field.empty() ? records.end() : records.find(indexOf(slot));
  return found == records.end() ? std::string_view() : std::string_view(found->second.id);
}

void Observer::putHost(const Slot &slot, uWS::HttpRequest &request) {
  Record *record = find(slot);
  if (record && !record->host.empty()) {
    request.putHost(record->host);
  }
}

const Forwarded *Observer::forwarded(const Slot &slot) const {
  auto found = records.find(indexOf(slot));
  return found == records.end() ? nullptr : &found->second.forwarded;
}

std::string_view Observer::ends(const Slot &slot, std::string_view of_connection) {
  Record *record = find(slot);
  if (!record || (record->forwarded.address.empty() && (record->host.empty() || of_connection.empty()))) {
    return of_connection;
  }
  if (record->ends.empty()) {
    size_t host = of_connection.find(' ');
    size_t client_end = host == std::string_view::npos ? of_connection.length() : of_connection.find(' ', host + 1);
    if (record->forwarded.address.empty()) {
      record->ends = of_connection.substr(0, client_end);
    } else {
      appendEnd(record->ends, record->forwarded.address, record->forwarded.port);
    }
    if (record->host.empty()) {
      record->ends.append(of_connection.substr(std::min(client_end, of_connection.length())));
    } else {
      appendServer(record->ends, record->host, isSecure(slot));
    }
  }
  return record->ends;
}

} // namespace sk
