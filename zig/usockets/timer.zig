//! Timers of the engine. A fallthrough timer never wakes the loop: it is looked at when the loop is awake anyway.
const sys = @import("sys.zig");
const Poll = @import("poll.zig").Poll;
const alarm = @import("alarm.zig");
const Loop = @import("loop.zig").Loop;

pub const TimerCallback = *const fn (*Timer) callconv(.c) void;

pub const Timer = extern struct {
    poll: Poll,
    loop: *Loop,
    callback: ?TimerCallback = null,
    next: ?*Timer = null,
    /// Whether it is a fallthrough timer.
    is_lazy: bool,
    /// Of a fallthrough timer.
    due_ms: i64 = 0,
    repeat_ms: c_int = 0,

    pub fn fired(timer: *Timer) void {
        alarm.fired(timer.loop, &timer.poll);
        // Before the callback, which may set it to something else. One that fires once is gone, or was set anew since it fired.
        if (!alarm.repeats and timer.repeat_ms > 0) alarm.set(timer.loop, &timer.poll, timer.repeat_ms, timer.repeat_ms);
        timer.fire();
    }

    fn fire(timer: *Timer) void {
        if (timer.callback) |callback| callback(timer);
    }

    pub fn runLazy(loop: *Loop) void {
        if (loop.lazy_timers == null) return;
        const now = sys.monotonicMs();
        var next = loop.lazy_timers;
        while (next) |timer| {
            next = timer.next;
            if (timer.callback == null or timer.due_ms > now) continue;
            if (timer.repeat_ms > 0) {
                timer.due_ms = now + timer.repeat_ms;
                timer.fire();
            } else {
                const callback = timer.callback.?;
                timer.callback = null;
                callback(timer);
            }
        }
    }
};

export fn us_create_timer(loop: *Loop, fallthrough: c_int, ext_size: c_uint) ?*Timer {
    const timer = sys.create(Timer, ext_size) orelse return null;
    timer.* = .{ .poll = .{ .fd = -1, .kind = .timer }, .loop = loop, .is_lazy = fallthrough != 0 };
    if (fallthrough != 0) {
        timer.next = loop.lazy_timers;
        loop.lazy_timers = timer;
        return timer;
    }
    if (!alarm.openTimer(loop, &timer.poll)) {
        sys.free(timer);
        return null;
    }
    loop.active += 1;
    return timer;
}

export fn us_timer_ext(timer: *Timer) *anyopaque {
    return sys.extOf(Timer, timer);
}

export fn us_timer_loop(timer: *Timer) *Loop {
    return timer.loop;
}

export fn us_timer_set(timer: *Timer, callback: TimerCallback, delay_ms: c_int, repeat_ms: c_int) void {
    timer.callback = callback;
    timer.repeat_ms = repeat_ms;
    if (timer.is_lazy) {
        timer.due_ms = sys.monotonicMs() + delay_ms;
    } else alarm.set(timer.loop, &timer.poll, delay_ms, repeat_ms);
}

export fn us_timer_close(timer: *Timer) void {
    const loop = timer.loop;
    if (timer.is_lazy) {
        var link = &loop.lazy_timers;
        while (link.*) |each| : (link = &each.next) {
            if (each == timer) {
                link.* = timer.next;
                break;
            }
        }
    } else {
        loop.redirectReady(&timer.poll, null);
        timer.poll.close(loop);
        loop.active -= 1;
    }
    sys.free(timer);
}
