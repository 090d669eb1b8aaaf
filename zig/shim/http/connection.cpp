#include "http/connection.h"

#include "http/app.h"
#include "http/body.h"
#include "http/callback.h"
#include "http/coded_response.h"
#include "http/half_closed.h"
#include "http/head.h"
#include "http/response.h"
#include "http2/connection.h"
#include "http2/stream.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace sk {

namespace {

HttpResponse *responseOf(us_socket_t *s) { return reinterpret_cast<HttpResponse *>(s); }

Slot &slotOf(us_socket_t *s) { return slotAt(us_socket_tag(s)); }

const sk_app_options &optionsOf(const Slot &slot) { return slot.app->options; }

/* Closed, became a websocket, or shut down: nothing of it is parsed any more. */
bool isOver(us_socket_t *s) { return us_socket_is_closed(0, s) || us_socket_is_shut_down(0, s); }

/* Of "HTTP/1.1 400 ...". */
int statusOfPage(std::string_view page) {
  constexpr size_t AT = 9;
  return (page[AT] - '0') * 100 + (page[AT + 1] - '0') * 10 + (page[AT + 2] - '0');
}

/* With what the app adds to all responses. */
std::string pageWithFields(const Slot &slot, std::string_view page) {
  size_t line = page.find('\n') + 1;
  return std::string(page.substr(0, line)).append(addedLines({}, *slot.app)).append(page.substr(line));
}

bool isBodyMissing(const Slot &slot) { return (slot.flags & HAS_BODY) && !(slot.flags & BODY_RECEIVED); }

/* The client has nothing to send before the handler did something. */
bool handlerActs(const Slot &slot) { return !isBodyMissing(slot) || (slot.flags & (EXPECTS_100 | HOLD_PAUSED | USER_PAUSED)); }

bool mayClose(HttpResponse *response) {
  int state = httpData(response)->state;
  return ((state & HttpData::HTTP_CONNECTION_CLOSE) || isLastRequest(slotOf(raw(response)))) &&
         !(state & HttpData::HTTP_RESPONSE_PENDING) && !response->getBufferedAmount();
}

/* The answer to what cannot be served, if there still can be one, and the end of the connection. A response that has
 * begun can only be cut: what followed would be taken for its body. */
void refuse(us_socket_t *s, unsigned int error) {
  HttpResponse *response = responseOf(s);
  Slot &slot = slotOf(s);
  bool begun = (slot.flags & PENDING) && (slot.flags & HEAD_SENT);
  bool answered = !(slot.flags & PENDING) && isBodyMissing(slot);
  /* Earlier responses go first. */
  response->AsyncSocket::uncork();
  us_socket_linger(s);
  if (!begun && !answered) {
    std::string_view page = uWS::httpErrorResponses[error];
    if (Observer *observer = slot.app->observer.get()) {
      if (!(slot.flags & PENDING)) {
        observer->begin(slot, response, nullptr);
      }
      observer->sent(slot, statusOfPage(page), {});
      composeFor(slot);
      observer->end(slot, false, observer->log ? slot.app->clock.read() : 0);
    }
    if (slot.app->metrics) {
      slot.app->metrics->refuse(slot, statusOfPage(page), slot.app->clock.read());
    }
    if (slot.stream) {
      writeStreamPage(slot, page.substr(page.rfind('\n') + 1));
    } else {
      writeAll(response, withoutWhatWasSent(slot, pageWithFields(slot, page)));
    }
  }
  if (response->getBufferedAmount() && !(slot.flags & PENDING)) {
    /* The writable event closes it when the client has read everything. */
    httpData(response)->state = HttpData::HTTP_CONNECTION_CLOSE;
    us_socket_pause(s);
    awaitReader(slot);
    return;
  }
  if (slot.stream && (begun || response->getBufferedAmount())) {
    /* Its usual end would say that it is complete. */
    cut(slot);
    return;
  }
  closeGracefully(slot);
}

void *onRequest(void *user, uWS::HttpRequest *request) {
  auto *s = static_cast<us_socket_t *>(user);
  HttpResponse *response = responseOf(s);
  HttpData *data = httpData(response);
  assert(!(data->state & HttpData::HTTP_RESPONSE_PENDING));
  us_socket_timeout(0, s, 0);
  data->offset = 0;
  data->state = HttpData::HTTP_RESPONSE_PENDING;
  Slot &slot = slotOf(s);
  slot.app->onRequest(response, request);
  if (isOver(s)) {
    return nullptr;
  }
  if (isBodyMissing(slot)) {
    awaitBody(slot);
  } else if ((slot.flags & PENDING) && !us_socket_timeout_left(s)) {
    awaitHandler(slot);
  }
  return s;
}

/* Only a client that sends enough gets more time. */
void countBody(Slot &slot, size_t length) {
  HttpData *data = httpData(slot.socket);
  const sk_app_options &options = optionsOf(slot);
  uint64_t received = uint64_t{data->received_bytes_per_timeout} + length;
  /* More cannot be counted. */
  uint64_t enough = std::min<uint64_t>(uint64_t{options.min_body_bytes_per_s} * options.body_timeout_s, UINT32_MAX);
  if (received >= enough) {
    awaitBody(slot);
  } else {
    data->received_bytes_per_timeout = static_cast<unsigned int>(received);
  }
}

void *onBody(void *user, std::string_view piece, bool last) {
  auto *s = static_cast<us_socket_t *>(user);
  Slot &slot = slotOf(s);
  if (!(slot.flags & HAS_BODY)) {
    return s;
  }
  if (slot.app->metrics && !wasTakenHere(slot)) {
    slot.app->metrics->add(SK_METRIC_RECEIVED_BYTES, piece.length());
  }
  if (last) {
    slot.flags |= BODY_RECEIVED;
    if (slot.flags & PENDING) {
      awaitHandler(slot);
    } else {
      awaitNextRequest(slot);
    }
  } else {
    countBody(slot, piece.length());
  }
  if (slot.flags & PENDING) {
    receiveBody(slot, piece, last);
  }
  return isOver(s) ? nullptr : s;
}

us_socket_t *finishUpgrade(HttpContext *context) {
  auto *socket = static_cast<Socket *>(std::exchange(context->getSocketContextData()->upgradedWebSocket, nullptr));
  auto [written, failed] = socket->uncork();
  if (!failed && static_cast<uWS::WebSocketData *>(us_socket_ext(0, raw(socket)))->isShuttingDown) {
    socket->shutdown();
  }
  return raw(socket);
}

us_socket_t *onData(us_socket_t *s, char *bytes, int length) {
  if (us_socket_is_shut_down(0, s)) {
    return s;
  }
  auto *context = reinterpret_cast<HttpContext *>(us_socket_context(0, s));
  HttpResponse *response = responseOf(s);
  HttpData *data = httpData(response);
  response->AsyncSocket::cork();
  auto [error, returned] =
      data->consumePostPadded(bytes, static_cast<unsigned int>(length), s, &data->proxyParser, onRequest, onBody);
  if (returned == uWS::FULLPTR) {
    if (error == uWS::HTTP_ERROR_505_HTTP_VERSION_NOT_SUPPORTED) {
      if (us_socket_t *moved = beginConnection(slotOf(s), data->takeRefused())) {
        return moved;
      }
    }
    refuse(s, error);
    return s;
  }
  if (context->getSocketContextData()->upgradedWebSocket) {
    return finishUpgrade(context);
  }
  auto [written, failed] = response->AsyncSocket::uncork();
  if (!returned) {
    return s;
  }
  Slot &slot = slotOf(s);
  if (failed) {
    awaitReader(slot);
  }
  if (mayClose(response)) {
    closeGracefully(slot);
  } else if (lacksItsEnd(slot)) {
    return us_socket_close(0, s, 0, nullptr);
  } else if (!(slot.flags & (PENDING | HEAD_BEGUN)) && data->hasPartialHead()) {
    slot.flags |= HEAD_BEGUN;
    us_socket_timeout(0, s, optionsOf(slot).header_timeout_s);
  }
  return s;
}

us_socket_t *onWritable(us_socket_t *s) {
  HttpResponse *response = responseOf(s);
  HttpData *data = httpData(response);
  if (data->onWritable) {
    awaitHandler(slotOf(s));
    data->callOnWritable(data->offset);
    return isOver(s) || !lacksItsEnd(slotOf(s)) ? s : us_socket_close(0, s, 0, nullptr);
  }
  response->flush();
  Slot &slot = slotOf(s);
  if (mayClose(response)) {
    closeGracefully(slot);
    return s;
  }
  if (lacksItsEnd(slot)) {
    return us_socket_close(0, s, 0, nullptr);
  }
  if (!(slot.flags & PENDING) || response->getBufferedAmount()) {
    awaitNextRequest(slot);
  } else {
    awaitBody(slot);
  }
  return s;
}

/* The handler wrote nothing for too long. */
void callTimeoutHandler(Slot &slot) {
  uint32_t handle = handleOf(slot);
  beforeCallback();
  optionsOf(slot).on_timeout(handle);
  if (Slot *waits = findHttpSlot(handle)) {
    /* An error handler may take its time, too. */
    awaitHandler(*waits);
  }
}

us_socket_t *onTimeout(us_socket_t *s) {
  HttpResponse *response = responseOf(s);
  Slot &slot = slotOf(s);
  if (slot.stream && response->getBufferedAmount()) {
    awaitReader(slot);
    return s;
  }
  if ((slot.flags & PENDING) && !response->getBufferedAmount() && !uncodedBytes(slot) && handlerActs(slot)) {
    callTimeoutHandler(slot);
    return s;
  }
  bool slow_body = (slot.flags & PENDING) && isBodyMissing(slot);
  bool slow_head = !(slot.flags & PENDING) && httpData(response)->hasPartialHead();
  if (!response->getBufferedAmount() && (slow_body || slow_head)) {
    refuse(s, uWS::HTTP_ERROR_408_REQUEST_TIMEOUT);
  } else if (!(slot.flags & PENDING) && !response->getBufferedAmount()) {
    closeGracefully(slot);
  } else {
    response->AsyncSocket::close();
  }
  return s;
}

/* The client has nothing more to send. It may have left, or wait for its answers: those to whole requests are sent. */
us_socket_t *onEnd(us_socket_t *s) {
  if (!us_socket_tag(s) || !owesAnswer(slotOf(s))) {
    return us_socket_close(0, s, 0, nullptr);
  }
  askWhetherItReads(slotOf(s));
  return s;
}

void onHalfClosed(us_socket_t *s) {
  if (us_socket_tag(s)) {
    askWhetherItReads(slotOf(s));
  }
}

/* RFC 8441. */
constexpr std::string_view WEBSOCKET_PROTOCOL = "websocket";

} // namespace

void handleConnections(us_socket_context_t *context) {
  us_socket_context_on_data(0, context, onData);
  us_socket_context_on_writable(0, context, onWritable);
  us_socket_context_on_timeout(0, context, onTimeout);
  us_socket_context_on_end(0, context, onEnd);
  us_socket_context_on_half_closed(context, onHalfClosed);
}

void closeGracefully(const Slot &slot) {
  if (isBodyMissing(slot)) {
    us_socket_linger(raw(slot.socket));
  }
  if (slot.stream) {
    sendKeptTrailers(slot);
  }
  slot.socket->shutdown();
  slot.socket->close();
}

void onStreamRequest(us_socket_t *s, const carrier_request *begun) {
  HttpResponse *response = responseOf(s);
  HttpData *data = httpData(response);
  uWS::HttpRequest request;
  std::string_view protocol = begun->protocol ? std::string_view(begun->protocol, begun->protocol_length) : std::string_view();
  request.take(*begun->head, protocol == WEBSOCKET_PROTOCOL);
  if (begun->protocol && !request.isExtended()) {
    /* RFC 9220 section 3. */
    refuse(s, uWS::HTTP_ERROR_501_NOT_IMPLEMENTED);
    return;
  }
  if (begun->content) {
    data->unread = {begun->content, begun->content_length};
    request.knowLength(begun->content_length);
  }
  response->AsyncSocket::cork();
  bool goes_on = onRequest(s, &request);
  if (us_socket_is_closed(0, s)) {
    auto *context = reinterpret_cast<HttpContext *>(us_socket_context(0, s));
    if (context->getSocketContextData()->upgradedWebSocket) {
      finishUpgrade(context);
    } else {
      response->AsyncSocket::uncork();
    }
    return;
  }
  data->unread = {};
  data->expectBody(request);
  auto [written, failed] = response->AsyncSocket::uncork();
  if (!goes_on) {
    return;
  }
  Slot &slot = slotOf(s);
  if (failed) {
    awaitReader(slot);
  }
  if (mayClose(response)) {
    closeGracefully(slot);
  }
}

void onStreamBody(us_socket_t *s, const char *bytes, size_t length, bool last) {
  HttpResponse *response = responseOf(s);
  httpData(response)->countBody(length);
  response->AsyncSocket::cork();
  bool goes_on = onBody(s, {bytes, length}, last);
  auto [written, failed] = response->AsyncSocket::uncork();
  if (!goes_on) {
    return;
  }
  if (failed) {
    awaitReader(slotOf(s));
  }
  if (mayClose(response)) {
    closeGracefully(slotOf(s));
  }
}

void onStreamRefused(us_socket_t *s, unsigned int error, bool asks_head) {
  if (asks_head) {
    slotOf(s).flags |= HEAD_REQUEST;
  }
  refuse(s, error);
}

void awaitFirstRequest(Slot &slot) {
  slot.flags = HEAD_BEGUN;
  us_socket_timeout(0, raw(slot.socket), optionsOf(slot).header_timeout_s);
}

void awaitBody(Slot &slot) {
  httpData(slot.socket)->received_bytes_per_timeout = 0;
  const sk_app_options &options = optionsOf(slot);
  us_socket_timeout(0, raw(slot.socket), handlerActs(slot) ? options.response_timeout_s : options.body_timeout_s);
}

void awaitHandler(Slot &slot) {
  if ((slot.flags & PENDING) && handlerActs(slot)) {
    us_socket_timeout(0, raw(slot.socket), optionsOf(slot).response_timeout_s);
  }
}

void awaitReader(Slot &slot) {
  /* What a stream has to send may wait for others, however much the client reads: its windows and its connection have clocks. */
  us_socket_timeout(0, raw(slot.socket), slot.stream ? 0 : optionsOf(slot).write_timeout_s);
}

void awaitNextRequest(Slot &slot) {
  if (slot.socket->getBufferedAmount()) {
    awaitReader(slot);
    return;
  }
  const sk_app_options &options = optionsOf(slot);
  us_socket_timeout(0, raw(slot.socket), isBodyMissing(slot) ? options.body_timeout_s : options.keep_alive_timeout_s);
}

} // namespace sk
