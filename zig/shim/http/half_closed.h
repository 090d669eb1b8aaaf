/* Clients that have ended their half of the connection: most of them have left, but some only have nothing more to send. */
#ifndef SK_HTTP_HALF_CLOSED_H
#define SK_HTTP_HALF_CLOSED_H

#include "http/engine.h"
#include "http/slot_table.h"

#include <string_view>

namespace sk {

/* Finds out whether a client that has ended its half, and that a response is owed to, still reads. The reset that a client which
 * has left answers with ends the connection. */
void askWhetherItReads(Slot &slot);

/* What is left to send of a text that begins with the version, as every status line does. */
std::string_view withoutWhatWasSent(Slot &slot, std::string_view text);

/* Whether the connection has to go on after its client has ended its half: something is owed that the client asked for. */
bool owesAnswer(const Slot &slot);

/* The rest of the request's body will not come, as its client has ended its half before the request was looked at, or while
 * earlier answers were owed, which have left now. */
bool lacksItsEnd(const Slot &slot);

/* Another request, or the beginning of one, arrived with the one that is handled. */
bool requestFollows(const Slot &slot);

/* No request follows, and none waits. */
bool isLastRequest(const Slot &slot);

} // namespace sk
#endif
