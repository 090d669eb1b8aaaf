//! Time-outs of sockets: setting one is a store; one timer descriptor, armed for the nearest deadline only, does the rest.
const std = @import("std");
const sys = @import("sys.zig");
const Loop = @import("loop.zig").Loop;
const Walk = @import("loop.zig").Walk;
const Socket = @import("socket.zig").Socket;
const Context = @import("context.zig").Context;
const linger = @import("linger.zig");
const listener = @import("listener.zig");

/// No deadline: later than every tick.
const never = std.math.maxInt(u32);

/// Makes sure that the loop wakes at `tick` or before.
pub fn need(loop: *Loop, tick: u32) void {
    if (loop.armed_tick != 0 and loop.armed_tick <= tick) return;
    arm(loop, tick);
}

fn arm(loop: *Loop, tick: u32) void {
    loop.armed_tick = tick;
    const when: sys.Itimerspec = .{
        .interval = .{ .sec = 0, .nsec = 0 },
        // Ticks are one ahead of the clock's seconds; a little later, so that the coarse clock has reached it too.
        .value = .{ .sec = @as(isize, tick) - 1, .nsec = 20_000_000 },
    };
    const absolute: c_int = 1;
    _ = sys.timerfd_settime(loop.sweep.fd, absolute, &when, null);
}

/// The tick at which a delay that begins now is surely over. Not from the turn's own tick: a handler may have blocked since.
pub fn deadlineAfter(seconds: u32) u32 {
    return sys.monotonicTick() +| seconds +| 1;
}

pub fn sweep(loop: *Loop) void {
    const now = loop.now_tick;
    loop.armed_tick = 0;
    listener.retryStarved(loop);
    var nearest: u32 = linger.expire(loop, now);
    var context = loop.contexts;
    while (context) |each| : (context = each.next) {
        nearest = @min(nearest, sweepContext(loop, each, now));
    }
    if (nearest != never) need(loop, nearest);
}

fn sweepContext(loop: *Loop, context: *Context, now: u32) u32 {
    var nearest: u32 = never;
    var walk: Walk = .{ .next = context.sockets, .outer = null };
    loop.beginWalk(&walk);
    defer loop.endWalk(&walk);
    while (walk.next) |socket| {
        walk.next = socket.next;
        if (socket.deadline != 0) {
            if (socket.deadline <= now) {
                socket.deadline = 0;
                if (!socket.isEstablished()) {
                    _ = socket.close(0, null);
                } else if (context.on_timeout) |callback| _ = callback(socket);
                if (socket.closed()) continue;
            } else nearest = @min(nearest, socket.deadline);
        }
        if (socket.long_deadline != 0) {
            if (socket.long_deadline <= now) {
                socket.long_deadline = 0;
                if (context.on_long_timeout) |callback| _ = callback(socket);
            } else nearest = @min(nearest, socket.long_deadline);
        }
    }
    return nearest;
}

export fn us_socket_timeout(ssl: c_int, socket: *Socket, seconds: c_uint) void {
    _ = ssl;
    if (seconds == 0 or socket.closed()) {
        socket.deadline = 0;
        return;
    }
    const loop = socket.context.loop;
    socket.deadline = deadlineAfter(seconds);
    need(loop, socket.deadline);
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
    const loop = socket.context.loop;
    socket.long_deadline = deadlineAfter(minutes *| 60);
    need(loop, socket.long_deadline);
}
