//! No byte is lost, doubled or out of order, however slow a peer is and whatever happens meanwhile.
const std = @import("std");
const sys = @import("sys.zig");
const Socket = @import("socket.zig").Socket;
const Flags = @import("socket.zig").Flags;
const test_server = @import("test_server.zig");
const Server = test_server.Server;
const seen = &test_server.seen;
const readable = test_server.readable;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;

const us_loop_fd = test_server.us_loop_fd;
const us_loop_pump = test_server.us_loop_pump;
const us_socket_write = test_server.us_socket_write;
const us_socket_close = test_server.us_socket_close;
const us_socket_shutdown = test_server.us_socket_shutdown;
const us_socket_pause = test_server.us_socket_pause;
const us_socket_resume = test_server.us_socket_resume;
const us_socket_context_adopt_socket = test_server.us_socket_context_adopt_socket;
extern fn us_socket_owes(socket: *Socket) c_int;
extern fn us_socket_linger(socket: *Socket) void;
extern fn us_socket_await_writable(socket: *Socket) void;
extern fn us_listen_socket_close(ssl: c_int, listener: *@import("listener.zig").Listener) void;

const piece_bytes = 3000;

var received: usize = 0;
var mismatched: bool = false;
/// Bytes that the socket said it took.
var taken: usize = 0;

/// The byte at a position of every stream.
fn at(position: usize) u8 {
    return @truncate(position *% 31 +% position / 251);
}

fn fill(buffer: []u8, position: usize) void {
    for (buffer, position..) |*byte, index| byte.* = at(index);
}

fn begin(callback: *const fn (*Socket, [*]u8, c_int) callconv(.c) ?*Socket) !Server {
    const server: Server = try .listening();
    server.context.on_data = callback;
    received = 0;
    mismatched = false;
    taken = 0;
    return server;
}

fn check(data: []const u8) void {
    for (data, received..) |byte, index| mismatched = mismatched or byte != at(index);
    received += data.len;
}

fn onCheck(socket: *Socket, data: [*]u8, length: c_int) callconv(.c) ?*Socket {
    check(data[0..@intCast(length)]);
    // As parsers do.
    @memset((data - 32)[0..32], 0xaa);
    @memset(data[@intCast(length)..][0..32], 0xaa);
    return socket;
}

fn onCheckThenPause(socket: *Socket, data: [*]u8, length: c_int) callconv(.c) ?*Socket {
    us_socket_pause(socket);
    return onCheck(socket, data, length);
}

fn onCheckThenAdopt(socket: *Socket, data: [*]u8, length: c_int) callconv(.c) ?*Socket {
    _ = onCheck(socket, data, length);
    const moved = us_socket_context_adopt_socket(0, seen.child orelse return socket, socket, 1024).?;
    seen.child = null;
    seen.last = moved;
    return moved;
}

fn onSend(socket: *Socket, _: [*]u8, _: c_int) callconv(.c) ?*Socket {
    var piece: [piece_bytes]u8 = undefined;
    fill(&piece, taken);
    // In two writes, as a head and its body may arrive.
    for ([_][]const u8{ piece[0..100], piece[100..] }) |part| {
        const count: usize = @intCast(us_socket_write(0, socket, part.ptr, @intCast(part.len), 0));
        taken += count;
        if (count < part.len) break;
    }
    return socket;
}

/// Lets the server send to a client that does not read, until much more was sent than fits.
fn overfill(server: Server) !c_int {
    const fd = try server.connect();
    const on: c_int = 1;
    _ = sys.setsockopt(fd, sys.ipproto_tcp, sys.tcp_nodelay, &on, @sizeOf(c_int));
    const small: c_int = 8192;
    _ = sys.setsockopt(fd, sys.sol_socket, sys.so_rcvbuf, &small, @sizeOf(c_int));
    _ = sys.setsockopt(seen.last.?.poll.fd, sys.sol_socket, sys.so_sndbuf, &small, @sizeOf(c_int));
    // Nobody asks for them: what a client sent and its kernel still has meets a closed socket, which resets the connection.
    for (0..300) |_| {
        _ = onSend(seen.last.?, undefined, 0);
        _ = us_loop_pump(server.loop);
    }
    server.turnUntilIdle();
    try expect(taken < 300 * piece_bytes);
    return fd;
}

/// What the client reads, until `size` bytes or the end.
fn drain(server: Server, fd: c_int, size: usize) !void {
    var buffer: [20_000]u8 = undefined;
    while (received < size) {
        if (readable(us_loop_fd(server.loop), 1)) _ = us_loop_pump(server.loop);
        if (!readable(fd, 1)) continue;
        const count = sys.recv(fd, &buffer, buffer.len, 0);
        if (count <= 0) break;
        check(buffer[0..@intCast(count)]);
    }
    try expectEqual(size, received);
    try expect(!mismatched);
}

fn sendPattern(server: Server, fd: c_int, from: usize, size: usize) void {
    var buffer: [1 << 16]u8 = undefined;
    var sent: usize = 0;
    while (sent < size) {
        const rest = buffer[0..@min(buffer.len, size - sent)];
        fill(rest, from + sent);
        const count = sys.send(fd, rest.ptr, rest.len, sys.msg_dontwait | sys.msg_nosignal);
        if (count > 0) sent += @intCast(count);
        if (readable(us_loop_fd(server.loop), 20)) _ = us_loop_pump(server.loop);
    }
    server.turnUntilIdle();
}

test "what was taken arrives in order when the peer reads at last, and then more is taken" {
    const server = try begin(onSend);
    defer server.deinit();
    const fd = try overfill(server);
    defer _ = sys.close(fd);
    try drain(server, fd, taken);
    server.turnUntilIdle();
    try expectEqual(@as(u32, 1), seen.writable);
    try expectEqual(@as(c_int, 0), us_socket_owes(seen.last.?));
    const before = taken;
    _ = sys.send(fd, "x", 1, sys.msg_nosignal);
    server.turnUntilIdle();
    try expectEqual(before + piece_bytes, taken);
    try drain(server, fd, taken);
}

test "what was taken arrives although the socket was closed" {
    for ([_]bool{ false, true }) |shuts_down| {
        const server = try begin(onSend);
        defer server.deinit();
        const fd = try overfill(server);
        defer _ = sys.close(fd);
        if (shuts_down) us_socket_shutdown(0, seen.last.?);
        _ = us_socket_close(0, seen.last.?, 0, null);
        try drain(server, fd, taken);
        server.turnUntilIdle();
        var byte: [1]u8 = undefined;
        try expectEqual(@as(isize, 0), sys.recv(fd, &byte, 1, 0));
    }
}

test "large and small input in turns" {
    const server = try begin(onCheck);
    defer server.deinit();
    const fd = try server.connect();
    defer _ = sys.close(fd);
    for (0..2) |_| {
        sendPattern(server, fd, received, 3 << 20);
        for (0..40) |_| sendPattern(server, fd, received, 100);
    }
    try expectEqual(@as(usize, 2 * ((3 << 20) + 4000)), received);
    try expect(!mismatched);
}

test "input that arrived before a pause is delivered after it" {
    const server = try begin(onCheckThenPause);
    defer server.deinit();
    const fd = try server.connect();
    defer _ = sys.close(fd);
    var buffer: [100_000]u8 = undefined;
    fill(&buffer, 0);
    try expectEqual(@as(isize, buffer.len), sys.send(fd, &buffer, buffer.len, 0));
    while (received < buffer.len) {
        server.turnUntilIdle();
        const before = received;
        server.turnUntilIdle();
        try expectEqual(before, received);
        us_socket_resume(seen.last.?);
    }
    try expect(!mismatched);
    server.turnUntilIdle();
    try expectEqual(@as(u32, 0), seen.ended);
}

test "the end of input during a pause is reported after it" {
    const server = try begin(onCheckThenPause);
    defer server.deinit();
    const fd = try server.connect();
    var buffer: [30_000]u8 = undefined;
    fill(&buffer, 0);
    try expectEqual(@as(isize, buffer.len), sys.send(fd, &buffer, buffer.len, 0));
    _ = sys.close(fd);
    while (seen.ended == 0) {
        server.turnUntilIdle();
        if (seen.ended == 0) us_socket_resume(seen.last.?);
    }
    try expectEqual(@as(usize, buffer.len), received);
    try expect(!mismatched);
    try expectEqual(@as(u32, 1), seen.closed);
}

test "input that is kept for a socket goes with it when it lingers" {
    const server = try begin(onCheckThenPause);
    defer server.deinit();
    const fd = try server.connect();
    defer _ = sys.close(fd);
    const buffer: [100_000]u8 = @splat('x');
    try expectEqual(@as(isize, buffer.len), sys.send(fd, &buffer, buffer.len, 0));
    server.turnUntilIdle();
    us_socket_linger(seen.last.?);
    us_socket_shutdown(0, seen.last.?);
    _ = us_socket_close(0, seen.last.?, 0, null);
    server.turnUntilIdle();
    var byte: [1]u8 = undefined;
    try expectEqual(@as(isize, 0), sys.recv(fd, &byte, 1, 0));
}

fn onEndStay(socket: *Socket) callconv(.c) ?*Socket {
    seen.ended += 1;
    return socket;
}

test "who waits until all has left that a socket took is told, when its peer has ended" {
    const io_uring = 1;
    // Elsewhere nothing is taken that the kernel does not take.
    if (test_server.us_backend() != io_uring) return error.SkipZigTest;
    const server = try begin(onSend);
    defer server.deinit();
    server.context.on_end = onEndStay;
    const fd = try server.connect();
    defer _ = sys.close(fd);
    const small: c_int = 8192;
    _ = sys.setsockopt(fd, sys.sol_socket, sys.so_rcvbuf, &small, @sizeOf(c_int));
    _ = sys.setsockopt(seen.last.?.poll.fd, sys.sol_socket, sys.so_sndbuf, &small, @sizeOf(c_int));
    const socket = seen.last.?;
    for (0..300) |_| {
        if (us_socket_owes(socket) != 0) break;
        _ = sys.send(fd, "x", 1, sys.msg_nosignal);
        server.turnUntilIdle();
    }
    try expectEqual(@as(c_int, 1), us_socket_owes(socket));
    try expect(!socket.has(Flags.write_failed));
    _ = sys.shutdown(fd, sys.shut_wr);
    server.turnUntilIdle();
    try expectEqual(@as(u32, 1), seen.ended);
    try drain(server, fd, taken);
    server.turnUntilIdle();
    try expectEqual(@as(u32, 1), seen.writable);
}

/// One more piece each time, until three have left.
fn onWritableSend(socket: *Socket) callconv(.c) ?*Socket {
    seen.writable += 1;
    if (seen.writable == 3) return socket;
    _ = onSend(socket, undefined, 0);
    us_socket_await_writable(socket);
    return socket;
}

test "the writable event is called each time that it is asked for, also when the peer has ended" {
    const server = try begin(onSend);
    defer server.deinit();
    server.context.on_end = onEndStay;
    server.context.on_writable = onWritableSend;
    const fd = try server.connect();
    defer _ = sys.close(fd);
    us_socket_pause(seen.last.?);
    _ = sys.shutdown(fd, sys.shut_wr);
    server.turnUntilIdle();
    us_socket_await_writable(seen.last.?);
    server.turnUntilIdle();
    try expectEqual(@as(u32, 3), seen.writable);
    try drain(server, fd, 2 * piece_bytes);
}

test "input that is under way follows a socket to other memory" {
    const server = try begin(onCheckThenAdopt);
    defer server.deinit();
    const child = test_server.us_create_child_socket_context(0, server.context, 16).?;
    defer test_server.us_socket_context_free(0, child);
    Server.setCallbacks(child);
    child.on_data = onCheck;
    const fd = try server.connect();
    defer _ = sys.close(fd);
    seen.child = child;
    sendPattern(server, fd, 0, 50_000);
    try expectEqual(@as(usize, 50_000), received);
    try expect(!mismatched);
    try expectEqual(@as(c_uint, 1), test_server.us_socket_context_count(child));
}

test "many connections at once" {
    const server = try begin(onSend);
    defer server.deinit();
    var many: [300]c_int = undefined;
    for (&many) |*fd| fd.* = try server.connect();
    for (0..3) |_| {
        for (many) |fd| _ = sys.send(fd, "x", 1, 0);
        taken = 0;
        server.turnUntilIdle();
        try expectEqual(many.len * piece_bytes, taken);
        for (many) |fd| {
            var buffer: [piece_bytes]u8 = undefined;
            try expectEqual(@as(isize, buffer.len), sys.recv(fd, &buffer, buffer.len, 0));
        }
    }
    for (many) |fd| _ = sys.close(fd);
    server.turnUntilIdle();
    try expectEqual(@as(u32, many.len), seen.closed);
}

/// Clients of the callback, and how many of them had their reply when the next one was called.
var clients: [4]c_int = undefined;
var replied: u32 = 0;

extern "c" fn usleep(microseconds: c_uint) c_int;

fn onSlowEcho(socket: *Socket, data: [*]u8, length: c_int) callconv(.c) ?*Socket {
    if (taken > 0 and readable(clients[taken - 1], 0)) replied += 1;
    taken += 1;
    _ = us_socket_write(0, socket, data, length, 0);
    _ = usleep(20_000);
    return socket;
}

test "a reply does not wait for slow callbacks of others" {
    const server = try begin(onSlowEcho);
    defer server.deinit();
    for (&clients) |*fd| fd.* = try server.connect();
    for (0..2) |round| {
        taken = 0;
        replied = 0;
        for (clients) |fd| _ = sys.send(fd, "x", 1, 0);
        server.turnUntilIdle();
        try expectEqual(clients.len, taken);
        for (clients) |fd| {
            var byte: [1]u8 = undefined;
            try expectEqual(@as(isize, 1), sys.recv(fd, &byte, 1, 0));
        }
        // Which callbacks are slow turns out in the first round.
        if (round > 0) try expectEqual(@as(u32, clients.len - 1), replied);
    }
    for (clients) |fd| _ = sys.close(fd);
    server.turnUntilIdle();
}

test "a close is seen at once, and a listener's port is free" {
    const exclusive = 1;
    const server = try begin(onCheck);
    defer server.deinit();
    const fd = try server.connect();
    defer _ = sys.close(fd);
    _ = us_socket_close(0, seen.last.?, 0, null);
    try expect(readable(fd, 1000));
    var byte: [1]u8 = undefined;
    try expectEqual(@as(isize, 0), sys.recv(fd, &byte, 1, 0));
    for (0..3) |_| {
        const listener = test_server.us_socket_context_listen(0, server.context, "127.0.0.1", 0, exclusive, 64).?;
        const port = test_server.us_socket_local_port(0, @ptrCast(listener));
        us_listen_socket_close(0, listener);
        const second = test_server.us_socket_context_listen(0, server.context, "127.0.0.1", port, exclusive, 64).?;
        us_listen_socket_close(0, second);
    }
}

/// Closes while there is more to read, and looks at what it was given.
fn onLookAfterClose(socket: *Socket, data: [*]u8, length: c_int) callconv(.c) ?*Socket {
    received += @intCast(length);
    us_socket_shutdown(0, socket);
    const result = us_socket_close(0, socket, 0, null);
    for (data[0..@intCast(length)]) |byte| mismatched = mismatched or byte != 'a';
    return result;
}

test "what was received stays as it is while what follows it is discarded" {
    const server = try begin(onLookAfterClose);
    defer server.deinit();
    const fd = try server.connect();
    defer _ = sys.close(fd);
    us_socket_pause(seen.last.?);
    const first: [1000]u8 = @splat('a');
    const rest: [1000]u8 = @splat('b');
    _ = sys.send(fd, &first, first.len, sys.msg_nosignal);
    server.turnUntilIdle();
    const socket = seen.last.?;
    var memory: [first.len]u8 = undefined;
    try expectEqual(@as(isize, first.len), sys.recv(socket.poll.fd, &memory, memory.len, 0));
    const buffer = server.loop.receiveBuffer();
    @memcpy(buffer[0..memory.len], &memory);
    _ = sys.send(fd, &rest, rest.len, sys.msg_nosignal);
    try expect(readable(socket.poll.fd, 1000));
    _ = onLookAfterClose(socket, buffer, memory.len);
    try expect(!mismatched);
    server.turnUntilIdle();
    try expect(!mismatched);
}

test "macOS is given what one call takes, and there is something in it" {
    const fitting = @import("sys_darwin.zig").fitting;
    const most = std.math.maxInt(c_int);
    var room: [1]sys.Iovec = undefined;
    const byte: [1]u8 = .{0};
    const pieces = [_]sys.Iovec{ .{ .base = &byte, .len = 0 }, .{ .base = &byte, .len = most } };
    try expectEqual(@as(usize, 2), fitting(&pieces, &room).len);
    const larger = [_]sys.Iovec{ .{ .base = &byte, .len = 0 }, .{ .base = &byte, .len = most + 1 } };
    const fits = fitting(&larger, &room);
    try expectEqual(@as(usize, 1), fits.len);
    try expectEqual(@as(usize, most), fits[0].len);
    const two = [_]sys.Iovec{ .{ .base = &byte, .len = 7 }, .{ .base = &byte, .len = most } };
    try expectEqual(@as(usize, 7), fitting(&two, &room)[0].len);
}
