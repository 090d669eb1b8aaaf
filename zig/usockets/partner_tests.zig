//! Waiting for another loop's descriptor as well.
const std = @import("std");
const sys = @import("sys.zig");
const Loop = @import("loop.zig").Loop;
const test_server = @import("test_server.zig");
const Server = test_server.Server;
const readable = test_server.readable;
const us_loop_fd = test_server.us_loop_fd;
const us_loop_pump = test_server.us_loop_pump;
const us_wakeup_loop = test_server.us_wakeup_loop;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;

extern fn us_loop_lead(loop: *Loop, fd: c_int) c_int;
extern fn us_loop_follow(loop: *Loop) void;
extern fn us_loop_wait(loop: *Loop, timeout_ms: c_int) c_int;

const own = 1;
const partners = 2;

extern "c" fn pipe(fds: *[2]c_int) c_int;

/// What another loop would be waited for by: a pipe.
const Other = struct {
    output: c_int,
    input: c_int,

    fn open() !Other {
        var fds: [2]c_int = undefined;
        try expectEqual(@as(c_int, 0), pipe(&fds));
        return .{ .output = fds[0], .input = fds[1] };
    }

    fn close(other: Other) void {
        _ = sys.close(other.output);
        _ = sys.close(other.input);
    }

    fn write(other: Other) void {
        _ = sys.write(other.input, "x", 1);
    }

    fn read(other: Other) void {
        var byte: [1]u8 = undefined;
        _ = sys.read(other.output, &byte, 1);
    }
};

/// Waits and turns until what is awaited is found; anything else may come before.
fn waitUntil(server: Server, wanted: c_int) !void {
    for (0..10) |_| {
        const found = us_loop_wait(server.loop, 1000);
        if (found & own != 0) _ = us_loop_pump(server.loop);
        if (found & wanted != 0) return;
    }
    return error.NothingFound;
}

fn idle(server: Server) !void {
    while (us_loop_wait(server.loop, 20) & own != 0) _ = us_loop_pump(server.loop);
    try expectEqual(@as(c_int, 0), us_loop_wait(server.loop, 0));
}

test "one wait finds the events of both loops, and the descriptor tells again afterwards" {
    const server = try Server.listening();
    defer server.deinit();
    const fd = try server.connect();
    defer _ = sys.close(fd);
    const partner: Other = try .open();
    defer partner.close();

    for (0..3) |_| {
        try expectEqual(@as(c_int, 0), us_loop_lead(server.loop, partner.output));
        try idle(server);
        partner.write();
        try waitUntil(server, partners);
        // As long as nobody reads it.
        try waitUntil(server, partners);
        partner.read();
        try idle(server);
        _ = sys.send(fd, "echo", 4, sys.msg_nosignal);
        try waitUntil(server, own);
        try idle(server);
        var buffer: [8]u8 = undefined;
        try expectEqual(@as(isize, 4), sys.recv(fd, &buffer, buffer.len, 0));
        us_wakeup_loop(server.loop);
        try waitUntil(server, own);
        us_loop_follow(server.loop);
        var answer: [8]u8 = undefined;
        try std.testing.expectEqualStrings("again", test_server.exchange(server, fd, "again", &answer));
    }
    try expect(test_server.seen.wakeups >= 3);
}

test "what was collected is not lost when another loop waits" {
    const server = try Server.listening();
    defer server.deinit();
    const fd = try server.connect();
    defer _ = sys.close(fd);
    const partner: Other = try .open();
    defer partner.close();
    try expectEqual(@as(c_int, 0), us_loop_lead(server.loop, partner.output));
    try idle(server);
    _ = sys.send(fd, "echo", 4, sys.msg_nosignal);
    while (us_loop_wait(server.loop, 1000) & own == 0) {}
    us_loop_follow(server.loop);
    try expect(readable(us_loop_fd(server.loop), 1000));
    server.turnUntilIdle();
    var buffer: [8]u8 = undefined;
    try expectEqual(@as(isize, 4), sys.recv(fd, &buffer, buffer.len, 0));
}

test "a descriptor that cannot be watched is refused" {
    const server = try Server.listening();
    defer server.deinit();
    if (server.loop.uring() != null) return error.SkipZigTest;
    try expectEqual(@as(c_int, -1), us_loop_lead(server.loop, 9999));
    us_loop_follow(server.loop);
    const fd = try server.connect();
    defer _ = sys.close(fd);
    var answer: [8]u8 = undefined;
    try std.testing.expectEqualStrings("again", test_server.exchange(server, fd, "again", &answer));
}
