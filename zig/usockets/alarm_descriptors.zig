//! Wake-ups and timers as descriptors, which both backends of Linux watch as they watch sockets.
const sys = @import("sys.zig");
const linux = sys.system;
const poll_module = @import("poll.zig");
const Poll = poll_module.Poll;
const Events = poll_module.Events;
const Loop = @import("loop.zig").Loop;

/// The kernel fires a timer again by itself.
pub const repeats = true;

/// False when descriptors are exhausted.
pub fn openWakeup(loop: *Loop, poll: *Poll) bool {
    // A ring watches its own event descriptor only while it waits itself.
    if (loop.uring()) |uring| {
        poll.fd = uring.ring.event_fd;
        return true;
    }
    poll.fd = linux.eventfd(0, linux.cloexec | linux.nonblock);
    return poll.fd >= 0 and poll.start(loop, Events.readable);
}

/// From any thread.
pub fn wake(loop: *Loop, poll: *const Poll) void {
    _ = loop;
    const one: u64 = 1;
    // Fails only when the counter is full, and then the loop wakes all the same.
    _ = sys.write(poll.fd, @ptrCast(&one), @sizeOf(u64));
}

/// False when descriptors are exhausted; then there is none left of it.
pub fn openTimer(loop: *Loop, poll: *Poll) bool {
    poll.fd = linux.timerfd_create(linux.clock_monotonic, linux.cloexec | linux.nonblock);
    if (poll.fd < 0) return false;
    if (poll.start(loop, Events.readable)) return true;
    _ = sys.close(poll.fd);
    poll.fd = -1;
    return false;
}

/// Again and again where it repeats. Without a delay the timer stands still.
pub fn set(loop: *Loop, poll: *Poll, delay_ms: c_int, repeat_ms: c_int) void {
    _ = loop;
    const when: linux.Itimerspec = .{ .interval = timespec(repeat_ms), .value = timespec(delay_ms) };
    _ = linux.timerfd_settime(poll.fd, 0, &when, null);
}

fn timespec(ms: c_int) sys.Timespec {
    return .{ .sec = @divTrunc(ms, 1000), .nsec = @as(isize, @rem(ms, 1000)) * 1_000_000 };
}

/// Once, when a tick begins.
pub fn setAt(loop: *Loop, poll: *Poll, tick: u32) void {
    _ = loop;
    const when: linux.Itimerspec = .{
        .interval = .{ .sec = 0, .nsec = 0 },
        // Ticks are one ahead of the clock's seconds; a little later, so that the coarse clock has reached it too.
        .value = .{ .sec = @as(isize, tick) - 1, .nsec = 20_000_000 },
    };
    const absolute: c_int = 1;
    _ = linux.timerfd_settime(poll.fd, absolute, &when, null);
}

/// It was told.
pub fn fired(loop: *Loop, poll: *Poll) void {
    _ = loop;
    var counter: u64 = undefined;
    _ = sys.read(poll.fd, @ptrCast(&counter), @sizeOf(u64));
}
