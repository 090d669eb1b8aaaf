#include "http/coded_response.h"

#include "http/app.h"
#include "http/body.h"
#include "http/callback.h"
#include "http/compression.h"
#include "http/connection.h"
#include "http/response.h"
#include "http/send.h"

#include <algorithm>

namespace sk {

namespace {

/* What a coder gets in one turn of the loop, which is busy meanwhile. */
constexpr size_t TURN_BYTES = 64 * 1024;
/* What a response may have that leaves with one packet. */
constexpr size_t AT_ONCE_MAX = 2 * TURN_BYTES;

using Coding = Compression::Coding;

void onWritable(HttpResponse *response);

/* Also when the connection takes data now. The function finds its slot by itself: the handle may be another one by then. */
void goOnWhenWritable(Slot &slot) {
  auto *response = static_cast<HttpResponse *>(slot.socket);
  response->onWritable([response](uintmax_t) {
    onWritable(response);
    return true;
  });
  us_socket_await_writable(raw(response));
  awaitReader(slot);
}

/* Adds what its coder shall get later. False when there is no memory, and the response was cut. */
bool keepWaiting(Slot &slot, Coding &coding, std::string_view data) {
  if (coding.waiting.append(data.data(), data.length())) {
    goOnWhenWritable(slot);
    return true;
  }
  cut(slot);
  return false;
}

/* For the program the response has ended. */
int32_t endLater(Slot &slot, Coding &coding, std::string_view data, int32_t flags) {
  if (!keepWaiting(slot, coding, data)) {
    return SK_GONE;
  }
  coding.is_ended = true;
  if (flags & SK_END_CONNECTION) {
    httpData(slot.socket)->state |= HttpData::HTTP_CONNECTION_CLOSE;
  }
  ignoreBody(slot);
  if (slot.flags & USER_PAUSED) {
    slot.flags &= static_cast<uint16_t>(~USER_PAUSED);
    us_socket_resume(raw(slot.socket));
  }
  invalidateHandles(slot);
  return SK_BUFFERED;
}

/* The end of a response whose head is out. */
int32_t endCoded(Slot &slot, Coding &coding, std::string_view data, int32_t flags) {
  if (coding.waiting.length() || data.length() > AT_ONCE_MAX) {
    return endLater(slot, coding, data, flags);
  }
  std::string coded;
  if (!slot.app->compression->code(slot, coding, data, SK_CODE_END, coded)) {
    return SK_GONE;
  }
  if (!coding.trailers) {
    return sendResponse(slot, {{}, 0}, coded, flags);
  }
  int32_t result = sendPiece(slot, {{}, 0}, coded, 0);
  return result == SK_GONE ? result : sendTrailers(slot, {*coding.trailers, coding.trailer_fields});
}

bool endsShort(const Slot &slot, const Coding &coding, size_t length) {
  return coding.total && httpData(slot.socket)->offset + length != *coding.total;
}

/* Gives the coder what waits, as far as it goes in one turn. False when the response is over. */
bool codeWaiting(Slot &slot, Coding &coding) {
  std::string_view piece = coding.waiting.front().substr(0, TURN_BYTES);
  bool is_last = piece.length() == coding.waiting.length();
  std::string coded;
  if (is_last && coding.is_ended) {
    if (!slot.app->compression->code(slot, coding, piece, SK_CODE_END, coded)) {
      return false;
    }
    coding.waiting.clear();
    if (coding.trailers) {
      if (sendPiece(slot, {{}, 0}, coded, 0) != SK_GONE) {
        sendTrailers(slot, {*coding.trailers, coding.trailer_fields});
      }
    } else {
      sendResponse(slot, {{}, 0}, coded, 0);
    }
    return false;
  }
  if (!slot.app->compression->code(slot, coding, piece, is_last ? SK_CODE_FLUSH : SK_CODE_MORE, coded)) {
    return false;
  }
  coding.waiting.drop(piece.length());
  return sendPiece(slot, {{}, 0}, coded, 0) != SK_GONE;
}

void onWritable(HttpResponse *response) {
  response->flush();
  uint32_t index = us_socket_tag(raw(response));
  if (!index || us_socket_is_closed(0, raw(response))) {
    return;
  }
  Slot &slot = slotAt(index);
  if (response->getBufferedAmount()) {
    awaitReader(slot);
    return;
  }
  std::shared_ptr<Coding> coding = slot.app->compression->coding(slot);
  if (coding->waiting.length()) {
    if (!codeWaiting(slot, *coding)) {
      return;
    }
    if (coding->waiting.length() || response->getBufferedAmount()) {
      goOnWhenWritable(slot);
      return;
    }
  }
  if (coding->wants_writable && (slot.flags & PENDING)) {
    beforeCallback();
    slot.app->options.on_writable(handleOf(slot));
  }
}

} // namespace

int32_t codeResponse(Slot &slot, const Head &head, std::string_view body, int32_t flags) {
  Compression &compression = *slot.app->compression;
  std::shared_ptr<Coding> coding = compression.coding(slot);
  if (slot.flags & HEAD_SENT) {
    if (!coding->coder || !head.block.empty()) {
      return sendResponse(slot, head, body, flags);
    }
    if (endsShort(slot, *coding, body.length())) {
      cut(slot);
      return SK_BAD_HEAD;
    }
    return endCoded(slot, *coding, body, flags);
  }
  bool is_unknown = (slot.flags & HEAD_REQUEST) && body.empty();
  Compression::Plan plan = compression.plan(slot, head, is_unknown ? std::nullopt : std::optional(body.length()), flags);
  if (plan.is_gone) {
    return SK_GONE;
  }
  if (plan.block.empty()) {
    return sendResponse(slot, head, body, flags);
  }
  Head planned{plan.block, plan.fields};
  if (!plan.is_coded) {
    return sendResponse(slot, planned, body, flags);
  }
  if (!coding->coder) {
    return sendResponse(slot, planned, {}, flags | SK_NO_BODY);
  }
  if (body.length() > AT_ONCE_MAX) {
    int32_t result = sendPiece(slot, planned, {}, flags);
    return result == SK_OK || result == SK_BUFFERED ? endLater(slot, *coding, body, flags) : result;
  }
  std::string coded;
  if (!compression.code(slot, *coding, body, SK_CODE_END, coded)) {
    return SK_GONE;
  }
  return sendResponse(slot, planned, coded, flags);
}

int32_t codePiece(Slot &slot, const Head &head, std::string_view data, int32_t flags) {
  Compression &compression = *slot.app->compression;
  std::shared_ptr<Coding> coding = compression.coding(slot);
  Compression::Plan plan;
  if (!(slot.flags & HEAD_SENT)) {
    HeadFacts facts = inspect(head);
    bool is_sized = facts.has_length && (flags & SK_KEEP_LENGTH);
    if (!is_sized || (slot.flags & HEAD_REQUEST) || data.length() <= facts.length) {
      plan = compression.plan(slot, head, std::nullopt, flags);
    }
    if (plan.is_gone) {
      return SK_GONE;
    }
    if (coding->coder && is_sized) {
      coding->total = facts.length;
    }
  }
  Head planned = plan.block.empty() ? head : Head{plan.block, plan.fields};
  if (!coding->coder) {
    return sendPiece(slot, planned, data, flags);
  }
  if (coding->total) {
    HttpData *state = httpData(slot.socket);
    if (data.length() > *coding->total - state->offset) {
      return SK_BAD_LENGTH;
    }
    state->offset += data.length();
  }
  bool is_large = data.length() > AT_ONCE_MAX || coding->waiting.length();
  std::string coded;
  if (!is_large && !data.empty() && !compression.code(slot, *coding, data, SK_CODE_FLUSH, coded)) {
    return SK_GONE;
  }
  int32_t result = sendPiece(slot, planned, coded, flags);
  if (!is_large || (result != SK_OK && result != SK_BUFFERED)) {
    return result;
  }
  return keepWaiting(slot, *coding, data) ? SK_BUFFERED : SK_GONE;
}

int32_t codeTrailers(Slot &slot, const Head &fields) {
  std::shared_ptr<Coding> coding = slot.app->compression->coding(slot);
  if (!coding->coder || !inspect(fields).valid) {
    return sendTrailers(slot, fields);
  }
  if (endsShort(slot, *coding, 0)) {
    cut(slot);
    return SK_BAD_HEAD;
  }
  coding->trailers = std::string(fields.block);
  coding->trailer_fields = fields.fields;
  return endCoded(slot, *coding, {}, 0);
}

int32_t codeTried(Slot &slot, const Head &head, std::string_view data, uint64_t total_length, int32_t flags) {
  Compression &compression = *slot.app->compression;
  std::shared_ptr<Coding> coding = compression.coding(slot);
  if (!(slot.flags & HEAD_SENT)) {
    Compression::Plan plan = compression.plan(slot, head, total_length, flags);
    if (plan.is_gone) {
      return SK_GONE;
    }
    Head planned = plan.block.empty() ? head : Head{plan.block, plan.fields};
    if (!coding->coder) {
      return tryEnd(slot, planned, data, total_length, plan.is_coded ? flags | SK_NO_BODY : flags);
    }
    coding->total = total_length;
    coding->is_tried = true;
    int32_t result = sendPiece(slot, planned, {}, flags);
    if (result != SK_OK && result != SK_BUFFERED) {
      return result;
    }
  } else if (!coding->coder) {
    return tryEnd(slot, head, data, total_length, flags);
  } else if (!head.block.empty() || !coding->is_tried) {
    return SK_BUSY;
  }
  HttpData *state = httpData(slot.socket);
  data = data.substr(0, std::min<uint64_t>(data.length(), *coding->total - state->offset));
  bool has_room = !slot.socket->getBufferedAmount() && !coding->waiting.length();
  std::string_view piece = data.substr(0, has_room ? TURN_BYTES : 0);
  bool is_all = piece.length() == data.length();
  bool is_last = state->offset + piece.length() == *coding->total;
  std::string coded;
  int32_t operation = is_last ? SK_CODE_END : is_all ? SK_CODE_FLUSH : SK_CODE_MORE;
  if ((is_last || !piece.empty()) && !compression.code(slot, *coding, piece, operation, coded)) {
    return SK_GONE;
  }
  state->offset += piece.length();
  if (is_last) {
    sendResponse(slot, {{}, 0}, coded, 0);
    return SK_TRIED | SK_TRIED_TAKEN | SK_TRIED_COMPLETE;
  }
  if (sendPiece(slot, {{}, 0}, coded, 0) == SK_GONE) {
    return SK_GONE;
  }
  if (is_all && !slot.socket->getBufferedAmount()) {
    return SK_TRIED | SK_TRIED_TAKEN;
  }
  goOnWhenWritable(slot);
  return SK_TRIED;
}

void wantWritable(Slot &slot) {
  std::shared_ptr<Coding> coding = slot.app->compression->coding(slot);
  coding->wants_writable = true;
  if (coding->coder) {
    goOnWhenWritable(slot);
    return;
  }
  auto *response = static_cast<HttpResponse *>(slot.socket);
  response->onWritable([response](uintmax_t) {
    onWritable(response);
    return true;
  });
}

size_t uncodedBytes(const Slot &slot) { return slot.app->compression ? slot.app->compression->coding(slot)->waiting.length() : 0; }

} // namespace sk
