/* sk_res_early_hints, sk_res_end_trailers: fields before and after a response. */
#include "http/half_closed.h"
#include "http/response.h"

using namespace sk;

namespace {

constexpr std::string_view EARLY_HINTS = "HTTP/1.1 103 Early Hints\r\n";
constexpr std::string_view LAST_CHUNK_SIZE = "0\r\n";

} // namespace

int32_t sk_res_early_hints(uint32_t handle, const char *head, int32_t head_length, int32_t fields) {
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  if (slot->flags & (HEAD_SENT | ANCIENT)) {
    return SK_BUSY;
  }
  Head block{{head, static_cast<size_t>(head_length)}, fields};
  if (!inspect(block).valid) {
    return SK_BAD_HEAD;
  }
  Cork cork(slot->socket);
  writeAll(slot->socket, withoutWhatWasSent(*slot, std::string(EARLY_HINTS) + fieldLines(block) + "\r\n"));
  cork.release();
  leaveNow(*slot);
  return SK_OK;
}

int32_t sk_res_end_trailers(uint32_t handle, const char *head, int32_t head_length, int32_t fields) {
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  Head block{{head, static_cast<size_t>(head_length)}, fields};
  if (!inspect(block).valid) {
    return SK_BAD_HEAD;
  }
  if (!(slot->flags & HEAD_SENT) || (slot->flags & (SIZED | ANCIENT | TUNNEL | MUTE))) {
    return sk_res_send(handle, nullptr, 0, 0, nullptr, 0, 0);
  }
  Cork cork(slot->socket);
  writeAll(slot->socket, std::string(LAST_CHUNK_SIZE) + fieldLines(block) + "\r\n");
  finish(*slot);
  cork.release();
  return settle(*slot);
}
