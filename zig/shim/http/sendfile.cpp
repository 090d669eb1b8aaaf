/* Bodies that the kernel copies from a file to the connection: the caller does, these functions keep the books. */
#include "http/connection.h"
#include "http/response.h"

using namespace sk;

int32_t sk_res_descriptor(uint32_t handle) {
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_STALE;
  }
  bool sized = (slot->flags & HEAD_SENT) && (slot->flags & SIZED) && !(slot->flags & MUTE);
  if (!sized || slot->socket->isCorked() || slot->socket->getBufferedAmount() || us_socket_owes(raw(slot->socket))) {
    return SK_BUSY;
  }
  return us_poll_fd(reinterpret_cast<us_poll_t *>(raw(slot->socket)));
}

int32_t sk_res_count_sent(uint32_t handle, uint64_t length) {
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  HttpData *data = httpData(slot->socket);
  if (!(slot->flags & SIZED) || length > slot->total_length - data->offset) {
    return SK_BAD_LENGTH;
  }
  data->offset += length;
  countSent(*slot, length);
  awaitHandler(*slot);
  return SK_OK;
}

int32_t sk_res_await_room(uint32_t handle) {
  int32_t result = sk_res_want_writable(handle);
  if (result == SK_OK) {
    Slot &slot = *findHttpSlot(handle);
    us_socket_await_writable(raw(slot.socket));
    awaitReader(slot);
  }
  return result;
}
