//! Wake-ups and timers as filters of a kqueue, which need no descriptors.
const sys = @import("sys.zig");
const Poll = @import("poll.zig").Poll;
const Loop = @import("loop.zig").Loop;

/// A timer fires once each time that it is set: EVFILT_TIMER has one span, not a delay and then another one.
pub const repeats = false;

/// False when the kernel refuses.
pub fn openWakeup(loop: *Loop, poll: *Poll) bool {
    return loop.readiness.addWakeup(poll);
}

/// From any thread.
pub fn wake(loop: *Loop, poll: *const Poll) void {
    loop.readiness.wake(poll);
}

/// Nothing to open: it is made when it is set.
pub fn openTimer(loop: *Loop, poll: *Poll) bool {
    _ = .{ loop, poll };
    return true;
}

/// Without a delay the timer stands still.
pub fn set(loop: *Loop, poll: *Poll, delay_ms: c_int, repeat_ms: c_int) void {
    _ = repeat_ms;
    if (delay_ms > 0) loop.readiness.setTimer(poll, delay_ms) else loop.readiness.stopTimer(poll);
}

/// Once, when a tick begins: ticks are one ahead of the clock's seconds.
pub fn setAt(loop: *Loop, poll: *Poll, tick: u32) void {
    const begin_ms = (@as(i64, tick) - 1) * 1000;
    loop.readiness.setTimer(poll, @intCast(@max(begin_ms - sys.monotonicMs(), 1)));
}

/// It was told.
pub fn fired(loop: *Loop, poll: *Poll) void {
    _ = .{ loop, poll };
}
