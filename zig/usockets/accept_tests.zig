//! Accepting: what is taken ahead of the loop, what stays in the backlog, and what becomes of both when a listener closes.
const std = @import("std");
const sys = @import("sys.zig");
const test_server = @import("test_server.zig");
const Listener = @import("listener.zig").Listener;
const Server = test_server.Server;
const readable = test_server.readable;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;

extern fn us_listen_socket_close(ssl: c_int, listener: *Listener) void;
extern fn us_socket_context_listen_fd(ssl: c_int, context: *@import("context.zig").Context, fd: c_int, shared: c_int, ext_size: c_int) ?*Listener;
const us_socket_context_listen = test_server.us_socket_context_listen;
const us_socket_context_set_max_sockets = test_server.us_socket_context_set_max_sockets;
const us_socket_local_port = test_server.us_socket_local_port;
const seen = &test_server.seen;

const many = 40;

/// Clients that are in the backlog, or accepted by the kernel, before the loop has had a turn.
fn connectMany(port: u16, clients: *[many]c_int) !void {
    var address: sys.SockaddrStorage = .{ .family = @intCast(sys.af_inet) };
    std.mem.writeInt(u16, address.data[0..2], port, .big);
    address.data[2..6].* = .{ 127, 0, 0, 1 };
    for (clients) |*fd| {
        fd.* = sys.socket(sys.af_inet, sys.sock_stream | sys.cloexec, 0);
        try expectEqual(@as(c_int, 0), sys.connect(fd.*, &address, 16));
    }
}

fn lowestFree() c_int {
    const fd = sys.socket(sys.af_inet, sys.sock_stream | sys.cloexec, 0);
    _ = sys.close(fd);
    return fd;
}

test "all that came between two turns are accepted, and answer without delay" {
    const server = try Server.listening();
    defer server.deinit();
    var clients: [many]c_int = undefined;
    try connectMany(server.port, &clients);
    server.settle();
    try expectEqual(@as(u32, many), seen.opened);
    var on: c_int = 0;
    var length: u32 = @sizeOf(c_int);
    try expectEqual(@as(c_int, 0), sys.getsockopt(seen.last.?.poll.fd, sys.ipproto_tcp, sys.tcp_nodelay, &on, &length));
    try expectEqual(@as(c_int, 1), on);
    for (clients) |fd| _ = sys.close(fd);
    server.settle();
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
            if (turns) server.settle();
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

test "what waits at a descriptor that others accept from too is left to them" {
    const backlog = 64;
    const given = sys.socket(sys.af_inet, sys.sock_stream | sys.cloexec | sys.nonblock, 0);
    defer _ = sys.close(given);
    try expectEqual(@as(c_int, 0), sys.listen(given, backlog));
    const server = try Server.init();
    defer server.deinit();
    const listener = us_socket_context_listen_fd(0, server.context, given, 1, 64).?;
    server.settle();
    var clients: [many]c_int = undefined;
    try connectMany(@intCast(us_socket_local_port(0, @ptrCast(listener))), &clients);
    us_listen_socket_close(0, listener);
    for (clients) |fd| {
        const accepted = sys.accept4(given, null, null, sys.cloexec);
        try expect(accepted >= 0);
        _ = sys.close(accepted);
        _ = sys.close(fd);
    }
}

test "a limit that comes and goes while connections arrive" {
    const server = try Server.listening();
    defer server.deinit();
    var clients: [many]c_int = undefined;
    us_socket_context_set_max_sockets(server.context, many / 2);
    try connectMany(server.port, &clients);
    server.settle();
    try expectEqual(@as(u32, many / 2), seen.opened);
    us_socket_context_set_max_sockets(server.context, 0);
    server.settle();
    try expectEqual(@as(u32, many), seen.opened);
    for (clients) |fd| _ = sys.close(fd);
    server.settle();
    try expectEqual(@as(u32, many), seen.closed);
}
