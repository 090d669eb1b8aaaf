//! Sockets that another one carries: what they do by themselves, and what their carrier is asked for.
const std = @import("std");
const sys = @import("sys.zig");
const carried = @import("carried.zig");
const Socket = @import("socket.zig").Socket;
const test_server = @import("test_server.zig");
const Server = test_server.Server;
const seen = &test_server.seen;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;

extern fn us_socket_is_closed(ssl: c_int, socket: *Socket) c_int;
extern fn us_socket_is_carried(socket: *const Socket) c_int;
extern fn us_socket_owes(socket: *Socket) c_int;
extern fn us_socket_cut(socket: *Socket) void;

/// Takes so many bytes, and counts what else it is asked for.
const Fake = struct {
    carried: carried.Carried,
    socket: *Socket = undefined,
    room: usize = 0,
    shut_down: u32 = 0,
    flushed: u32 = 0,
    received: u32 = 0,
    ended: u32 = 0,

    fn of(socket: *Socket) *Fake {
        return @fieldParentPtr("carried", socket.origin.carried);
    }

    const operations: carried.Operations = .{
        .send = send,
        .await_writable = nothing,
        .shutdown = shutdown,
        .flush = flush,
        .hurry = flush,
        .receive = receive,
        .moved = moved,
        .closed = closed,
    };

    fn send(socket: *Socket, pieces: []const sys.Iovec) usize {
        const fake: *Fake = .of(socket);
        const taken = @min(fake.room, pieces[0].len);
        fake.room -= taken;
        return taken;
    }

    fn nothing(_: *Socket) void {}

    fn shutdown(socket: *Socket) void {
        Fake.of(socket).shut_down += 1;
    }

    fn flush(socket: *Socket) void {
        Fake.of(socket).flushed += 1;
    }

    fn receive(socket: *Socket) void {
        Fake.of(socket).received += 1;
    }

    fn moved(socket: *Socket) void {
        Fake.of(socket).socket = socket;
    }

    fn closed(socket: *Socket) void {
        Fake.of(socket).ended += 1;
    }
};

const Fixture = struct {
    server: Server,
    fd: c_int,
    fake: Fake,

    fn init(fixture: *Fixture) !void {
        fixture.server = try .listening();
        fixture.fd = try fixture.server.connect();
        fixture.fake = .{ .carried = .{ .operations = &Fake.operations, .carrier = seen.last.? } };
        fixture.fake.socket = carried.open(fixture.server.context, &fixture.fake.carried, 64).?;
    }

    fn deinit(fixture: *Fixture) void {
        fixture.server.deinit();
        _ = sys.close(fixture.fd);
    }
};

test "it has the addresses of its carrier, and is sent by it" {
    var fixture: Fixture = undefined;
    try fixture.init();
    defer fixture.deinit();
    const socket = fixture.fake.socket;
    try expect(us_socket_is_carried(socket) != 0);
    try expectEqual(@as(c_int, fixture.server.port), test_server.us_socket_local_port(0, socket));
    fixture.fake.room = 3;
    try expectEqual(@as(c_int, 3), test_server.us_socket_write(0, socket, "hello", 5, 0));
    try expectEqual(@as(c_int, 0), test_server.us_socket_write(0, socket, "lo", 2, 0));
    carried.writable(socket);
    try expectEqual(@as(u32, 1), seen.writable);
    try expectEqual(@as(c_int, 0), us_socket_owes(socket));
    try expectEqual(@as(u32, 1), fixture.fake.flushed);
    test_server.us_socket_shutdown(0, socket);
    try expectEqual(@as(u32, 1), fixture.fake.shut_down);
    try expectEqual(@as(c_int, 0), test_server.us_socket_write(0, socket, "more", 4, 0));
    // The carrier knows nothing of that.
    var buffer: [16]u8 = undefined;
    try std.testing.expectEqualStrings("echo", test_server.exchange(fixture.server, fixture.fd, "echo", &buffer));
}

test "it is asked for what it held when it reads again, and moves" {
    var fixture: Fixture = undefined;
    try fixture.init();
    defer fixture.deinit();
    test_server.us_socket_set_tag(fixture.fake.socket, 7);
    test_server.us_socket_pause(fixture.fake.socket);
    test_server.us_socket_resume(fixture.fake.socket);
    const child = test_server.us_create_child_socket_context(0, fixture.server.context, 0).?;
    Server.setCallbacks(child);
    const moved = test_server.us_socket_context_adopt_socket(0, child, fixture.fake.socket, 128).?;
    try expectEqual(moved, fixture.fake.socket);
    fixture.server.turnUntilIdle();
    try expectEqual(@as(u32, 1), fixture.fake.received);
    try expectEqual(@as(c_uint, 7), test_server.us_socket_tag(moved));
    test_server.us_socket_context_free(0, child);
    try expectEqual(@as(u32, 1), fixture.fake.ended);
}

test "it closes alone, at once or when the turn ends, and its context is told once" {
    var fixture: Fixture = undefined;
    try fixture.init();
    defer fixture.deinit();
    const socket = fixture.fake.socket;
    us_socket_cut(socket);
    test_server.us_socket_pause(socket);
    try expectEqual(@as(c_int, 0), us_socket_is_closed(0, socket));
    fixture.server.turnUntilIdle();
    try expectEqual(@as(u32, 1), fixture.fake.ended);
    try expectEqual(@as(u32, 1), seen.closed);
    var buffer: [16]u8 = undefined;
    try std.testing.expectEqualStrings("on", test_server.exchange(fixture.server, fixture.fd, "on", &buffer));
}
