//! What the epoll set points to: the first bytes of everything that has a descriptor.
const sys = @import("sys.zig");
const Loop = @import("loop.zig").Loop;

pub const Kind = enum(u8) { socket, listener, wakeup, sweep, timer, linger };

pub const Poll = extern struct {
    /// Aligned as what it is part of.
    fd: c_int align(8),
    kind: Kind,
    /// EPOLLIN and EPOLLOUT as registered.
    interest: u8 = 0,
    flags: u16 = 0,

    pub fn start(poll: *Poll, loop: *Loop, interest: u32) bool {
        poll.interest = @intCast(interest);
        return poll.control(loop, sys.epoll_ctl_add) == 0;
    }

    pub fn change(poll: *Poll, loop: *Loop, interest: u32) void {
        if (poll.interest == interest) return;
        poll.interest = @intCast(interest);
        _ = poll.control(loop, sys.epoll_ctl_mod);
    }

    pub fn add(poll: *Poll, loop: *Loop, interest: u32) void {
        poll.change(loop, poll.interest | interest);
    }

    pub fn remove(poll: *Poll, loop: *Loop, interest: u32) void {
        poll.change(loop, poll.interest & ~interest);
    }

    /// The same descriptor, but the set points to this object from now on.
    pub fn moved(poll: *Poll, loop: *Loop) void {
        _ = poll.control(loop, sys.epoll_ctl_mod);
    }

    /// Leaves the set and closes the descriptor. Closing alone would leave the set pointing to freed memory while a
    /// duplicate of the descriptor lives, here or in a forked child; a child shares the set, and leaves it alone.
    pub fn close(poll: *Poll, loop: *Loop) void {
        if (loop.owner_pid == sys.getpid()) _ = poll.control(loop, sys.epoll_ctl_del);
        _ = sys.close(poll.fd);
    }

    fn control(poll: *Poll, loop: *Loop, operation: c_int) c_int {
        var event: sys.EpollEvent = .{ .events = poll.interest, .data = .{ .ptr = @intFromPtr(poll) } };
        return sys.epoll_ctl(loop.epoll_fd, operation, poll.fd, &event);
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
