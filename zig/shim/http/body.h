/* The request's body on its way to the handler. */
#ifndef SK_HTTP_BODY_H
#define SK_HTTP_BODY_H

#include "http/engine.h"
#include "http/slot_table.h"

#include <cstdlib>
#include <optional>
#include <string_view>

namespace sk {

class HeldBody {
public:
  HeldBody() = default;
  ~HeldBody() { free(content); }
  HeldBody(const HeldBody &) = delete;
  HeldBody &operator=(const HeldBody &) = delete;

  /* False when there is no memory for it: then nothing was added. */
  bool append(std::string_view data);
  std::string_view bytes() const { return {content, length}; }

  bool complete = false;

private:
  char *content = nullptr;
  size_t length = 0, capacity = 0;
};

/* The handler wants the body: what is here is handed over, and the rest as it arrives. SK_OK, or SK_ABSENT without a body or when
 * it was asked for already. */
int32_t readBody(Slot &slot);
/* Bytes of a body that was not asked for yet, as the client declared them; nothing for one in chunks. */
std::optional<uint64_t> declaredLength(const Slot &slot);
/* A piece from the client, for the handler or for later. */
void receiveBody(Slot &slot, std::string_view data, bool last);
/* The whole body, if all of it has arrived and nobody asked for it yet; else nothing. It counts as delivered then, and lies where
 * it is until the handler returns, or something else happens to the connection: who has copied it calls dropBody. */
std::optional<std::string_view> takeBodyHere(Slot &slot);
/* Whether it was, so that what arrives was counted already. */
bool wasTakenHere(const Slot &slot);

/* What nobody will read is dropped: the response ended, or it was taken. */
void dropBody(Slot &slot);
/* Likewise what is still to come, while what the program has sent of the response leaves. */
void ignoreBody(Slot &slot);

} // namespace sk
#endif
