//! What connections and streams hold while nothing happens, and what happens where there is no memory.
const std = @import("std");
const codes = @import("codes.zig");
const Connection = @import("connection.zig").Connection;
const Context = @import("connection.zig").Context;
const Event = @import("event.zig").Event;
const Header = @import("frame.zig").Header;
const Limits = @import("limits.zig").Limits;
const Stream = @import("streams.zig").Stream;
const Text = @import("../http/head.zig").Text;

const begin = codes.preface ++ "\x00\x00\x00\x04\x00\x00\x00\x00\x00" ++ "\x00\x00\x00\x04\x01\x00\x00\x00\x00";
const block = "\x83\x86\x84\x41\x0bexample.com\x7a\x0eMozilla/5.0 xx\x53\x03*/*";

/// What is sent for a request whose content follows, in one frame or two.
fn request(out: []u8, id: u32, whole: bool) []u8 {
    const first = if (whole) block.len else 10;
    const flags: u8 = if (whole) codes.Flag.end_headers else 0;
    var header: Header = .{ .length = @intCast(first), .type = .headers, .flags = flags, .stream = id };
    var at: usize = codes.frame_header_bytes;
    header.write(out[0..codes.frame_header_bytes]);
    @memcpy(out[at..][0..first], block[0..first]);
    at += first;
    if (whole) return out[0..at];
    header = .{ .length = @intCast(block.len - first), .type = .continuation, .flags = codes.Flag.end_headers, .stream = id };
    header.write(out[at..][0..codes.frame_header_bytes]);
    at += codes.frame_header_bytes;
    @memcpy(out[at..][0 .. block.len - first], block[first..]);
    return out[0 .. at + block.len - first];
}

const Owner = struct {
    connection: *Connection,
    streams: [100]*Stream = undefined,
    count: usize = 0,
    failure: ?codes.ErrorCode = null,

    fn receive(owner: *Owner, bytes: []const u8) !void {
        var copy: [256]u8 = undefined;
        @memcpy(copy[0..bytes.len], bytes);
        var input: Text = .from(copy[0..bytes.len]);
        var event: Event = .{};
        while (owner.connection.step(&input, 0, &event)) switch (event.kind) {
            .request => {
                owner.streams[owner.count] = event.stream.?;
                owner.count += 1;
            },
            .failed => owner.failure = event.code,
            else => {},
        };
    }

    fn answer(owner: *Owner, stream: *Stream) void {
        owner.connection.beginHead(stream, 200) catch return;
        owner.connection.field("content-type", "text/plain");
        owner.connection.field("x", "y");
        owner.connection.finishHead(false) catch return;
        _ = owner.connection.data(stream, &.{"Hello"}, false) catch return;
        owner.connection.beginTrailers(stream) catch return;
        owner.connection.field("sum", "1");
        owner.connection.finishHead(true) catch return;
    }

    fn end(owner: *Owner) void {
        for (owner.streams[0..owner.count]) |stream| owner.connection.release(stream);
        owner.connection.destroy();
    }
};

test "10,000 idle streams on 100 connections hold less than 1 KB each" {
    var counted: std.testing.FailingAllocator = .init(std.testing.allocator, .{});
    const context = try Context.create(counted.allocator(), .{});
    defer context.destroy();
    var owners: [100]Owner = undefined;
    const before = counted.allocated_bytes - counted.freed_bytes;
    for (&owners) |*owner| {
        owner.* = .{ .connection = try Connection.create(context, 0) };
        try owner.receive(begin);
        var buffer: [128]u8 = undefined;
        for (0..100) |index| try owner.receive(request(&buffer, @intCast(2 * index + 1), index % 2 == 0));
        try std.testing.expectEqual(@as(usize, 100), owner.count);
        owner.connection.sent(owner.connection.waiting().len);
        var event: Event = .{};
        try std.testing.expect(!owner.connection.tick(1, &event));
    }
    const each = (counted.allocated_bytes - counted.freed_bytes - before) / 10_000;
    try std.testing.expect(each < 512);
    for (&owners) |*owner| owner.end();
}

test "a connection without memory ends with INTERNAL_ERROR, and nothing is lost" {
    var served: usize = 0;
    for (0..60) |fail_index| {
        var failing: std.testing.FailingAllocator = .init(std.testing.allocator, .{ .fail_index = fail_index });
        const context = Context.create(failing.allocator(), .{}) catch continue;
        defer context.destroy();
        var owner: Owner = .{ .connection = Connection.create(context, 0) catch continue };
        defer owner.end();
        var buffer: [128]u8 = undefined;
        try owner.receive(begin[0..30]);
        try owner.receive(begin[30..]);
        for (0..20) |index| try owner.receive(request(&buffer, @intCast(2 * index + 1), index % 2 == 0));
        for (owner.streams[0..owner.count]) |stream| owner.answer(stream);
        var event: Event = .{};
        if (owner.connection.tick(1, &event)) owner.failure = event.code;
        if (owner.failure) |code| {
            try std.testing.expectEqual(codes.ErrorCode.internal_error, code);
        } else served += owner.count;
    }
    try std.testing.expect(served > 0);
}
