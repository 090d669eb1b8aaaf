#include "body.h"

#include "app.h"
#include "socketify.h"

#include <utility>

namespace sk {

namespace {

void hold(Slot &slot, std::string_view data, bool last) {
  if (!slot.held) {
    slot.held = new HeldBody;
  }
  slot.held->bytes.append(data);
  slot.held->complete = last;
  if (!last && slot.held->bytes.length() >= HELD_BODY_MAX && !(slot.flags & HOLD_PAUSED)) {
    slot.flags |= HOLD_PAUSED;
    us_socket_pause(raw(slot.socket));
    /* It is not the client who is slow now. */
    us_socket_timeout(0, raw(slot.socket), 0);
  }
}

void deliver(Slot &slot, std::string_view data, bool last) {
  if (last) {
    slot.flags |= BODY_DONE;
  }
  slot.app->options.on_body(handleOf(slot), data.data(), data.length(), last);
}

void onBodyData(uint32_t handle, std::string_view data, bool last) {
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return;
  }
  if (slot->flags & BODY_WANTED) {
    deliver(*slot, data, last);
  } else {
    hold(*slot, data, last);
  }
}

void resumeHeld(Slot &slot) {
  if (slot.flags & HOLD_PAUSED) {
    slot.flags &= static_cast<uint16_t>(~HOLD_PAUSED);
    us_socket_resume(raw(slot.socket));
    us_socket_timeout(0, raw(slot.socket), HttpContext::HTTP_IDLE_TIMEOUT_S);
  }
}

} // namespace

void attachBody(Slot &slot) {
  auto *response = static_cast<HttpResponse *>(slot.socket);
  response->onData([handle = handleOf(slot)](std::string_view data, bool last) { onBodyData(handle, data, last); });
}

void dropBody(Slot &slot) {
  delete std::exchange(slot.held, nullptr);
  resumeHeld(slot);
}

} // namespace sk

using namespace sk;

int32_t sk_res_read_body(uint32_t handle) {
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  if (!(slot->flags & HAS_BODY) || (slot->flags & BODY_WANTED)) {
    return SK_ABSENT;
  }
  slot->flags |= BODY_WANTED;
  if ((slot->flags & EXPECTS_100) && !slot->held) {
    sk_res_write_continue(handle);
  }
  if (slot->request) {
    attachBody(*slot);
    return SK_OK;
  }
  HeldBody *held = std::exchange(slot->held, nullptr);
  resumeHeld(*slot);
  if (held) {
    deliver(*slot, held->bytes, held->complete);
    delete held;
  }
  return SK_OK;
}
