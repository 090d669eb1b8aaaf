/* The thread's event loop, driven by a descriptor. */
#ifndef SK_HTTP_LOOP_H
#define SK_HTTP_LOOP_H

#include <cstdint>

namespace sk {

/* Makes the loop of this thread where it has none: SK_OK, or why not as a negative errno. */
int32_t openLoop();
/* Handles everything that is ready, without waiting. SK_BUSY when called from inside itself. */
int32_t pumpLoop();
/* From now on waitLoop is what waits, also for the descriptor of another loop of this thread. False when the kernel refuses. */
bool leadLoop(int fd);
void followLoop();
/* US_OWN_EVENTS for pumpLoop, US_PARTNER_EVENTS for the other loop, both, or 0 after so many milliseconds (-1 for never) or a
 * signal. Calls nothing back. */
int waitLoop(int timeout_ms);
/* It runs its callbacks now, and will send what is published when they are done. */
bool loopIsPumping();
/* Whether it is what waits, also for another loop. */
bool loopLeads();
/* In the child of a fork: leaves the parent's loop alone. */
void forgetLoop();

} // namespace sk
#endif
