//! The C API over real sockets. A server context echoes; clients are plain blocking descriptors.
const std = @import("std");
const sys = @import("sys.zig");
const Loop = @import("loop.zig").Loop;
const Context = @import("context.zig").Context;
const Socket = @import("socket.zig").Socket;
const Listener = @import("listener.zig").Listener;
const timeout = @import("timeout.zig");
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const expectEqualStrings = std.testing.expectEqualStrings;

const Options = extern struct { files: [6]?*anyopaque = @splat(null), low_memory: c_int = 0 };
const LoopCallback = *const fn (*Loop) callconv(.c) void;

extern fn us_create_loop(hint: ?*anyopaque, wakeup: LoopCallback, pre: LoopCallback, post: LoopCallback, ext: c_uint) ?*Loop;
extern fn us_loop_free(loop: *Loop) void;
extern fn us_loop_pump(loop: *Loop) c_int;
extern fn us_loop_fd(loop: *Loop) c_int;
extern fn us_wakeup_loop(loop: *Loop) void;
extern fn us_create_socket_context(ssl: c_int, loop: *Loop, ext: c_int, options: Options) ?*Context;
extern fn us_create_child_socket_context(ssl: c_int, parent: *Context, ext: c_int) ?*Context;
extern fn us_socket_context_free(ssl: c_int, context: *Context) void;
extern fn us_socket_context_listen(ssl: c_int, context: *Context, host: ?[*:0]const u8, port: c_int, options: c_int, ext: c_int) ?*Listener;
extern fn us_socket_context_listen_unix(ssl: c_int, context: *Context, path: [*:0]const u8, options: c_int, ext: c_int) ?*Listener;
extern fn us_socket_context_listen_error(context: *Context) c_int;
extern fn us_socket_context_set_max_sockets(context: *Context, max: c_uint) void;
extern fn us_socket_context_count(context: *Context) c_uint;
extern fn us_socket_context_adopt_socket(ssl: c_int, context: *Context, socket: *Socket, ext: c_int) ?*Socket;
extern fn us_socket_local_port(ssl: c_int, socket: *Socket) c_int;
extern fn us_socket_remote_port(socket: *Socket) c_int;
extern fn us_socket_remote_address(ssl: c_int, socket: *Socket, out: [*]u8, length: *c_int) void;
extern fn us_socket_write(ssl: c_int, socket: *Socket, data: [*]const u8, length: c_int, more: c_int) c_int;
extern fn us_socket_write2(ssl: c_int, socket: *Socket, a: [*]const u8, a_length: c_int, b: [*]const u8, b_length: c_int) c_int;
extern fn us_socket_timeout(ssl: c_int, socket: *Socket, seconds: c_uint) void;
extern fn us_socket_long_timeout(ssl: c_int, socket: *Socket, minutes: c_uint) void;
extern fn us_socket_is_shut_down(ssl: c_int, socket: *Socket) c_int;
extern fn us_socket_close(ssl: c_int, socket: *Socket, code: c_int, reason: ?*anyopaque) *Socket;
extern fn us_socket_shutdown(ssl: c_int, socket: *Socket) void;
extern fn us_socket_pause(socket: *Socket) void;
extern fn us_socket_resume(socket: *Socket) void;
extern fn us_socket_tag(socket: *Socket) c_uint;
extern fn us_socket_set_tag(socket: *Socket, tag: c_uint) void;
extern fn us_socket_schedule_data(socket: *Socket) void;

/// What the callbacks saw; tests run one after the other.
const Seen = struct {
    opened: u32 = 0,
    closed: u32 = 0,
    ended: u32 = 0,
    timeouts: u32 = 0,
    long_timeouts: u32 = 0,
    writable: u32 = 0,
    wakeups: u32 = 0,
    empty: u32 = 0,
    last: ?*Socket = null,
    mode: enum { echo, echo_twice, keep, adopt, reply_and_close } = .echo,
    child: ?*Context = null,
};
var seen: Seen = .{};

fn nothing(_: *Loop) callconv(.c) void {}

fn onWakeup(_: *Loop) callconv(.c) void {
    seen.wakeups += 1;
}

fn onOpen(socket: *Socket, _: c_int, _: ?[*]u8, _: c_int) callconv(.c) ?*Socket {
    seen.opened += 1;
    seen.last = socket;
    return socket;
}

fn onClose(socket: *Socket, _: c_int, _: ?*anyopaque) callconv(.c) ?*Socket {
    seen.closed += 1;
    return socket;
}

fn onData(socket: *Socket, data: [*]u8, length: c_int) callconv(.c) ?*Socket {
    if (length == 0) seen.empty += 1;
    switch (seen.mode) {
        .echo => _ = us_socket_write(0, socket, data, length, 0),
        .echo_twice => _ = us_socket_write2(0, socket, data, length, data, length),
        .keep => {},
        .adopt => {
            us_socket_set_tag(socket, 7);
            seen.mode = .echo;
            const moved = us_socket_context_adopt_socket(0, seen.child.?, socket, 4096).?;
            seen.last = moved;
            _ = us_socket_write(0, moved, data, length, 0);
            return moved;
        },
        .reply_and_close => {
            _ = us_socket_write(0, socket, "bye", 3, 0);
            us_socket_shutdown(0, socket);
            return us_socket_close(0, socket, 0, null);
        },
    }
    return socket;
}

fn onWritable(socket: *Socket) callconv(.c) ?*Socket {
    seen.writable += 1;
    return socket;
}

fn onEnd(socket: *Socket) callconv(.c) ?*Socket {
    seen.ended += 1;
    return us_socket_close(0, socket, 0, null);
}

fn onLongTimeout(socket: *Socket) callconv(.c) ?*Socket {
    seen.long_timeouts += 1;
    return socket;
}

fn onTimeout(socket: *Socket) callconv(.c) ?*Socket {
    seen.timeouts += 1;
    return us_socket_close(0, socket, 0, null);
}

const Server = struct {
    loop: *Loop,
    context: *Context,
    port: u16 = 0,

    fn init() Server {
        seen = .{};
        const loop = us_create_loop(null, onWakeup, nothing, nothing, 64).?;
        const context = us_create_socket_context(0, loop, 16, .{}).?;
        setCallbacks(context);
        return .{ .loop = loop, .context = context };
    }

    fn listening() Server {
        var server = init();
        const listener = us_socket_context_listen(0, server.context, "127.0.0.1", 0, 0, 64).?;
        server.port = @intCast(us_socket_local_port(0, @ptrCast(listener)));
        return server;
    }

    fn setCallbacks(context: *Context) void {
        context.on_open = onOpen;
        context.on_close = onClose;
        context.on_data = onData;
        context.on_writable = onWritable;
        context.on_end = onEnd;
        context.on_timeout = onTimeout;
        context.on_long_timeout = onLongTimeout;
    }

    fn deinit(server: Server) void {
        us_socket_context_free(0, server.context);
        _ = us_loop_pump(server.loop);
        us_loop_free(server.loop);
    }

    /// Turns of the loop until nothing more is ready.
    fn settle(server: Server) void {
        for (0..50) |_| {
            _ = us_loop_pump(server.loop);
            if (!readable(us_loop_fd(server.loop), 20)) return;
        }
    }

    fn connect(server: Server) !c_int {
        const fd = sys.socket(sys.af_inet, sys.sock_stream | sys.cloexec, 0);
        var address: sys.SockaddrStorage = .{ .family = @intCast(sys.af_inet) };
        std.mem.writeInt(u16, address.data[0..2], server.port, .big);
        address.data[2..6].* = .{ 127, 0, 0, 1 };
        try expectEqual(@as(c_int, 0), sys.connect(fd, &address, 16));
        server.settle();
        return fd;
    }
};

const Pollfd = extern struct { fd: c_int, events: c_short, revents: c_short = 0 };
extern "c" fn poll(fds: [*]Pollfd, count: c_ulong, timeout_ms: c_int) c_int;

fn readable(fd: c_int, timeout_ms: c_int) bool {
    var fds = [_]Pollfd{.{ .fd = fd, .events = 1 }};
    return poll(&fds, 1, timeout_ms) == 1;
}

fn exchange(server: Server, fd: c_int, text: []const u8, buffer: []u8) []u8 {
    _ = sys.send(fd, text.ptr, text.len, sys.msg_nosignal);
    server.settle();
    if (!readable(fd, 1000)) return buffer[0..0];
    const count = sys.recv(fd, buffer.ptr, buffer.len, 0);
    return buffer[0..@intCast(@max(count, 0))];
}

test "accepts in batches, echoes, sees ends, and frees everything" {
    const server = Server.listening();
    defer server.deinit();
    var clients: [20]c_int = undefined;
    var buffer: [64]u8 = undefined;
    for (&clients) |*fd| fd.* = try server.connect();
    try expectEqual(@as(u32, 20), seen.opened);
    for (clients) |fd| try expectEqualStrings("ping", exchange(server, fd, "ping", &buffer));
    for (clients) |fd| _ = sys.close(fd);
    server.settle();
    try expectEqual(@as(u32, 20), seen.ended);
    try expectEqual(@as(u32, 20), seen.closed);
    try expectEqual(@as(c_uint, 0), us_socket_context_count(server.context));
}

test "an idle loop's descriptor is not readable" {
    const server = Server.listening();
    defer server.deinit();
    const fd = try server.connect();
    defer _ = sys.close(fd);
    server.settle();
    try expect(!readable(us_loop_fd(server.loop), 100));
}

test "write2 sends both parts" {
    const server = Server.listening();
    defer server.deinit();
    const fd = try server.connect();
    defer _ = sys.close(fd);
    seen.mode = .echo_twice;
    var buffer: [64]u8 = undefined;
    try expectEqualStrings("abab", exchange(server, fd, "ab", &buffer));
}

test "the writable event comes only while a write waits" {
    const server = Server.listening();
    defer server.deinit();
    const fd = try server.connect();
    defer _ = sys.close(fd);
    const big: [1 << 20]u8 = @splat('x');
    var sent: usize = 0;
    while (true) {
        const count: usize = @intCast(us_socket_write(0, seen.last.?, &big, big.len, 0));
        sent += count;
        if (count < big.len) break;
    }
    server.settle();
    try expectEqual(@as(u32, 0), seen.writable);
    var received: usize = 0;
    var buffer: [1 << 16]u8 = undefined;
    while (received < sent) received += @intCast(sys.recv(fd, &buffer, buffer.len, 0));
    server.settle();
    try expectEqual(@as(u32, 1), seen.writable);
    try expect(!readable(us_loop_fd(server.loop), 50));
}

test "adoption moves the connection to more memory and keeps its tag" {
    const server = Server.listening();
    defer server.deinit();
    const child = us_create_child_socket_context(0, server.context, 16).?;
    defer us_socket_context_free(0, child);
    Server.setCallbacks(child);
    const fd = try server.connect();
    defer _ = sys.close(fd);
    seen.mode = .adopt;
    seen.child = child;
    var buffer: [64]u8 = undefined;
    try expectEqualStrings("one", exchange(server, fd, "one", &buffer));
    try expectEqual(@as(c_uint, 1), us_socket_context_count(child));
    try expectEqual(@as(c_uint, 7), us_socket_tag(seen.last.?));
    try expectEqualStrings("two", exchange(server, fd, "two", &buffer));
}

test "time-outs fire, not early and not much too late" {
    const server = Server.listening();
    defer server.deinit();
    const fd = try server.connect();
    defer _ = sys.close(fd);
    us_socket_timeout(0, seen.last.?, 1);
    const begin = sys.monotonicMs();
    while (seen.timeouts == 0 and sys.monotonicMs() - begin < 4000) {
        _ = readable(us_loop_fd(server.loop), 100);
        _ = us_loop_pump(server.loop);
    }
    const passed = sys.monotonicMs() - begin;
    try expectEqual(@as(u32, 1), seen.timeouts);
    try expect(passed >= 990 and passed < 2500);
}

test "another thread wakes the loop once for many calls" {
    const server = Server.init();
    defer server.deinit();
    const Waker = struct {
        fn run(loop: *Loop) void {
            for (0..100) |_| us_wakeup_loop(loop);
        }
    };
    const thread = try std.Thread.spawn(.{}, Waker.run, .{server.loop});
    thread.join();
    try expect(readable(us_loop_fd(server.loop), 1000));
    server.settle();
    try expectEqual(@as(u32, 1), seen.wakeups);
}

test "addresses and ports" {
    const server = Server.listening();
    defer server.deinit();
    const fd = try server.connect();
    defer _ = sys.close(fd);
    var address: [16]u8 = undefined;
    var length: c_int = address.len;
    us_socket_remote_address(0, seen.last.?, &address, &length);
    try expectEqualStrings(&.{ 127, 0, 0, 1 }, address[0..@intCast(length)]);
    try expect(us_socket_remote_port(seen.last.?) > 0);
    try expectEqual(@as(c_int, server.port), us_socket_local_port(0, seen.last.?));
}

test "pause withholds input until resume" {
    const server = Server.listening();
    defer server.deinit();
    const fd = try server.connect();
    defer _ = sys.close(fd);
    us_socket_pause(seen.last.?);
    _ = sys.send(fd, "held", 4, 0);
    server.settle();
    try expect(!readable(fd, 50));
    us_socket_resume(seen.last.?);
    server.settle();
    var buffer: [8]u8 = undefined;
    try expectEqual(@as(isize, 4), sys.recv(fd, &buffer, buffer.len, 0));
}

test "scheduled data comes once, and never for a closed socket" {
    const server = Server.listening();
    defer server.deinit();
    const fd = try server.connect();
    defer _ = sys.close(fd);
    seen.mode = .keep;
    us_socket_schedule_data(seen.last.?);
    us_socket_schedule_data(seen.last.?);
    server.settle();
    try expectEqual(@as(u32, 1), seen.empty);
    us_socket_schedule_data(seen.last.?);
    _ = us_socket_close(0, seen.last.?, 0, null);
    server.settle();
    try expectEqual(@as(u32, 1), seen.empty);
}

test "the last reply survives input that nobody read" {
    const server = Server.listening();
    defer server.deinit();
    const fd = try server.connect();
    defer _ = sys.close(fd);
    seen.mode = .reply_and_close;
    const big: [1 << 20]u8 = @splat('x');
    _ = sys.send(fd, &big, big.len, sys.msg_dontwait | sys.msg_nosignal);
    server.settle();
    _ = sys.send(fd, &big, big.len, sys.msg_dontwait | sys.msg_nosignal);
    server.settle();
    var buffer: [8]u8 = undefined;
    try expectEqual(@as(isize, 3), sys.recv(fd, &buffer, buffer.len, 0));
    try expectEqual(@as(u32, 1), seen.closed);
}

test "at the limit accepting pauses, and goes on when one closes" {
    const server = Server.listening();
    defer server.deinit();
    us_socket_context_set_max_sockets(server.context, 1);
    const first = try server.connect();
    const second = try server.connect();
    defer _ = sys.close(second);
    try expectEqual(@as(u32, 1), seen.opened);
    try expect(!readable(us_loop_fd(server.loop), 50));
    _ = sys.close(first);
    server.settle();
    try expectEqual(@as(u32, 2), seen.opened);
}

test "an exclusive port that is taken says so" {
    const server = Server.listening();
    defer server.deinit();
    const exclusive = 1;
    try expectEqual(@as(?*Listener, null), us_socket_context_listen(0, server.context, "127.0.0.1", server.port, exclusive, 64));
    try expectEqual(@as(c_int, @backingInt(sys.Errno.ADDRINUSE)), us_socket_context_listen_error(server.context));
    try expectEqual(@as(?*Listener, null), us_socket_context_listen(0, server.context, "no-such-host.invalid", 0, 0, 64));
    try expect(us_socket_context_listen_error(server.context) < 0);
}

test "a live Unix socket is not taken over, a stale one is" {
    const path = "usockets-test.sock";
    _ = sys.unlink(path);
    const server = Server.init();
    defer server.deinit();
    const listener = us_socket_context_listen_unix(0, server.context, path, 0, 64).?;
    try expectEqual(@as(?*Listener, null), us_socket_context_listen_unix(0, server.context, path, 0, 64));
    try expectEqual(@as(c_int, @backingInt(sys.Errno.ADDRINUSE)), us_socket_context_listen_error(server.context));
    // As if the process had died: the descriptor goes, the file stays.
    listener.path[0] = 0;
    listener.close();
    try expect(us_socket_context_listen_unix(0, server.context, path, 0, 64) != null);
}

test "long time-outs count minutes, and fire beside the short ones" {
    const server = Server.listening();
    defer server.deinit();
    const fd = try server.connect();
    defer _ = sys.close(fd);
    const socket = seen.last.?;
    us_socket_long_timeout(0, socket, 2);
    try expect(socket.long_deadline >= sys.monotonicTick() + 120);
    // As if two minutes had passed.
    socket.long_deadline = sys.monotonicTick() + 1;
    timeout.watch(socket);
    us_socket_timeout(0, socket, 1);
    const begin = sys.monotonicMs();
    while (seen.timeouts == 0 and sys.monotonicMs() - begin < 4000) {
        _ = readable(us_loop_fd(server.loop), 100);
        _ = us_loop_pump(server.loop);
    }
    try expectEqual(@as(u32, 1), seen.long_timeouts);
}

test "our half can be closed while the peer still sends, and the peer's end closes" {
    const server = Server.listening();
    defer server.deinit();
    const fd = try server.connect();
    us_socket_shutdown(0, seen.last.?);
    try expectEqual(@as(c_int, 1), us_socket_is_shut_down(0, seen.last.?));
    var buffer: [8]u8 = undefined;
    try expectEqual(@as(isize, 0), sys.recv(fd, &buffer, buffer.len, 0));
    try expectEqual(@as(u32, 0), seen.closed);
    _ = sys.close(fd);
    server.settle();
    try expectEqual(@as(u32, 1), seen.closed);
}

test "without a host both families are served, and the port can be shared" {
    const server = Server.init();
    defer server.deinit();
    const listener = us_socket_context_listen(0, server.context, null, 0, 0, 64).?;
    const port = us_socket_local_port(0, @ptrCast(listener));
    try expect(us_socket_context_listen(0, server.context, null, port, 0, 64) != null);
    const ipv4: Server = .{ .loop = server.loop, .context = server.context, .port = @intCast(port) };
    const fd = try ipv4.connect();
    defer _ = sys.close(fd);
    var address: [16]u8 = undefined;
    var length: c_int = address.len;
    us_socket_remote_address(0, seen.last.?, &address, &length);
    // An IPv4 client of a socket for both families has its own address.
    try expectEqual(@as(c_int, 4), length);
}

test "no descriptor is left when everything is freed" {
    const before = sys.socket(sys.af_inet, sys.sock_stream | sys.cloexec, 0);
    _ = sys.close(before);
    {
        const server = Server.listening();
        defer server.deinit();
        _ = sys.close(try server.connect());
        server.settle();
    }
    const after = sys.socket(sys.af_inet, sys.sock_stream | sys.cloexec, 0);
    _ = sys.close(after);
    // The kernel gives the lowest free number.
    try expectEqual(before, after);
}

const Rlimit = extern struct { current: usize, max: usize };
extern "c" fn getrlimit(resource: c_int, limit: *Rlimit) c_int;
extern "c" fn setrlimit(resource: c_int, limit: *const Rlimit) c_int;

test "without descriptors the listener waits instead of spinning" {
    const rlimit_nofile = 7;
    const server = Server.listening();
    defer server.deinit();
    const spare = try server.connect();
    var before: Rlimit = undefined;
    try expectEqual(@as(c_int, 0), getrlimit(rlimit_nofile, &before));
    const client = sys.socket(sys.af_inet, sys.sock_stream | sys.cloexec, 0);
    defer _ = sys.close(client);
    const full: Rlimit = .{ .current = @intCast(client + 1), .max = before.max };
    try expectEqual(@as(c_int, 0), setrlimit(rlimit_nofile, &full));
    var address: sys.SockaddrStorage = .{ .family = @intCast(sys.af_inet) };
    std.mem.writeInt(u16, address.data[0..2], server.port, .big);
    address.data[2..6].* = .{ 127, 0, 0, 1 };
    try expectEqual(@as(c_int, 0), sys.connect(client, &address, 16));
    _ = us_loop_pump(server.loop);
    try expect(!readable(us_loop_fd(server.loop), 50));
    try expectEqual(@as(u32, 1), seen.opened);
    try expectEqual(@as(c_int, 0), setrlimit(rlimit_nofile, &before));
    _ = sys.close(spare);
    server.settle();
    try expectEqual(@as(u32, 2), seen.opened);
}
