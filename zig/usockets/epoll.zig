//! The epoll backend: which descriptors are ready, asked for once a turn.
const sys = @import("sys.zig");
const linux = sys.system;
const Poll = @import("poll.zig").Poll;
const Loop = @import("loop.zig").Loop;

const events_max = 1024;

pub const Epoll = extern struct {
    fd: c_int = -1,
    ready_index: u32 = 0,
    ready_count: u32 = 0,
    ready: [events_max]linux.EpollEvent = undefined,

    pub fn open(epoll: *Epoll) bool {
        epoll.fd = linux.epoll_create1(linux.cloexec);
        return epoll.fd >= 0;
    }

    pub fn close(epoll: *Epoll) void {
        if (epoll.fd >= 0) _ = sys.close(epoll.fd);
    }

    /// Whose parent has it: the descriptor here is a duplicate.
    pub fn forget(epoll: *Epoll) void {
        _ = sys.close(epoll.fd);
    }

    fn control(epoll: *Epoll, operation: c_int, poll: *Poll) bool {
        var event: linux.EpollEvent = .{ .events = poll.interest, .data = .{ .ptr = @intFromPtr(poll) } };
        return linux.epoll_ctl(epoll.fd, operation, poll.fd, &event) == 0;
    }

    pub fn add(epoll: *Epoll, poll: *Poll) bool {
        return epoll.control(linux.epoll_ctl_add, poll);
    }

    pub fn changed(epoll: *Epoll, poll: *Poll) void {
        _ = epoll.control(linux.epoll_ctl_mod, poll);
    }

    pub const moved = changed;

    pub fn remove(epoll: *Epoll, poll: *Poll) void {
        _ = epoll.control(linux.epoll_ctl_del, poll);
    }

    pub fn wait(epoll: *Epoll, timeout_ms: c_int) void {
        const count = linux.epoll_wait(epoll.fd, &epoll.ready, events_max, timeout_ms);
        epoll.ready_count = if (count > 0) @intCast(count) else 0;
        epoll.ready_index = 0;
    }

    /// Takes the events of a poll out. Returns whether there were any; the count is 0 when nothing else is left.
    pub fn takeOut(epoll: *Epoll, poll: *const Poll) bool {
        var others = false;
        var found = false;
        for (epoll.ready[0..epoll.ready_count]) |*event| {
            if (event.data.ptr == @intFromPtr(poll)) {
                event.data.ptr = 0;
                found = true;
            } else others = true;
        }
        if (!others) epoll.ready_count = 0;
        return found;
    }

    pub fn dispatch(epoll: *Epoll, loop: *Loop) void {
        while (epoll.ready_index < epoll.ready_count) {
            const event = epoll.ready[epoll.ready_index];
            epoll.ready_index += 1;
            if (event.data.ptr != 0) loop.dispatch(@ptrFromInt(event.data.ptr), event.events);
        }
        epoll.ready_count = 0;
        epoll.ready_index = 0;
    }

    /// Events of this turn that were not handled yet now belong to `new`, or to nobody.
    pub fn redirect(epoll: *Epoll, old: *Poll, new: ?*Poll) void {
        for (epoll.ready[epoll.ready_index..epoll.ready_count]) |*event| {
            if (event.data.ptr == @intFromPtr(old)) event.data.ptr = @intFromPtr(new);
        }
    }
};
