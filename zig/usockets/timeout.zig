//! Time-outs of sockets: setting one is a store; one timer, armed for the nearest deadline only, does the rest.
//!
//! Sockets lie in a wheel with a slot for every second. Only a slot that is due is looked at, so a crowd that waits costs nothing.
const std = @import("std");
const assert = std.debug.assert;
const sys = @import("sys.zig");
const alarm = @import("alarm.zig");
const Loop = @import("loop.zig").Loop;
const Socket = @import("socket.zig").Socket;
const linger = @import("linger.zig");
const listener = @import("listener.zig");

/// No deadline: later than every tick.
const never = std.math.maxInt(u32);
/// Seconds that the wheel knows apart.
const slots = 256;
/// What one turn may take: callbacks, which may send, and sockets that are only put off.
const effort_per_turn = 2048;
const callback_effort = 15;

pub const Wheel = extern struct {
    /// All slots up to this tick were looked at.
    swept_tick: u32,
    heads: [slots]?*Socket = @splat(null),

    fn slot(wheel: *Wheel, tick: u32) *?*Socket {
        return &wheel.heads[tick % slots];
    }

    fn nearest(wheel: *Wheel) ?u32 {
        for (1..slots) |distance| {
            const tick = wheel.swept_tick + @as(u32, @intCast(distance));
            if (wheel.slot(tick).* != null) return tick;
        }
        return null;
    }
};

/// Makes sure that the loop wakes at `tick` or before.
pub fn need(loop: *Loop, tick: u32) void {
    if (loop.armed_tick != 0 and loop.armed_tick <= tick) return;
    arm(loop, tick);
}

fn arm(loop: *Loop, tick: u32) void {
    loop.armed_tick = tick;
    alarm.setAt(loop, &loop.sweep, tick);
}

/// The tick at which a delay that begins now is surely over. Not from the turn's own tick: a handler may have blocked since.
pub fn deadlineAfter(seconds: u32) u32 {
    return sys.monotonicTick() +| seconds +| 1;
}

/// Puts a socket where its nearest deadline finds it; after every deadline that is set. Mostly it lies there already: a
/// deadline that moved on is seen when the earlier one is reached.
pub fn watch(socket: *Socket) void {
    const nearest = nearestDeadline(socket);
    if (nearest == never or (socket.slot_tick != 0 and socket.slot_tick <= nearest)) return;
    forget(socket);
    const loop = socket.context.loop;
    const wheel = &loop.wheel;
    // One round at most: what is due later is looked at and put off.
    const tick = @min(nearest, wheel.swept_tick + slots - 1);
    assert(tick > wheel.swept_tick);
    const head = wheel.slot(tick);
    socket.slot_tick = tick;
    socket.slot_prev = null;
    socket.slot_next = head.*;
    if (head.*) |first| first.slot_prev = socket;
    head.* = socket;
    need(loop, tick);
}

/// The socket closes, or moves to other memory.
pub fn forget(socket: *Socket) void {
    if (socket.slot_tick == 0) return;
    const head = socket.context.loop.wheel.slot(socket.slot_tick);
    if (socket.slot_prev) |prev| prev.slot_next = socket.slot_next else head.* = socket.slot_next;
    if (socket.slot_next) |next| next.slot_prev = socket.slot_prev;
    socket.slot_prev = null;
    socket.slot_next = null;
    socket.slot_tick = 0;
}

fn nearestDeadline(socket: *const Socket) u32 {
    const short = if (socket.deadline == 0) never else socket.deadline;
    const long = if (socket.long_deadline == 0) never else socket.long_deadline;
    return @min(short, long);
}

/// Calls back for what is due. Many that are due at once are spread over turns, so that other sockets need not wait.
pub fn sweep(loop: *Loop) void {
    const now = loop.now_tick;
    const wheel = &loop.wheel;
    loop.armed_tick = 0;
    listener.retryStarved(loop);
    listener.retryAccepting(loop, now);
    const lingering = linger.expire(loop, now);
    if (lingering != never) need(loop, lingering);
    var effort: u32 = 0;
    // After a long pause one round sees everything.
    if (now > wheel.swept_tick + slots) wheel.swept_tick = now - slots;
    while (wheel.swept_tick < now) {
        const head = wheel.slot(wheel.swept_tick + 1);
        while (head.*) |socket| {
            if (effort >= effort_per_turn) {
                loop.sweep_due = true;
                loop.wake();
                return;
            }
            forget(socket);
            effort += expire(socket, now);
            if (!socket.closed()) watch(socket);
        }
        wheel.swept_tick += 1;
    }
    if (wheel.nearest()) |tick| need(loop, tick);
}

/// Returns what it took.
fn expire(socket: *Socket, now: u32) u32 {
    const context = socket.context;
    var effort: u32 = 1;
    if (socket.deadline != 0 and socket.deadline <= now) {
        socket.deadline = 0;
        effort += callback_effort;
        if (!socket.isEstablished()) {
            _ = socket.close(0, null);
        } else if (context.on_timeout) |callback| _ = callback(socket);
        if (socket.closed()) return effort;
    }
    if (socket.long_deadline != 0 and socket.long_deadline <= now) {
        socket.long_deadline = 0;
        effort += callback_effort;
        if (context.on_long_timeout) |callback| _ = callback(socket);
    }
    return effort;
}

export fn us_socket_timeout(ssl: c_int, socket: *Socket, seconds: c_uint) void {
    _ = ssl;
    if (seconds == 0 or socket.closed()) {
        socket.deadline = 0;
        return;
    }
    socket.deadline = deadlineAfter(seconds);
    watch(socket);
}

/// Whole seconds until the time-out, 0 when none runs.
export fn us_socket_timeout_left(socket: *const Socket) c_uint {
    if (socket.deadline == 0) return 0;
    return @max(1, socket.deadline -| sys.monotonicTick());
}

export fn us_socket_long_timeout(ssl: c_int, socket: *Socket, minutes: c_uint) void {
    _ = ssl;
    if (minutes == 0 or socket.closed()) {
        socket.long_deadline = 0;
        return;
    }
    socket.long_deadline = deadlineAfter(minutes *| 60);
    watch(socket);
}
