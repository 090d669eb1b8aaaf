//! Time-outs of many sockets: descriptors that nobody sends to, with deadlines in the next seconds.
const std = @import("std");
const sys = @import("sys.zig");
const test_server = @import("test_server.zig");
const Events = @import("poll.zig").Events;
const Loop = @import("loop.zig").Loop;
const Context = @import("context.zig").Context;
const Socket = @import("socket.zig").Socket;
const timeout = @import("timeout.zig");
const Timer = @import("timer.zig").Timer;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;

const Options = extern struct { files: [6]?*anyopaque = @splat(null), low_memory: c_int = 0 };
const LoopCallback = *const fn (*Loop) callconv(.c) void;

extern fn us_create_loop(hint: ?*anyopaque, wakeup: LoopCallback, pre: LoopCallback, post: LoopCallback, ext: c_uint) ?*Loop;
extern fn us_loop_free(loop: *Loop) void;
extern fn us_loop_pump(loop: *Loop) c_int;
extern fn us_loop_fd(loop: *Loop) c_int;
extern fn us_create_socket_context(ssl: c_int, loop: *Loop, ext: c_int, options: Options) ?*Context;
extern fn us_socket_context_free(ssl: c_int, context: *Context) void;
extern fn us_socket_timeout(ssl: c_int, socket: *Socket, seconds: c_uint) void;
extern fn us_socket_close(ssl: c_int, socket: *Socket, code: c_int, reason: ?*anyopaque) *Socket;
extern fn us_socket_context_adopt_socket(ssl: c_int, context: *Context, socket: *Socket, ext: c_int) ?*Socket;

extern fn us_create_timer(loop: *Loop, fallthrough: c_int, ext_size: c_uint) ?*Timer;
extern fn us_timer_set(timer: *Timer, callback: *const fn (*Timer) callconv(.c) void, delay_ms: c_int, repeat_ms: c_int) void;
extern fn us_timer_close(timer: *Timer) void;

/// What the callbacks saw; tests run one after the other.
const Seen = struct {
    timeouts: u32 = 0,
    early: u32 = 0,
    /// Closed by the next callback.
    victim: ?*Socket = null,
};
var seen: Seen = .{};

fn nothing(_: *Loop) callconv(.c) void {}

fn onClose(socket: *Socket, _: c_int, _: ?*anyopaque) callconv(.c) ?*Socket {
    return socket;
}

fn onTimeout(socket: *Socket) callconv(.c) ?*Socket {
    seen.timeouts += 1;
    // The tick that it was due at, which the tests keep there.
    if (socket.tag > sys.monotonicTick()) seen.early += 1;
    if (seen.victim) |victim| {
        seen.victim = null;
        _ = us_socket_close(0, victim, 0, null);
    }
    return socket;
}

const Crowd = struct {
    loop: *Loop,
    context: *Context,
    sockets: [600]*Socket,

    fn init() !Crowd {
        seen = .{};
        const loop = us_create_loop(null, nothing, nothing, nothing, 64) orelse return test_server.noLoop();
        const context = us_create_socket_context(0, loop, 16, .{}).?;
        context.on_close = onClose;
        context.on_timeout = onTimeout;
        var sockets: [600]*Socket = undefined;
        for (&sockets) |*each| {
            // Without a peer a socket of datagrams waits for ever.
            each.* = Socket.create(context, sys.openSocket(sys.af_unix, sys.sock_dgram, 0), 0).?;
            _ = each.*.poll.start(loop, Events.readable);
            context.link(each.*);
        }
        return .{ .loop = loop, .context = context, .sockets = sockets };
    }

    fn deinit(crowd: *const Crowd) void {
        us_socket_context_free(0, crowd.context);
        _ = us_loop_pump(crowd.loop);
        us_loop_free(crowd.loop);
    }

    fn setAll(crowd: *const Crowd, seconds: u32) void {
        for (crowd.sockets) |each| {
            us_socket_timeout(0, each, seconds);
            each.tag = each.deadline;
        }
    }

    /// Turns till there were so many time-outs, or a number of seconds passed; returns the most of one pump.
    fn run(crowd: *const Crowd, timeouts: u32, seconds: i64) u32 {
        const end = sys.monotonicMs() + seconds * 1000;
        var most: u32 = 0;
        while (seen.timeouts < timeouts and sys.monotonicMs() < end) {
            _ = sys.isReadable(us_loop_fd(crowd.loop), 100);
            const before = seen.timeouts;
            _ = us_loop_pump(crowd.loop);
            most = @max(most, seen.timeouts - before);
        }
        return most;
    }
};

test "many that are due at once are spread over turns" {
    const crowd: Crowd = try .init();
    defer crowd.deinit();
    crowd.setAll(1);
    const most = crowd.run(600, 5);
    try expectEqual(@as(u32, 600), seen.timeouts);
    try expectEqual(@as(u32, 0), seen.early);
    // A pump may be two turns.
    try expect(most < 400);
}

test "a deadline that moves on is not early, and one that moves nearer is not late" {
    const crowd: Crowd = try .init();
    defer crowd.deinit();
    crowd.setAll(1);
    crowd.setAll(2);
    // Far beyond the wheel, then near.
    us_socket_timeout(0, crowd.sockets[0], 100_000);
    us_socket_timeout(0, crowd.sockets[1], 100_000);
    us_socket_timeout(0, crowd.sockets[1], 1);
    crowd.sockets[1].tag = crowd.sockets[1].deadline;
    us_socket_timeout(0, crowd.sockets[2], 0);
    _ = crowd.run(598, 6);
    try expectEqual(@as(u32, 598), seen.timeouts);
    try expectEqual(@as(u32, 0), seen.early);
    try expect(crowd.sockets[0].slot_tick != 0);
    try expectEqual(@as(u32, 0), crowd.sockets[2].slot_tick);
}

test "who closes or moves in between is not called" {
    const crowd: Crowd = try .init();
    defer crowd.deinit();
    crowd.setAll(1);
    // The last one set is the first in its slot.
    seen.victim = crowd.sockets[300];
    _ = us_socket_close(0, crowd.sockets[0], 0, null);
    const moved = us_socket_context_adopt_socket(0, crowd.context, crowd.sockets[1], 32).?;
    us_socket_timeout(0, moved, 1);
    _ = crowd.run(598, 4);
    try expectEqual(@as(u32, 598), seen.timeouts);
}

test "a loop that slept for long calls each time-out once" {
    const crowd: Crowd = try .init();
    defer crowd.deinit();
    crowd.setAll(1);
    // As if it had slept since.
    for (crowd.sockets, 0..) |each, index| {
        if (index % 2 == 0) us_socket_timeout(0, each, 200);
    }
    const now = sys.monotonicTick();
    crowd.loop.wheel.swept_tick = if (now > 700) now - 700 else 0;
    _ = crowd.run(300, 4);
    try expectEqual(@as(u32, 300), seen.timeouts);
    try expectEqual(@as(u32, 0), seen.early);
    for (crowd.sockets, 0..) |each, index| try expectEqual(index % 2 == 0, each.slot_tick != 0);
}

var timers: [2]*Timer = undefined;
var timers_fired: u32 = 0;

/// The first one that fires sets the other one anew, whose time has come as well and is told behind it.
fn onTimer(timer: *Timer) callconv(.c) void {
    timers_fired += 1;
    if (timers_fired > 1) return;
    us_timer_set(if (timer == timers[0]) timers[1] else timers[0], onTimer, 50, 0);
}

test "a timer that is set anew in the turn in which its time had come fires at the new time" {
    const loop = us_create_loop(null, nothing, nothing, nothing, 0) orelse return test_server.noLoop();
    defer us_loop_free(loop);
    timers_fired = 0;
    for (&timers) |*each| {
        each.* = us_create_timer(loop, 0, 0).?;
        us_timer_set(each.*, onTimer, 1, 0);
    }
    defer for (timers) |each| us_timer_close(each);
    // Both are due.
    sys.sleepMs(20);
    for (0..10_000) |_| {
        _ = us_loop_pump(loop);
        if (timers_fired == 3) break;
        sys.sleepMs(1);
    }
    try expectEqual(@as(u32, 3), timers_fired);
}
