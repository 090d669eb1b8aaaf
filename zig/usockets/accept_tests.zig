//! Accepting: what is taken ahead of the loop, what stays in the backlog, and what becomes of both when a listener closes.
const std = @import("std");
const sys = @import("sys.zig");
const test_server = @import("test_server.zig");
const arrived = @import("arrived.zig");
const listener_module = @import("listener.zig");
const Listener = listener_module.Listener;
const Context = @import("context.zig").Context;
const Events = @import("poll.zig").Events;
const Server = test_server.Server;
const readable = test_server.readable;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;

extern fn us_listen_socket_close(ssl: c_int, listener: *Listener) void;
extern fn us_socket_context_listen_fd(ssl: c_int, context: *Context, fd: c_int, shared: c_int, ext_size: c_int) ?*Listener;
const us_socket_context_listen = test_server.us_socket_context_listen;
const us_socket_context_set_max_sockets = test_server.us_socket_context_set_max_sockets;
const us_socket_local_port = test_server.us_socket_local_port;
const seen = &test_server.seen;

const OnWaiting = fn (user: ?*anyopaque, reason: c_int, waiting: c_int) callconv(.c) void;
extern fn us_socket_context_on_waiting(context: *Context, callback: *const OnWaiting, user: ?*anyopaque) void;

const many = 40;

/// What is said of so many that wait, where the system says how many: neither macOS nor qemu's user mode does.
fn said(waiting: c_int) c_int {
    const fd = sys.openBlockingSocket(sys.af_inet, sys.sock_stream);
    defer _ = sys.close(fd);
    return if (sys.backlogOf(fd) != null) waiting else -1;
}

/// What was reported of clients that wait.
const Reported = struct {
    times: u32 = 0,
    reason: c_int = 0,
    waiting: c_int = 0,

    fn callback(user: ?*anyopaque, reason: c_int, waiting: c_int) callconv(.c) void {
        const reported: *Reported = @ptrCast(@alignCast(user.?));
        reported.* = .{ .times = reported.times + 1, .reason = reason, .waiting = waiting };
    }
};

/// Clients that are in the backlog, or accepted by the kernel, before the loop has had a turn.
fn connectMany(port: u16, clients: *[many]c_int) !void {
    var address: sys.SockaddrStorage = .of(sys.af_inet);
    std.mem.writeInt(u16, address.data[0..2], port, .big);
    address.data[2..6].* = .{ 127, 0, 0, 1 };
    for (clients) |*fd| {
        fd.* = sys.openBlockingSocket(sys.af_inet, sys.sock_stream);
        try expectEqual(@as(c_int, 0), sys.connect(fd.*, &address, 16));
    }
}

fn lowestFree() c_int {
    const fd = sys.openBlockingSocket(sys.af_inet, sys.sock_stream);
    _ = sys.close(fd);
    return fd;
}

test "all that connected between two turns are accepted, and answer without delay" {
    const server = try Server.listening();
    defer server.deinit();
    var clients: [many]c_int = undefined;
    try connectMany(server.port, &clients);
    server.turnUntilIdle();
    try expectEqual(@as(u32, many), seen.opened);
    var on: c_int = 0;
    var length: u32 = @sizeOf(c_int);
    try expectEqual(@as(c_int, 0), sys.getsockopt(seen.last.?.poll.fd, sys.ipproto_tcp, sys.tcp_nodelay, &on, &length));
    try expectEqual(@as(c_int, 1), on);
    for (clients) |fd| _ = sys.close(fd);
    server.turnUntilIdle();
    try expectEqual(@as(u32, many), seen.closed);
}

test "who waits at a listener that closes is refused, and holds no descriptor" {
    for ([_]bool{ false, true }) |turns| {
        const before = lowestFree();
        {
            const server = try Server.init();
            defer server.deinit();
            const listener = us_socket_context_listen(0, server.context, "127.0.0.1", 0, 0, 64).?;
            var clients: [many]c_int = undefined;
            try connectMany(@intCast(us_socket_local_port(0, @ptrCast(listener))), &clients);
            us_listen_socket_close(0, listener);
            // With none, it is the end of the loop that cleans up.
            if (turns) server.turnUntilIdle();
            for (clients) |fd| {
                var byte: [1]u8 = undefined;
                if (turns) try expect(readable(fd, 1000) and sys.recv(fd, &byte, 1, 0) <= 0);
                _ = sys.close(fd);
            }
            try expectEqual(@as(u32, 0), seen.opened);
        }
        try expectEqual(before, lowestFree());
    }
}

test "who waits is accepted before a listener closes, and what they sent is known" {
    const server = try Server.init();
    defer server.deinit();
    const listener = us_socket_context_listen(0, server.context, "127.0.0.1", 0, 0, 64).?;
    server.turnUntilIdle();
    var clients: [many]c_int = undefined;
    try connectMany(@intCast(us_socket_local_port(0, @ptrCast(listener))), &clients);
    arrived.us_socket_context_accept_waiting(server.context, 0);
    us_listen_socket_close(0, listener);
    try expectEqual(@as(u32, many), seen.opened);
    try expectEqual(@as(c_int, 0), arrived.us_socket_has_input(seen.last.?));
    for (clients) |fd| try expectEqual(@as(isize, 1), sys.send(fd, "x", 1, 0));
    try expectEqual(@as(c_int, 1), arrived.us_socket_has_input(seen.last.?));
    server.turnUntilIdle();
    try expectEqual(@as(c_int, 0), arrived.us_socket_has_input(seen.last.?));
    for (clients) |fd| {
        var byte: [1]u8 = undefined;
        try expect(readable(fd, 1000) and sys.recv(fd, &byte, 1, 0) == 1);
        _ = sys.close(fd);
    }
}

test "what waits at a descriptor that others accept from too is left to them" {
    const backlog = 64;
    const given = sys.openSocket(sys.af_inet, sys.sock_stream, 0);
    defer _ = sys.close(given);
    try expectEqual(@as(c_int, 0), sys.listen(given, backlog));
    const server = try Server.init();
    defer server.deinit();
    const listener = us_socket_context_listen_fd(0, server.context, given, 1, 64).?;
    server.turnUntilIdle();
    var clients: [many]c_int = undefined;
    try connectMany(@intCast(us_socket_local_port(0, @ptrCast(listener))), &clients);
    arrived.us_socket_context_accept_waiting(server.context, 0);
    us_listen_socket_close(0, listener);
    for (clients) |fd| {
        const accepted = sys.acceptSocket(given);
        try expect(accepted >= 0);
        _ = sys.close(accepted);
        _ = sys.close(fd);
    }
}

test "a limit that is reached and left while connections arrive" {
    const server = try Server.listening();
    defer server.deinit();
    var clients: [many]c_int = undefined;
    us_socket_context_set_max_sockets(server.context, many / 2);
    try connectMany(server.port, &clients);
    server.turnUntilIdle();
    try expectEqual(@as(u32, many / 2), seen.opened);
    us_socket_context_set_max_sockets(server.context, 0);
    server.turnUntilIdle();
    try expectEqual(@as(u32, many), seen.opened);
    for (clients) |fd| _ = sys.close(fd);
    server.turnUntilIdle();
    try expectEqual(@as(u32, many), seen.closed);
}

test "who waits at a limit is reported once, and once more after a while, but nobody when nobody waits" {
    const server = try Server.listening();
    defer server.deinit();
    var reported: Reported = .{};
    us_socket_context_on_waiting(server.context, Reported.callback, &reported);
    us_socket_context_set_max_sockets(server.context, 1);
    const first = try server.connect();
    try expectEqual(@as(u32, 0), reported.times);
    const second = try server.connect();
    try expectEqual(Reported{ .times = 1, .reason = 0, .waiting = said(1) }, reported);
    const third = try server.connect();
    try expectEqual(@as(u32, 1), reported.times);
    const loop = server.loop;
    listener_module.retryAccepting(loop, loop.retry_tick - 1);
    server.turnUntilIdle();
    try expectEqual(@as(u32, 1), reported.times);
    listener_module.retryAccepting(loop, loop.retry_tick);
    server.turnUntilIdle();
    try expectEqual(Reported{ .times = 2, .reason = 0, .waiting = said(2) }, reported);
    for ([_]c_int{ first, second, third }) |fd| _ = sys.close(fd);
    server.turnUntilIdle();
    try expectEqual(@as(u32, 3), seen.closed);
    try expectEqual(Reported{ .times = 3, .reason = 0, .waiting = said(1) }, reported);
}

test "who waits at a limit while others accept from the same descriptor is reported when they did not" {
    const given = sys.openSocket(sys.af_inet, sys.sock_stream, 0);
    defer _ = sys.close(given);
    try expectEqual(@as(c_int, 0), sys.listen(given, many));
    const server = try Server.init();
    defer server.deinit();
    var reported: Reported = .{};
    us_socket_context_on_waiting(server.context, Reported.callback, &reported);
    us_socket_context_set_max_sockets(server.context, 1);
    const listener = us_socket_context_listen_fd(0, server.context, given, 1, 64).?;
    var clients: [many]c_int = undefined;
    try connectMany(@intCast(us_socket_local_port(0, @ptrCast(listener))), &clients);
    server.turnUntilIdle();
    try expectEqual(@as(u32, 1), seen.opened);
    try expectEqual(@as(u32, 0), reported.times);
    const loop = server.loop;
    listener_module.retryAccepting(loop, loop.retry_tick);
    try expectEqual(Reported{ .times = 1, .reason = 0, .waiting = said(many - 1) }, reported);
    // Somebody else takes them.
    for (1..many) |_| _ = sys.close(sys.acceptSocket(given));
    listener_module.retryAccepting(loop, loop.retry_tick);
    server.turnUntilIdle();
    try expectEqual(@as(u32, 1), reported.times);
    try expect(listener.poll.interest & Events.readable != 0);
    for (clients) |fd| _ = sys.close(fd);
    server.turnUntilIdle();
}
