#include "http/response.h"

#include "Carrier.h"
#include "http/body.h"
#include "http/connection.h"
#include "http/half_closed.h"
#include "http2/stream.h"

#include <cassert>

namespace sk {

namespace {

constexpr int FORBIDDEN = 403;
/* Heads up to this size are composed on the stack. */
constexpr size_t STACK_HEAD_BYTES = 4096;

bool mustClose(const Slot &slot) { return httpData(slot.socket)->state & HttpData::HTTP_CONNECTION_CLOSE; }

/* The peer gets everything and a FIN, then the connection goes. */
void closeWhenFlushed(const Slot &slot) {
  if (slot.socket->getBufferedAmount() == 0) {
    closeGracefully(slot);
  }
}

void readHeldRequests(Slot &slot) {
  slot.flags &= static_cast<uint16_t>(~PIPELINE_HELD);
  us_socket_resume(raw(slot.socket));
  us_socket_schedule_data(raw(slot.socket));
}

} // namespace

thread_local Socket *user_cork = nullptr;

Cork::Cork(Socket *s) : socket(s), mine(!s->isCorked() && s->canCork()) {
  if (mine) {
    socket->corkUnchecked();
  }
}

void Cork::release() {
  if (mine) {
    socket->uncork();
    mine = false;
  }
}

void leaveNow(Slot &slot) {
  Socket *socket = slot.socket;
  if (socket->isCorked()) {
    if (socket == user_cork) {
      return;
    }
    socket->uncork();
  }
  us_socket_hurry(raw(socket));
}

void countSent(const Slot &slot, uint64_t bytes) {
  if (!slot.app->watched) [[likely]] {
    return;
  }
  if (slot.app->observer) {
    slot.app->observer->sent(slot, bytes);
  }
  if (slot.app->metrics) {
    slot.app->metrics->add(SK_METRIC_SENT_BYTES, bytes);
  }
}

void writeAll(Socket *socket, std::string_view data) {
  if (!data.empty()) {
    socket->write(data.data(), data.length());
  }
}

namespace {

/* How a response with this status would be framed. `sized` says that its length is known. */
Framing framingFor(const Slot &slot, int status, bool sized) {
  if ((slot.flags & TUNNEL) && status < 300) {
    /* RFC 9110 section 9.3.6: neither length nor coding; the tunnel ends with the connection. */
    return Framing::UntilClose;
  }
  if (status == 204 || status == 304) {
    return Framing::None;
  }
  if (status == 205) {
    /* RFC 9110 section 15.3.6: there is nothing, and a length of 0 says so. */
    return Framing::Sized;
  }
  if (sized) {
    return Framing::Sized;
  }
  return (slot.flags & ANCIENT) || slot.stream ? Framing::UntilClose : Framing::Chunked;
}

/* What SK_KEEP_LENGTH asks for: SK_OK or SK_BAD_LENGTH. `length` is that of the body, or of its first piece. */
int32_t keepLength(const Slot &slot, const HeadFacts &facts, bool &sized, uint64_t &length, int32_t &flags) {
  if (slot.flags & HEAD_REQUEST) {
    flags |= SK_NO_BODY;
    return SK_OK;
  }
  bool right = sized ? length == facts.length : length <= facts.length;
  if (!right && framingFor(slot, facts.status, true) == Framing::Sized) {
    return SK_BAD_LENGTH;
  }
  sized = true;
  length = facts.length;
  return SK_OK;
}

/* A stream has no other request: its end leaves with what is left of the response. */
int32_t endStream(Slot &slot) {
  Socket *socket = slot.socket;
  if (socket->isCorked() && socket != user_cork) {
    socket->uncork();
  }
  bool buffered = socket->getBufferedAmount() != 0;
  if (!buffered && !socket->isCorked()) {
    closeGracefully(slot);
  } else {
    awaitNextRequest(slot);
  }
  return buffered ? SK_BUFFERED : SK_OK;
}

} // namespace

int32_t writeHead(Slot &slot, const Head &head, bool sized, uint64_t length, int32_t flags) {
  assert(!(slot.flags & HEAD_SENT));
  HeadFacts facts = inspect(head);
  if (!facts.valid) {
    return SK_BAD_HEAD;
  }
  if (slot.stream && facts.status / 100 == 2 && carrier_is_extended(raw(slot.socket))) {
    /* No websocket was opened, which the status would say. */
    facts.status = FORBIDDEN;
  }
  if ((flags & SK_KEEP_LENGTH) && facts.has_length && keepLength(slot, facts, sized, length, flags) == SK_BAD_LENGTH) {
    return SK_BAD_LENGTH;
  }
  Socket *socket = slot.socket;
  HttpData *data = httpData(socket);
  Framing framing = framingFor(slot, facts.status, sized);
  if (flags & SK_NO_BODY) {
    /* Only the answer to HEAD may announce a length that does not follow. */
    length = 0;
    framing = slot.flags & HEAD_REQUEST ? Framing::None : framing;
  }
  /* A client that never got a 100 may or may not send its body: what follows may be that or a request. */
  bool unsure = (slot.flags & EXPECTS_100) && !(slot.flags & BODY_DONE);
  bool until_close = framing == Framing::UntilClose && !(slot.flags & HEAD_REQUEST);
  if ((flags & SK_END_CONNECTION) || facts.wants_close || slot.app->draining || unsure || until_close) {
    data->state |= HttpData::HTTP_CONNECTION_CLOSE;
  }
  if (framing != Framing::UntilClose) {
    /* A refused tunnel is an answer like others. */
    slot.flags &= static_cast<uint16_t>(~TUNNEL);
  }
  if (facts.status == 205) {
    length = 0;
  }
  if ((slot.flags & HEAD_REQUEST) || framing == Framing::None || facts.status == 205) {
    slot.flags |= BODILESS;
  }
  slot.flags |= HEAD_SENT;
  if (slot.app->watched) [[unlikely]] {
    if (Observer *observer = slot.app->observer.get()) {
      observer->sent(slot, facts.status, head);
      composeFor(slot);
    }
    if (slot.app->metrics) {
      slot.app->metrics->sent(slot, facts.status);
    }
  }
  slot.total_length = length;
  if (framing == Framing::Sized) {
    slot.flags |= SIZED;
  }
  if (slot.stream) {
    writeStreamHead(slot, head, facts, framing, length);
    return SK_OK;
  }
  Persistence persistence = mustClose(slot)        ? Persistence::Close
                            : slot.flags & ANCIENT ? Persistence::KeepAlive
                                                   : Persistence::Default;
  size_t bound = composedBound(head, *slot.app);
  uWS::LoopData *loop = socket->getLoopData();
  bool packs = !slot.version_begun && socket->isCorked() && data->buffer.length() == 0;
  if (packs && loop->corkOffset + bound <= uWS::LoopData::CORK_BUFFER_SIZE) {
    loop->corkOffset += static_cast<unsigned int>(
        compose(loop->corkBuffer + loop->corkOffset, head, facts, *slot.app, framing, length, persistence));
  } else if (bound <= STACK_HEAD_BYTES) {
    char composed[STACK_HEAD_BYTES];
    size_t size = compose(composed, head, facts, *slot.app, framing, length, persistence);
    writeAll(socket, withoutWhatWasSent(slot, {composed, size}));
  } else {
    std::string composed(bound, '\0');
    size_t size = compose(composed.data(), head, facts, *slot.app, framing, length, persistence);
    writeAll(socket, withoutWhatWasSent(slot, {composed.data(), size}));
  }
  return SK_OK;
}

void completeResponse(Slot &slot) {
  assert(slot.flags & PENDING);
  HttpData *data = httpData(slot.socket);
  data->markDone();
  dropBody(slot);
  if (slot.flags & USER_PAUSED) {
    /* The next request is none of this handler's business. */
    us_socket_resume(raw(slot.socket));
  }
  slot.flags &= static_cast<uint16_t>(~(PENDING | USER_PAUSED));
  invalidateHandles(slot);
  slot.app->busy--;
  if (slot.app->watched) [[unlikely]] {
    slot.app->noteEnd(slot, false);
  }
  if (slot.app->compression) [[unlikely]] {
    /* A connection that waits for its next request keeps nothing of this one. */
    slot.app->compression->end(slot);
  }
}

int32_t continueConnection(Slot &slot) {
  if (slot.stream) {
    return endStream(slot);
  }
  Socket *socket = slot.socket;
  /* Of the next one, which is here, the response may share a packet with this. */
  if (!requestFollows(slot)) {
    leaveNow(slot);
  }
  bool buffered = socket->getBufferedAmount() != 0;
  awaitNextRequest(slot);
  if (mustClose(slot) || isLastRequest(slot)) {
    /* A corked socket is closed by whoever corked it, after sending. */
    if (!socket->isCorked()) {
      closeWhenFlushed(slot);
    }
  } else if (slot.flags & PIPELINE_HELD) {
    readHeldRequests(slot);
  }
  return buffered ? SK_BUFFERED : SK_OK;
}

void beginRequest(Slot &slot, HttpResponse *response, uWS::HttpRequest *request) {
  HttpData *data = httpData(response);
  /* The engine looks for the exact value; RFC 9110 section 7.6.1 makes it a list. */
  if (request->connectionClose()) {
    data->state |= HttpData::HTTP_CONNECTION_CLOSE;
  } else {
    data->state &= ~HttpData::HTTP_CONNECTION_CLOSE;
  }
  invalidateHandles(slot);
  slot.socket = response;
  slot.request = request;
  slot.request_handle = handleOf(slot);
  slot.total_length = 0;
  slot.app->busy++;
  uint16_t flags = PENDING;
  if (request->isAncient()) {
    flags |= ANCIENT;
  }
  if (request->hasBody()) {
    flags |= HAS_BODY;
  }
  /* Without a body, or behind its beginning, there is nothing to wait for (RFC 9110 section 10.1.1). */
  if (request->expectsContinue() && request->hasBody() && data->unread.empty()) {
    flags |= EXPECTS_100;
  }
  std::string_view method = request->rawMethod();
  if (method == "HEAD") {
    flags |= HEAD_REQUEST;
  } else if (method == "CONNECT") {
    flags |= TUNNEL;
  }
  slot.flags = flags;
  slot.version_begun = false;
}

void continueWhenWritable(Slot &slot) {
  auto *response = static_cast<HttpResponse *>(slot.socket);
  response->onWritable([response](uintmax_t) {
    Slot &held = slotAt(us_socket_tag(raw(response)));
    response->flush();
    if (response->getBufferedAmount() <= held.app->options.max_backpressure_bytes) {
      httpData(response)->onWritable = nullptr;
      readHeldRequests(held);
    }
    awaitNextRequest(held);
    return true;
  });
}

void cut(Slot &slot) {
  slot.socket->uncork();
  slot.socket->close();
}

} // namespace sk
