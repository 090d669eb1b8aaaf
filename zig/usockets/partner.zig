//! Another event loop of this thread, and which of both waits.
//!
//! Where ours waits, it has the descriptor of the other one among its own; else the other one has ours. Both at once would be a
//! circle, which the kernel refuses. Whoever waits has its own events in one system call, and those of the other in two.
const sys = @import("sys.zig");
const Poll = @import("poll.zig").Poll;
const Events = @import("poll.zig").Events;
const Loop = @import("loop.zig").Loop;
const uring_partner = @import("uring_partner.zig");

pub const Partner = extern struct {
    poll: Poll = .{ .fd = -1, .kind = .partner },
    ready: bool = false,

    /// Whether ours waits.
    pub fn follows(partner: *const Partner) bool {
        return partner.poll.fd >= 0;
    }

    /// The descriptor is watched no more, and stays open.
    fn stop(partner: *Partner, loop: *Loop) void {
        if (loop.uring()) |uring| {
            uring_partner.forget(uring, &partner.poll);
        } else if (loop.owner_pid == sys.getpid()) {
            loop.readiness.remove(&partner.poll);
        }
        partner.poll.fd = -1;
    }
};

/// See usockets_ext.h.
const own_events: c_int = 1;
const partner_events: c_int = 2;

export fn us_loop_lead(loop: *Loop, fd: c_int) c_int {
    const partner = &loop.partner;
    partner.* = .{};
    partner.poll.fd = fd;
    if (partner.poll.start(loop, Events.readable)) {
        const uring = loop.uring() orelse return 0;
        if (uring_partner.begin(uring)) return 0;
        partner.stop(loop);
    }
    partner.poll.fd = -1;
    return -1;
}

export fn us_loop_follow(loop: *Loop) void {
    const partner = &loop.partner;
    if (!partner.follows()) return;
    partner.stop(loop);
    if (loop.uring()) |uring| uring_partner.end(uring);
    // Who waits from now on must hear of what is left.
    if (loop.collected) loop.wake();
}

export fn us_loop_leads(loop: *const Loop) c_int {
    return @intFromBool(loop.partner.follows());
}

export fn us_loop_wait(loop: *Loop, timeout_ms: c_int) c_int {
    if (loop.running or loop.collected) return own_events;
    const poll = &loop.partner.poll;
    var found = loop.partner.ready;
    var count: u32 = undefined;
    if (loop.uring()) |uring| {
        uring_partner.collect(uring, timeout_ms);
        found = uring_partner.takeOut(uring, poll) or found;
        count = uring.ready_count;
    } else {
        loop.readiness.wait(timeout_ms);
        found = loop.readiness.takeOut(poll) or found;
        count = loop.readiness.ready_count;
    }
    loop.partner.ready = false;
    loop.collected = count > 0;
    return (if (loop.collected) own_events else 0) | (if (found) partner_events else 0);
}
