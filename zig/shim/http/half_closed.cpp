#include "http/half_closed.h"

#include "http/response.h"

#include <utility>

namespace sk {

namespace {

/* Every response begins with it: a client that reads does not see that it was early. */
constexpr std::string_view FIRST_BYTE = "H";
/* RFC 9112 section 7.1: of a chunk's size, of the last one's too. */
constexpr std::string_view LEADING_ZERO = "0";
/* Where nothing can be sent before the handler does: a client's system that has forgotten the connection, or is down, is found out
 * by the kernel. Seconds, seconds and packets. */
constexpr unsigned int KEEP_ALIVE_IDLE = 5, KEEP_ALIVE_INTERVAL = 2, KEEP_ALIVE_PROBES = 5;

} // namespace

void askWhetherItReads(Slot &slot) {
  /* What is under way already finds out. */
  if (!(slot.flags & PENDING) || slot.socket->isCorked() || slot.socket->getBufferedAmount()) {
    return;
  }
  us_socket_keep_alive(raw(slot.socket), KEEP_ALIVE_IDLE, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_PROBES);
  if (!(slot.flags & HEAD_SENT)) {
    if (!slot.version_begun) {
      slot.version_begun = true;
      writeAll(slot.socket, FIRST_BYTE);
    }
  } else if (!(slot.flags & (SIZED | BODILESS | ANCIENT | TUNNEL))) {
    writeAll(slot.socket, LEADING_ZERO);
  }
}

std::string_view withoutWhatWasSent(Slot &slot, std::string_view text) {
  if (slot.version_begun) {
    slot.version_begun = false;
    text.remove_prefix(FIRST_BYTE.length());
  }
  return text;
}

namespace {

bool owesOutput(const Slot &slot) { return slot.socket->getBufferedAmount() || us_socket_owes(raw(slot.socket)); }

/* Who answers without it has done so, or does. */
bool isBodyAwaited(const Slot &slot) { return (slot.flags & (HAS_BODY | BODY_RECEIVED | BODY_DONE)) == HAS_BODY; }

} // namespace

bool owesAnswer(const Slot &slot) {
  if (owesOutput(slot)) {
    return true;
  }
  bool asked = (slot.flags & (PENDING | PIPELINE_HELD)) || httpData(slot.socket)->holdsRequests();
  return asked && !isBodyAwaited(slot);
}

bool lacksItsEnd(const Slot &slot) {
  return (slot.flags & PENDING) && isBodyAwaited(slot) && !slot.stream && us_socket_ended(raw(slot.socket)) && !owesOutput(slot);
}

bool requestFollows(const Slot &slot) {
  size_t unread = httpData(slot.socket)->unread.length();
  if (!unread || !slot.request) {
    return unread;
  }
  return !slot.request->isChunked() && unread > slot.request->contentLength();
}

bool isLastRequest(const Slot &slot) {
  return us_socket_ended(raw(slot.socket)) && !(slot.flags & PIPELINE_HELD) && !httpData(slot.socket)->holdsRequests() &&
         !requestFollows(slot);
}

} // namespace sk
