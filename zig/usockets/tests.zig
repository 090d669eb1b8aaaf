//! The C API over real sockets, on the backend that SOCKETIFY_BACKEND names.
const std = @import("std");
const sys = @import("sys.zig");
const Loop = @import("loop.zig").Loop;
const Listener = @import("listener.zig").Listener;
const timeout = @import("timeout.zig");
const test_server = @import("test_server.zig");
const Server = test_server.Server;
const seen = &test_server.seen;
const readable = test_server.readable;
const exchange = test_server.exchange;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const expectEqualStrings = std.testing.expectEqualStrings;

const us_create_child_socket_context = test_server.us_create_child_socket_context;
const us_loop_free = test_server.us_loop_free;
const us_loop_fd = test_server.us_loop_fd;
const us_loop_pump = test_server.us_loop_pump;
const us_socket_close = test_server.us_socket_close;
const us_socket_context_count = test_server.us_socket_context_count;
const us_socket_context_free = test_server.us_socket_context_free;
const us_socket_context_listen = test_server.us_socket_context_listen;
const us_socket_context_listen_error = test_server.us_socket_context_listen_error;
const us_socket_context_listen_unix = test_server.us_socket_context_listen_unix;
const us_socket_context_set_max_sockets = test_server.us_socket_context_set_max_sockets;
const us_socket_is_shut_down = test_server.us_socket_is_shut_down;
const us_socket_local_port = test_server.us_socket_local_port;
const us_socket_long_timeout = test_server.us_socket_long_timeout;
const us_socket_pause = test_server.us_socket_pause;
const us_socket_remote_address = test_server.us_socket_remote_address;
const us_socket_remote_port = test_server.us_socket_remote_port;
const us_socket_resume = test_server.us_socket_resume;
const us_socket_schedule_data = test_server.us_socket_schedule_data;
const us_socket_shutdown = test_server.us_socket_shutdown;
const us_socket_tag = test_server.us_socket_tag;
const us_socket_timeout = test_server.us_socket_timeout;
const us_socket_write = test_server.us_socket_write;
const us_wakeup_loop = test_server.us_wakeup_loop;

test "accepts in batches, echoes, sees ends, and frees everything" {
    const server = try Server.listening();
    defer server.deinit();
    var clients: [20]c_int = undefined;
    var buffer: [64]u8 = undefined;
    for (&clients) |*fd| fd.* = try server.connect();
    try expectEqual(@as(u32, 20), seen.opened);
    for (clients) |fd| try expectEqualStrings("ping", exchange(server, fd, "ping", &buffer));
    for (clients) |fd| _ = sys.close(fd);
    server.turnUntilIdle();
    try expectEqual(@as(u32, 20), seen.ended);
    try expectEqual(@as(u32, 20), seen.closed);
    try expectEqual(@as(c_uint, 0), us_socket_context_count(server.context));
}

test "an idle loop's descriptor is not readable" {
    const server = try Server.listening();
    defer server.deinit();
    const fd = try server.connect();
    defer _ = sys.close(fd);
    server.turnUntilIdle();
    try expect(!readable(us_loop_fd(server.loop), 100));
}

test "write2 sends both parts" {
    const server = try Server.listening();
    defer server.deinit();
    const fd = try server.connect();
    defer _ = sys.close(fd);
    seen.mode = .echo_twice;
    var buffer: [64]u8 = undefined;
    try expectEqualStrings("abab", exchange(server, fd, "ab", &buffer));
}

test "the writable event follows only while a write waits" {
    const server = try Server.listening();
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
    server.turnUntilIdle();
    try expectEqual(@as(u32, 0), seen.writable);
    var received: usize = 0;
    var buffer: [1 << 16]u8 = undefined;
    while (received < sent) received += @intCast(sys.recv(fd, &buffer, buffer.len, 0));
    server.turnUntilIdle();
    try expectEqual(@as(u32, 1), seen.writable);
    try expect(!readable(us_loop_fd(server.loop), 50));
}

test "adoption moves the connection to more memory and keeps its tag" {
    const server = try Server.listening();
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
    const server = try Server.listening();
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
    const server = try Server.init();
    defer server.deinit();
    const Waker = struct {
        fn run(loop: *Loop) void {
            for (0..100) |_| us_wakeup_loop(loop);
        }
    };
    const thread = try std.Thread.spawn(.{}, Waker.run, .{server.loop});
    thread.join();
    try expect(readable(us_loop_fd(server.loop), 1000));
    server.turnUntilIdle();
    try expectEqual(@as(u32, 1), seen.wakeups);
}

test "addresses and ports" {
    const server = try Server.listening();
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
    const server = try Server.listening();
    defer server.deinit();
    const fd = try server.connect();
    defer _ = sys.close(fd);
    us_socket_pause(seen.last.?);
    _ = sys.send(fd, "held", 4, 0);
    server.turnUntilIdle();
    try expect(!readable(fd, 50));
    us_socket_resume(seen.last.?);
    server.turnUntilIdle();
    var buffer: [8]u8 = undefined;
    try expectEqual(@as(isize, 4), sys.recv(fd, &buffer, buffer.len, 0));
}

test "scheduled data is delivered once, and never for a closed socket" {
    const server = try Server.listening();
    defer server.deinit();
    const fd = try server.connect();
    defer _ = sys.close(fd);
    seen.mode = .keep;
    us_socket_schedule_data(seen.last.?);
    us_socket_schedule_data(seen.last.?);
    server.turnUntilIdle();
    try expectEqual(@as(u32, 1), seen.empty);
    us_socket_schedule_data(seen.last.?);
    _ = us_socket_close(0, seen.last.?, 0, null);
    server.turnUntilIdle();
    try expectEqual(@as(u32, 1), seen.empty);
}

test "the last reply survives input that nobody read" {
    const server = try Server.listening();
    defer server.deinit();
    const fd = try server.connect();
    defer _ = sys.close(fd);
    seen.mode = .reply_and_close;
    const big: [1 << 20]u8 = @splat('x');
    _ = sys.send(fd, &big, big.len, sys.msg_dontwait | sys.msg_nosignal);
    server.turnUntilIdle();
    _ = sys.send(fd, &big, big.len, sys.msg_dontwait | sys.msg_nosignal);
    server.turnUntilIdle();
    var buffer: [8]u8 = undefined;
    try expectEqual(@as(isize, 3), sys.recv(fd, &buffer, buffer.len, 0));
    try expectEqual(@as(u32, 1), seen.closed);
}

test "at the limit accepting pauses, and goes on when one closes" {
    const server = try Server.listening();
    defer server.deinit();
    us_socket_context_set_max_sockets(server.context, 1);
    const first = try server.connect();
    const second = try server.connect();
    defer _ = sys.close(second);
    try expectEqual(@as(u32, 1), seen.opened);
    try expect(!readable(us_loop_fd(server.loop), 50));
    _ = sys.close(first);
    server.turnUntilIdle();
    try expectEqual(@as(u32, 2), seen.opened);
}

test "an exclusive port that is taken says so" {
    const server = try Server.listening();
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
    const server = try Server.init();
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
    const server = try Server.listening();
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
    const server = try Server.listening();
    defer server.deinit();
    const fd = try server.connect();
    us_socket_shutdown(0, seen.last.?);
    try expectEqual(@as(c_int, 1), us_socket_is_shut_down(0, seen.last.?));
    var buffer: [8]u8 = undefined;
    try expectEqual(@as(isize, 0), sys.recv(fd, &buffer, buffer.len, 0));
    try expectEqual(@as(u32, 0), seen.closed);
    _ = sys.close(fd);
    server.turnUntilIdle();
    try expectEqual(@as(u32, 1), seen.closed);
}

test "without a host both families are served, and the port can be shared" {
    const server = try Server.init();
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
    const before = sys.openBlockingSocket(sys.af_inet, sys.sock_stream);
    _ = sys.close(before);
    {
        const server = try Server.listening();
        defer server.deinit();
        _ = sys.close(try server.connect());
        server.turnUntilIdle();
    }
    const after = sys.openBlockingSocket(sys.af_inet, sys.sock_stream);
    _ = sys.close(after);
    // The kernel takes the lowest free number.
    try expectEqual(before, after);
}

const Rlimit = extern struct { current: usize, max: usize };
extern "c" fn getrlimit(resource: c_int, limit: *Rlimit) c_int;
extern "c" fn setrlimit(resource: c_int, limit: *const Rlimit) c_int;

test "without descriptors the listener waits instead of spinning" {
    const spare_max = 32;
    var before: Rlimit = undefined;
    try expectEqual(@as(c_int, 0), getrlimit(sys.rlimit_nofile, &before));
    const client = sys.openBlockingSocket(sys.af_inet, sys.sock_stream);
    defer _ = sys.close(client);
    // Before the listener is there: the kernel remembers the limit with what it accepts ahead.
    const low: Rlimit = .{ .current = @intCast(client + spare_max), .max = before.max };
    try expectEqual(@as(c_int, 0), setrlimit(sys.rlimit_nofile, &low));
    defer _ = setrlimit(sys.rlimit_nofile, &before);
    const server = try Server.listening();
    defer server.deinit();
    _ = sys.close(try server.connect());
    server.turnUntilIdle();
    var spare: [spare_max]c_int = @splat(-1);
    for (&spare) |*fd| fd.* = sys.openBlockingSocket(sys.af_inet, sys.sock_stream);
    defer for (spare[1..]) |fd| {
        if (fd >= 0) _ = sys.close(fd);
    };
    try expectEqual(@as(c_int, -1), spare[spare_max - 1]);
    var address: sys.SockaddrStorage = .of(sys.af_inet);
    std.mem.writeInt(u16, address.data[0..2], server.port, .big);
    address.data[2..6].* = .{ 127, 0, 0, 1 };
    try expectEqual(@as(c_int, 0), sys.connect(client, &address, 16));
    _ = us_loop_pump(server.loop);
    try expect(!readable(us_loop_fd(server.loop), 50));
    try expectEqual(@as(u32, 1), seen.opened);
    _ = sys.close(spare[0]);
    // Nothing of the loop was closed: it tries once more after some seconds.
    try expect(readable(us_loop_fd(server.loop), 10_000));
    server.turnUntilIdle();
    try expectEqual(@as(u32, 2), seen.opened);
}

test "a loop that is freed first leaves its contexts to be closed later" {
    const server = try Server.listening();
    const fd = try server.connect();
    defer _ = sys.close(fd);
    us_loop_free(server.loop);
    us_socket_context_free(0, server.context);
    try expectEqual(@as(u32, 1), seen.closed);
    var byte: [1]u8 = undefined;
    try expectEqual(@as(isize, 0), sys.recv(fd, &byte, 1, 0));
}
