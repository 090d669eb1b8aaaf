//! The io_uring backend where it waits for another loop of the thread as well: see partner.zig.
const sys = @import("sys.zig");
const Poll = @import("poll.zig").Poll;
const Events = @import("poll.zig").Events;
const Uring = @import("uring.zig").Uring;
const Tag = @import("uring_slot.zig").Tag;

/// Waits in the place of somebody else, for so long (-1 for ever), and keeps what is found for the next turn.
pub fn collect(uring: *Uring, timeout_ms: c_int) void {
    if (!uring.ring.isOwned()) return;
    uring.prepare();
    if (uring.ring.completions() == 0) {
        if (timeout_ms == 0) uring.ring.turn(0) else uring.ring.waitFor(timeout_ms);
    }
    uring.ready_count = uring.ring.take(&uring.ready);
}

/// Takes the completions of a poll out of what was collected. Returns whether it is ready; the count is 0 when nothing
/// else is left to handle.
pub fn takeOut(uring: *Uring, poll: *const Poll) bool {
    var others = false;
    var found = false;
    for (uring.ready[0..uring.ready_count]) |*completion| {
        const tag: Tag = @bitCast(completion.user_data);
        if (tag.operation == .poll and tag.slot == poll.slot) {
            const slot = &uring.slots.items[tag.slot];
            if (slot.generation == tag.generation and slot.sequence == tag.sequence and slot.polling) {
                found = true;
                slot.polling = false;
                // It begins anew with the next wait, in the same system call.
                if (!slot.dirty) {
                    slot.dirty = true;
                    uring.dirty.appendAssumeCapacity(tag.slot);
                }
            }
            completion.user_data = @bitCast(Tag{});
        } else if (tag.operation != .ignored and tag.operation != .send) others = true;
    }
    if (!others) uring.ready_count = 0;
    return found;
}

/// From now on somebody waits by `collect`, not by the event descriptor.
pub fn begin(uring: *Uring) bool {
    uring.loop.wakeup.interest = Events.readable;
    if (!uring.add(&uring.loop.wakeup)) return false;
    uring.ring.silence();
    return true;
}

pub fn end(uring: *Uring) void {
    if (!uring.ring.isOwned()) return;
    forget(uring, &uring.loop.wakeup);
    uring.ring.announce();
}

/// Watches no more what somebody else has opened, and closes.
pub fn forget(uring: *Uring, poll: *Poll) void {
    if (!uring.ring.isOwned()) return;
    if (uring.release(poll) and !uring.loop.running) uring.ring.turn(0);
}
