#include "http2/stream.h"

#include "http/engine.h"
#include "http/response.h"

#include <utility>

namespace sk {

namespace {

/* Between the texts of trailers that wait. */
constexpr char SEPARATOR = '\n';

void send(const Slot &slot, int status, const FieldList &fields) {
  carrier_head(raw(slot.socket), static_cast<unsigned int>(status), fields.all().data(), fields.all().size());
}

} // namespace

void writeStreamHead(Slot &slot, const Head &head, const HeadFacts &facts, Framing framing, uint64_t length) {
  FieldList fields;
  listFields(head, facts, *slot.app, framing, length, fields);
  send(slot, facts.status, fields);
}

void writeStreamFields(Slot &slot, int status, const FieldList &fields) { send(slot, status, fields); }

void writeStreamInterim(Slot &slot, int status, const Head &head) {
  FieldList fields;
  listFields(head, fields);
  send(slot, status, fields);
  us_socket_owes(raw(slot.socket));
}

void writeStreamPage(Slot &slot, std::string_view status) {
  FieldList fields;
  listAdded({}, *slot.app, fields);
  fields.add("content-type", "text/plain");
  fields.addLength(status.length());
  send(slot, (status[0] - '0') * 100 + (status[1] - '0') * 10 + (status[2] - '0'), fields);
  if (!(slot.flags & HEAD_REQUEST)) {
    writeAll(slot.socket, status);
  }
}

/* A parser would keep its bytes there. */
void keepTrailers(Slot &slot, const Head &head) {
  FieldList fields;
  listFields(head, fields);
  std::string &kept = httpData(slot.socket)->stash;
  for (const carrier_field &field : fields.all()) {
    kept.append(field.name, field.name_length).append(1, SEPARATOR);
    kept.append(field.value, field.value_length).append(1, SEPARATOR);
  }
}

void sendKeptTrailers(const Slot &slot) {
  std::string kept = std::exchange(httpData(slot.socket)->stash, {});
  if (kept.empty()) {
    return;
  }
  FieldList fields;
  for (std::string_view rest = kept; !rest.empty();) {
    size_t name_end = rest.find(SEPARATOR);
    size_t value_end = rest.find(SEPARATOR, name_end + 1);
    fields.add(rest.substr(0, name_end), rest.substr(name_end + 1, value_end - name_end - 1));
    rest = rest.substr(value_end + 1);
  }
  send(slot, 0, fields);
}

} // namespace sk
