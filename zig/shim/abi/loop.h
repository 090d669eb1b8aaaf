/* sk_loop_*: the thread's event loop, driven by a descriptor. */
#ifndef SK_ABI_LOOP_H
#define SK_ABI_LOOP_H

namespace sk {

/* The loop of this thread runs its callbacks now, and will send what is published when they are done. */
bool loopIsPumping();

} // namespace sk
#endif
