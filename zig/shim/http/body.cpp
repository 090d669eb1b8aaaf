#include "http/body.h"

#include "http/app.h"
#include "http/callback.h"
#include "http/connection.h"
#include "http/response.h"
#include "http/send.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace sk {

namespace {

/* Bytes of a body that are kept for a handler that has not asked for it yet; then reading pauses. */
constexpr size_t HELD_BODY_MAX = 64 * 1024;

/* False when there is no memory for it. */
bool keep(Slot &slot, std::string_view data) {
  if (!slot.held) {
    slot.held = new (std::nothrow) HeldBody;
  }
  return slot.held && slot.held->append(data);
}

void hold(Slot &slot, std::string_view data, bool last) {
  if (!keep(slot, data)) {
    /* What would follow is no continuation of what was before. */
    cut(slot);
    return;
  }
  slot.held->complete = last;
  if (!last && slot.held->bytes().length() >= HELD_BODY_MAX && !(slot.flags & HOLD_PAUSED)) {
    slot.flags |= HOLD_PAUSED;
    us_socket_pause(raw(slot.socket));
    awaitBody(slot);
  }
}

void deliver(Slot &slot, std::string_view data, bool last) {
  if (last) {
    slot.flags |= BODY_DONE;
  }
  beforeCallback();
  uint32_t handle = handleOf(slot);
  int32_t receipt = nextReceipt();
  if (slot.app->options.on_body(handle, data.data(), data.length(), last, receipt) != receipt) {
    if (Slot *still = findHttpSlot(handle)) {
      cut(*still);
    }
  }
}

void resumeHeld(Slot &slot) {
  if (slot.flags & HOLD_PAUSED) {
    slot.flags &= static_cast<uint16_t>(~HOLD_PAUSED);
    us_socket_resume(raw(slot.socket));
    awaitBody(slot);
  }
}

} // namespace

bool HeldBody::append(std::string_view data) {
  if (data.empty()) {
    return true;
  }
  if (length + data.length() > capacity) {
    size_t wanted = std::max(2 * capacity, length + data.length());
    auto *grown = static_cast<char *>(realloc(content, wanted));
    if (!grown) {
      return false;
    }
    content = grown;
    capacity = wanted;
  }
  memcpy(content + length, data.data(), data.length());
  length += data.length();
  return true;
}

void receiveBody(Slot &slot, std::string_view data, bool last) {
  if (slot.flags & BODY_DONE) {
    /* It was taken before the parser got to it. */
    return;
  }
  /* Who sends it waits for nothing (RFC 9110 section 10.1.1). */
  slot.flags &= static_cast<uint16_t>(~EXPECTS_100);
  if (slot.flags & BODY_WANTED) {
    deliver(slot, data, last);
  } else {
    hold(slot, data, last);
  }
}

std::optional<std::string_view> takeBodyHere(Slot &slot) {
  if (slot.flags & BODY_WANTED) {
    return std::nullopt;
  }
  std::optional<std::string_view> whole;
  if (uWS::HttpRequest *request = slot.request) {
    /* Nothing of it was looked at yet. */
    std::string_view unread = httpData(slot.socket)->unread;
    if (request->hasBody() && !request->isChunked() && request->contentLength() <= unread.length()) {
      whole = unread.substr(0, request->contentLength());
      if (slot.app->metrics) {
        /* The parser may never get to it: a stream ends with its response. */
        slot.app->metrics->add(SK_METRIC_RECEIVED_BYTES, whole->length());
      }
    }
  } else if (slot.held && slot.held->complete) {
    whole = slot.held->bytes();
  }
  if (whole) {
    slot.flags |= BODY_WANTED | BODY_DONE;
  }
  return whole;
}

bool wasTakenHere(const Slot &slot) {
  constexpr uint16_t TAKEN = BODY_WANTED | BODY_DONE;
  return (slot.flags & TAKEN) == TAKEN;
}

void dropBody(Slot &slot) {
  delete std::exchange(slot.held, nullptr);
  resumeHeld(slot);
}

void ignoreBody(Slot &slot) {
  dropBody(slot);
  if (!wasTakenHere(slot)) {
    slot.flags = static_cast<uint16_t>((slot.flags & ~BODY_WANTED) | BODY_DONE);
  }
}

std::optional<uint64_t> declaredLength(const Slot &slot) {
  if (!(slot.flags & HAS_BODY) || (slot.flags & BODY_WANTED)) {
    return std::nullopt;
  }
  if (slot.request) {
    return slot.request->isChunked() ? std::nullopt : std::optional(slot.request->contentLength());
  }
  size_t here = slot.held ? slot.held->bytes().length() : 0;
  if (slot.held && slot.held->complete) {
    return here;
  }
  std::optional<uint64_t> remaining = httpData(slot.socket)->bodyRemaining();
  return remaining ? std::optional(here + *remaining) : std::nullopt;
}

int32_t readBody(Slot &slot) {
  if (!(slot.flags & HAS_BODY) || (slot.flags & BODY_WANTED)) {
    return SK_ABSENT;
  }
  slot.flags |= BODY_WANTED;
  if (slot.flags & EXPECTS_100) {
    sendContinue(slot);
  }
  if (slot.request) {
    /* Nothing of it was looked at yet. */
    return SK_OK;
  }
  HeldBody *held = std::exchange(slot.held, nullptr);
  resumeHeld(slot);
  if (held) {
    deliver(slot, held->bytes(), held->complete);
    delete held;
  }
  return SK_OK;
}

} // namespace sk
