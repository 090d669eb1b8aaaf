//! The first bytes of everything that has a descriptor: what is watched, by whichever backend the loop has.
const sys = @import("sys.zig");
const Loop = @import("loop.zig").Loop;

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

pub const Poll = extern struct {
    /// Aligned as what it is part of.
    fd: c_int align(8),
    kind: Kind,
    /// EPOLLIN, EPOLLOUT and EPOLLRDHUP as registered.
    interest: u16 = 0,
    flags: u16 = 0,
    /// Its number in the table of the io_uring backend.
    slot: u32 = 0,

    pub fn start(poll: *Poll, loop: *Loop, interest: u32) bool {
        poll.interest = @intCast(interest);
        return if (loop.uring) |uring| uring.add(poll) else loop.epoll.control(sys.epoll_ctl_add, poll);
    }

    pub fn change(poll: *Poll, loop: *Loop, interest: u32) void {
        if (poll.interest == interest) return;
        poll.interest = @intCast(interest);
        if (poll.kind != .carried) poll.moved(loop);
    }

    pub fn add(poll: *Poll, loop: *Loop, interest: u32) void {
        poll.change(loop, poll.interest | interest);
    }

    pub fn remove(poll: *Poll, loop: *Loop, interest: u32) void {
        poll.change(loop, poll.interest & ~interest);
    }

    /// The same descriptor, but the backend points to this object from now on.
    pub fn moved(poll: *Poll, loop: *Loop) void {
        if (loop.uring) |uring| uring.changed(poll) else _ = loop.epoll.control(sys.epoll_ctl_mod, poll);
    }

    /// Is watched no more, and its descriptor closes. Closing alone would leave the backend pointing to freed memory while a
    /// duplicate of the descriptor lives, here or in a forked child; a child shares the backend, and leaves it alone.
    pub fn close(poll: *Poll, loop: *Loop) void {
        if (loop.uring) |uring| return uring.close(poll);
        if (loop.owner_pid == sys.getpid()) _ = loop.epoll.control(sys.epoll_ctl_del, poll);
        _ = sys.close(poll.fd);
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
