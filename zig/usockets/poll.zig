//! The first bytes of everything that is watched, by whichever backend the loop has.
const sys = @import("sys.zig");
const has_kqueue = @import("backend.zig").has_kqueue;
const Loop = @import("loop.zig").Loop;
const Filters = @import("kqueue_filters.zig").Filters;

pub const Kind = enum(u8) {
    socket,
    /// The descriptor is its carrier's, which is watched in its name.
    carried,
    listener,
    wakeup,
    sweep,
    timer,
    linger,
    partner,
};

/// What polls are interested in, and are told. The numbers are those of poll(2) on Linux, which its backends take as they are.
pub const Events = struct {
    pub const readable: u32 = 0x1;
    pub const writable: u32 = 0x4;
    /// The connection is broken. Told whether or not somebody is interested, as the next one is.
    pub const failed: u32 = 0x8;
    /// Both halves have ended.
    pub const hung_up: u32 = 0x10;
    /// The peer has ended its half, behind what can be read still.
    pub const half_closed: u32 = 0x2000;
};

pub const Poll = extern struct {
    /// Aligned as what it is part of. Below 0 for what the backend watches without one.
    fd: c_int align(8),
    kind: Kind,
    /// What a kqueue has of it.
    filters: Filters = .{},
    /// `readable`, `writable` and `half_closed` as registered.
    interest: u16 = 0,
    flags: u16 = 0,
    /// Its number in a table of the backend.
    slot: u32 = 0,

    pub fn start(poll: *Poll, loop: *Loop, interest: u32) bool {
        poll.interest = @intCast(interest);
        return if (loop.uring()) |uring| uring.add(poll) else loop.readiness.add(poll);
    }

    pub fn change(poll: *Poll, loop: *Loop, interest: u32) void {
        if (poll.interest == interest) return;
        poll.interest = @intCast(interest);
        if (poll.kind != .carried) poll.changed(loop);
    }

    pub fn add(poll: *Poll, loop: *Loop, interest: u32) void {
        poll.change(loop, poll.interest | interest);
    }

    pub fn remove(poll: *Poll, loop: *Loop, interest: u32) void {
        poll.change(loop, poll.interest & ~interest);
    }

    fn changed(poll: *Poll, loop: *Loop) void {
        if (loop.uring()) |uring| uring.changed(poll) else loop.readiness.changed(poll);
    }

    /// The same descriptor, but the backend points to this object from now on.
    pub fn moved(poll: *Poll, loop: *Loop) void {
        if (loop.uring()) |uring| uring.changed(poll) else loop.readiness.moved(poll);
    }

    /// What takes the place of this poll, and is `moved` then.
    pub fn successor(poll: *const Poll, kind: Kind) Poll {
        return .{ .fd = poll.fd, .kind = kind, .filters = poll.filters, .slot = poll.slot };
    }

    /// Ends one half of the connection, or both.
    pub fn shutdown(poll: *Poll, loop: *Loop, how: c_int) void {
        _ = sys.shutdown(poll.fd, how);
        if (has_kqueue) loop.readiness.shutDown(poll, how);
    }

    /// Is watched no more, and its descriptor closes. Closing alone would leave the backend pointing to freed memory while a
    /// duplicate of the descriptor lives, here or in a forked child; a child shares the backend, and leaves it alone.
    pub fn close(poll: *Poll, loop: *Loop) void {
        if (loop.uring()) |uring| return uring.close(poll);
        if (loop.owner_pid == sys.getpid()) loop.readiness.remove(poll);
        if (poll.fd >= 0) _ = sys.close(poll.fd);
    }
};

export fn us_poll_events(poll: *Poll) c_int {
    return poll.interest;
}

export fn us_poll_change(poll: *Poll, loop: *Loop, events: c_int) void {
    poll.change(loop, @intCast(events));
}

export fn us_poll_fd(poll: *Poll) c_int {
    return poll.fd;
}
