/* The request's body on its way to the handler. */
#ifndef SK_BODY_H
#define SK_BODY_H

#include "engine.h"
#include "slot_table.h"

#include <string>

namespace sk {

/* Bytes of a body that are kept for a handler that has not asked for it yet; then reading pauses. */
constexpr size_t HELD_BODY_MAX = 64 * 1024;

struct HeldBody {
  std::string bytes;
  bool complete = false;
};

/* A piece from the client, for the handler or for later. */
void receiveBody(Slot &slot, std::string_view data, bool last);
/* The response ended: what nobody will read is dropped as it comes. */
void dropBody(Slot &slot);

} // namespace sk
#endif
