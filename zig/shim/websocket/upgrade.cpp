#include "websocket/upgrade.h"

#include "http/ascii.h"
#include "http/callback.h"
#include "http/half_closed.h"
#include "http/response.h"
#include "http/send.h"
#include "http2/stream.h"
#include "websocket/connection.h"

#include "WebSocketHandshake.h"

#include <cstring>

namespace sk {

namespace {

constexpr std::string_view VERSION = "13";
constexpr int SWITCHING_PROTOCOLS = 101;
/* RFC 8441 section 5. */
constexpr int STREAM_OPENED = 200;
constexpr size_t KEY_LENGTH = 24;
constexpr size_t ACCEPT_LENGTH = 28;

std::string_view firstOf(std::string_view list) { return trim(list.substr(0, list.find(','))); }

/* Whether one of the fields of that name lists a token. */
bool lists(const uWS::HttpRequest &request, std::string_view name, std::string_view token) {
  for (auto [field, value] : request) {
    if (field != name) {
      continue;
    }
    while (!value.empty()) {
      size_t end = value.find(',');
      if (equalsLower(trim(value.substr(0, end)), token)) {
        return true;
      }
      value = end == std::string_view::npos ? std::string_view() : value.substr(end + 1);
    }
  }
  return false;
}

bool isBase64(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/'; }

/* 16 bytes in base64. */
bool isKey(std::string_view key) {
  if (key.length() != KEY_LENGTH || key.substr(KEY_LENGTH - 2) != "==") {
    return false;
  }
  for (char c : key.substr(0, KEY_LENGTH - 2)) {
    if (!isBase64(c)) {
      return false;
    }
  }
  return true;
}

/* Fields that the handshake itself writes, or that have no place in a 101. */
bool isOwnField(std::string_view name) {
  for (std::string_view own : {"connection", "upgrade", "content-length", "transfer-encoding", "sec-websocket-accept",
                               "sec-websocket-protocol", "sec-websocket-extensions"}) {
    if (equalsLower(name, own)) {
      return true;
    }
  }
  return false;
}

void appendField(std::string &out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

/* Calls back for each field that the handshake does not write itself. */
template <typename Take> void eachExtraField(const Head &head, Take take) {
  eachField(head, [&](std::string_view name, std::string_view value) {
    if (!isOwnField(name)) {
      take(name, value);
    }
  });
}

/* A client may send nothing before it has the answer: what it sent may be a smuggled request. */
bool sentTooEarly(const Slot &slot) {
  HttpData *data = httpData(slot.socket);
  return !data->stash.empty() || (slot.request && !data->unread.empty());
}

bool isFieldText(std::string_view text) {
  for (unsigned char c : text) {
    if ((c < 32 && c != '\t') || c == 127) {
      return false;
    }
  }
  return true;
}

Deflate negotiate(const Slot &slot, WebSocketRoute &route, std::string_view offers) {
  uWS::CompressOptions wanted = route.data()->compression;
  /* Safari 15.0 to 15.3 break connections on which they agreed to compress. */
  bool broken = slot.request && uWS::hasBrokenCompression(slot.request->header("user-agent"));
  return wanted == uWS::CompressOptions::DISABLED || broken ? Deflate() : negotiateDeflate(wanted, offers);
}

void writeAnswer(Slot &slot, const Handshake &handshake, std::string_view protocol, const Deflate &deflate) {
  char accept[ACCEPT_LENGTH + 1];
  uWS::WebSocketHandshake::generate(handshake.key.data(), accept);
  std::string answer("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n");
  appendField(answer, "Sec-WebSocket-Accept", {accept, ACCEPT_LENGTH});
  if (!protocol.empty()) {
    appendField(answer, "Sec-WebSocket-Protocol", protocol);
  }
  if (deflate.agreed) {
    appendField(answer, "Sec-WebSocket-Extensions", deflate.answer);
  }
  eachExtraField(handshake.head, [&](std::string_view name, std::string_view value) { appendField(answer, name, value); });
  answer.append(addedLines(handshake.head, *slot.app)).append("\r\n");
  writeAll(slot.socket, withoutWhatWasSent(slot, answer));
}

void writeStreamAnswer(Slot &slot, const Handshake &handshake, std::string_view protocol, const Deflate &deflate) {
  FieldList fields;
  if (!protocol.empty()) {
    fields.add("sec-websocket-protocol", protocol);
  }
  if (deflate.agreed) {
    fields.add("sec-websocket-extensions", deflate.answer);
  }
  eachExtraField(handshake.head, [&](std::string_view name, std::string_view value) { fields.add(name, value); });
  listAdded(handshake.head, *slot.app, fields);
  writeStreamFields(slot, STREAM_OPENED, fields);
}

} // namespace

int64_t upgradeResponse(Slot &slot, WebSocketRoute &route, const Handshake &handshake) {
  if (!(slot.stream || isKey(handshake.key)) || !isFieldText(handshake.protocol) || !inspect(handshake.head).valid) {
    return SK_BAD_HEAD;
  }
  if (sentTooEarly(slot)) {
    refuseUpgrade(slot, UpgradeRefusal::Malformed);
    return SK_GONE;
  }
  Deflate deflate = negotiate(slot, route, handshake.extensions);
  std::string_view protocol = firstOf(handshake.protocol);
  composeFor(slot);
  if (slot.stream) {
    writeStreamAnswer(slot, handshake, protocol, deflate);
  } else {
    writeAnswer(slot, handshake, protocol, deflate);
  }
  if (us_socket_ended(raw(slot.socket))) {
    /* A peer that sends nothing cannot take part in a websocket: this ends as when it leaves. */
    us_socket_cut(raw(slot.socket));
  }
  uint32_t handle = adoptWebSocket(slot, route, deflate);
  if (!handle) {
    slot.socket->close();
    return SK_GONE;
  }
  if (Observer *observer = slot.app->observer.get()) {
    observer->sent(slot, slot.stream ? STREAM_OPENED : SWITCHING_PROTOCOLS, handshake.head);
    observer->end(slot, false, slot.app->clock.read());
  }
  if (Metrics *metrics = slot.app->metrics.get()) {
    metrics->sent(slot, slot.stream ? STREAM_OPENED : SWITCHING_PROTOCOLS);
    metrics->end(slot, false, slot.app->clock.read());
    metrics->add(SK_METRIC_WEBSOCKETS);
    metrics->add(SK_METRIC_WS_OPENED);
  }
  if (slot.app->compression) {
    /* What the client accepts for content may be long, and is of no use any more. */
    slot.app->compression->forget(slot);
  }
  return handle;
}

bool asksForWebSocket(const uWS::HttpRequest &request) {
  return request.isExtended() || (request.rawMethod() == "GET" && !request.isAncient() && lists(request, "upgrade", "websocket") &&
                                  lists(request, "connection", "upgrade"));
}

void refuseUpgrade(Slot &slot, UpgradeRefusal why) {
  struct Answer {
    std::string_view head;
    int32_t fields;
    std::string_view body;
    int32_t flags;
  };
  static constexpr std::string_view VERSION_HEAD = "426 Upgrade Required\nSec-WebSocket-Version\n13\nUpgrade\nwebsocket";
  static constexpr Answer answers[] = {
      {"426 Upgrade Required\nUpgrade\nwebsocket", 1, "Upgrade Required", 0},
      {VERSION_HEAD, 2, "Upgrade Required", 0},
      {"400 Bad Request", 0, "Bad Request", SK_END_CONNECTION},
      {"503 Service Unavailable", 0, "Service Unavailable", SK_END_CONNECTION},
  };
  const Answer &answer = answers[static_cast<size_t>(why)];
  sendResponse(slot, {answer.head, answer.fields}, answer.body, answer.flags);
}

bool beginUpgrade(Slot &slot, const uWS::HttpRequest &request, WebSocketRoute &route) {
  if (!route.app->admits_websockets) {
    refuseUpgrade(slot, UpgradeRefusal::Draining);
    return true;
  }
  if (trim(request.header("sec-websocket-version")) != VERSION) {
    refuseUpgrade(slot, UpgradeRefusal::Version);
    return true;
  }
  std::string_view key = request.header("sec-websocket-key");
  if (!(request.isExtended() || isKey(key)) || request.hasBody()) {
    refuseUpgrade(slot, UpgradeRefusal::Malformed);
    return true;
  }
  if (route.on_upgrade) {
    return route.on_upgrade->handle(handleOf(slot)) == 0;
  }
  beforeCallback();
  int64_t handle = upgradeResponse(
      slot, route, {{{}, 0}, key, request.header("sec-websocket-protocol"), request.header("sec-websocket-extensions")});
  if (handle > 0) {
    route.behavior.on_open(static_cast<uint32_t>(handle));
  }
  return true;
}

} // namespace sk
