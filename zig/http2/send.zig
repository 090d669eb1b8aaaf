//! What the application sends: heads, content as far as windows and urgency allow, trailers, and the end of a stream.
const std = @import("std");
const assert = std.debug.assert;
const codes = @import("codes.zig");
const encoder_module = @import("encoder.zig");
const lifetime = @import("lifetime.zig");
const Connection = @import("connection.zig").Connection;
const Flag = codes.Flag;
const Header = @import("frame.zig").Header;
const Stream = @import("streams.zig").Stream;

pub const Failure = error{
    /// The stream is over, or our side of it.
    Gone,
    /// A head after the head, or content before it.
    Misplaced,
};

/// A field block in the making, behind room for the header of its first frame.
pub const Head = struct { stream: *Stream, place: u64, interim: bool };

/// Content in smaller pieces than this is not worth a frame, where more is there and only room is missing.
const piece_bytes_min = 1024;

fn checkOpen(connection: *const Connection, stream: *const Stream) Failure!void {
    assert(connection.head == null);
    if (stream.flags.over or stream.flags.local_ended) return error.Gone;
}

fn noMemory(connection: *Connection) error{Gone} {
    lifetime.fail(connection, .internal_error);
    return error.Gone;
}

/// An interim response (a status of 1xx), or the head of the response. Its fields follow, then `finishHead`: nothing else is called
/// for this connection in between.
pub fn beginHead(connection: *Connection, stream: *Stream, status: u16) Failure!void {
    try checkOpen(connection, stream);
    if (stream.flags.head_sent) return error.Misplaced;
    const begun = try beginBlock(connection, stream);
    connection.head.?.interim = status < 200;
    connection.out.add(connection.encoder.begin(begun, status));
    if (status < 200) return;
    stream.flags.head_sent = true;
    // A refused tunnel is an answer like others.
    if (status >= 300) stream.flags.tunnel = false;
    if (!stream.flags.tunnel) return;
    // What follows is no content of a request (RFC 9110 section 9.3.6).
    stream.flags.has_length = false;
    stream.content_left = std.math.maxInt(u64);
}

/// Trailers: `finishHead` ends the stream with them.
pub fn beginTrailers(connection: *Connection, stream: *Stream) Failure!void {
    try checkOpen(connection, stream);
    if (!stream.flags.head_sent) return error.Misplaced;
    const begun = try beginBlock(connection, stream);
    connection.out.add(connection.encoder.beginTrailers(begun));
}

fn beginBlock(connection: *Connection, stream: *Stream) error{Gone}![]u8 {
    const out = &connection.out;
    const room = out.room(connection.context.allocator, codes.frame_header_bytes + encoder_module.block_overhead) catch
        return noMemory(connection);
    connection.head = .{ .stream = stream, .place = out.end(), .interim = false };
    out.add(codes.frame_header_bytes);
    return room[codes.frame_header_bytes..];
}

/// A field of the head that was begun; its name is sent in lower case. What is said of the connection (RFC 9113 section 8.2.2) is
/// left out. Characters are not checked: whoever calls has done so.
pub fn field(connection: *Connection, name: []const u8, value: []const u8) void {
    const head = connection.head orelse return;
    if (isOfConnection(name)) return;
    const allocator = connection.context.allocator;
    const out = &connection.out;
    const room = out.room(allocator, name.len + value.len + encoder_module.field_overhead) catch {
        // Half a frame would be taken for another one.
        out.bytes.items.len -= @intCast(out.end() - head.place);
        lifetime.fail(connection, .internal_error);
        return;
    };
    out.add(connection.encoder.add(allocator, room, name, value));
}

fn isOfConnection(name: []const u8) bool {
    return switch (name.len) {
        7 => std.ascii.eqlIgnoreCase(name, "upgrade"),
        10 => std.ascii.eqlIgnoreCase(name, "connection") or std.ascii.eqlIgnoreCase(name, "keep-alive"),
        16 => std.ascii.eqlIgnoreCase(name, "proxy-connection"),
        17 => std.ascii.eqlIgnoreCase(name, "transfer-encoding"),
        else => false,
    };
}

/// How many CONTINUATION frames follow the first frame of a block.
fn continuations(block_bytes: usize) usize {
    return (block_bytes -| 1) / codes.frame_payload_usual;
}

/// The block is complete. `ends` says that no content follows; trailers end the stream by themselves.
pub fn finishHead(connection: *Connection, ends: bool) Failure!void {
    const head = connection.head orelse return error.Gone;
    const stream = head.stream;
    const out = &connection.out;
    assert(!(head.interim and ends));
    var left: usize = @intCast(out.end() - head.place - codes.frame_header_bytes);
    _ = out.room(connection.context.allocator, continuations(left) * codes.frame_header_bytes) catch {
        out.bytes.items.len -= @intCast(out.end() - head.place);
        return noMemory(connection);
    };
    connection.head = null;
    var place = head.place;
    var header: Header = .{ .length = 0, .type = .headers, .flags = if (ends) Flag.end_stream else 0, .stream = stream.id };
    while (true) {
        const bytes = out.at(place).?;
        header.length = @intCast(@min(left, codes.frame_payload_usual));
        left -= header.length;
        if (left == 0) header.flags |= Flag.end_headers;
        header.write(bytes[0..codes.frame_header_bytes]);
        if (left == 0) break;
        // A long block goes on in CONTINUATION frames, right behind.
        out.add(codes.frame_header_bytes);
        place += codes.frame_header_bytes + header.length;
        const moved = out.at(place).?;
        std.mem.copyBackwards(u8, moved[codes.frame_header_bytes..][0..left], moved[0..left]);
        header.type = .continuation;
        header.flags = 0;
    }
    if (head.interim) return;
    stream.last_frame = head.place;
    stream.flags.framed = true;
    if (ends) lifetime.endLocal(connection, stream);
}

/// Takes from the pieces, one behind the other, what windows, output and more urgent streams allow, and gives the number of bytes.
/// Where some are left the stream waits: `nextWritable` says when it is its turn. `ends` ends it once all were taken.
pub fn data(connection: *Connection, stream: *Stream, pieces: []const []const u8, ends: bool) Failure!usize {
    try checkOpen(connection, stream);
    if (!stream.flags.head_sent) return error.Misplaced;
    var source: Source = .{ .pieces = pieces };
    var left: usize = 0;
    for (pieces) |piece| left += piece.len;
    const total = left;
    while (left > 0) {
        const length = grant(connection, stream, left);
        if (length == 0) break;
        left -= length;
        try putFrame(connection, stream, &source, length, ends and left == 0);
        if (left == 0) break;
        connection.ready.turn(stream);
        if (connection.ready.yields(stream)) break;
    }
    if (connection.turn == stream) connection.turn = null;
    if (left > 0) {
        wait(connection, stream);
        return total - left;
    }
    if (stream.flags.waiting) {
        stream.flags.waiting = false;
        connection.schedule(stream);
    }
    if (ends and total > 0) {
        lifetime.endLocal(connection, stream);
    } else if (ends) try finish(connection, stream);
    return total;
}

/// Texts that are one.
const Source = struct {
    pieces: []const []const u8,
    at: usize = 0,

    fn copy(source: *Source, out: []u8) void {
        var done: usize = 0;
        while (done < out.len) {
            const piece = source.pieces[0][source.at..];
            const length = @min(piece.len, out.len - done);
            @memcpy(out[done..][0..length], piece[0..length]);
            done += length;
            source.at += length;
            if (source.at < source.pieces[0].len) continue;
            source.pieces = source.pieces[1..];
            source.at = 0;
        }
    }
};

/// Bytes that the stream's next frame may have, of those that are left.
fn grant(connection: *const Connection, stream: *const Stream, left: usize) usize {
    if (connection.turn != stream) {
        // Whoever comes without being called may only overtake the less urgent.
        if (connection.ready.first()) |other| {
            if (other != stream and other.priority.urgency <= stream.priority.urgency) return 0;
        }
    }
    const window = @min(connection.send_window, stream.send_window);
    if (window <= 0) return 0;
    const room = roomFor(connection);
    if (room < @min(left, piece_bytes_min)) return 0;
    return @min(@min(left, @as(usize, @intCast(window))), @min(room, codes.frame_payload_usual));
}

/// Content that the output takes: a frame at least, where nothing waits.
fn roomFor(connection: *const Connection) usize {
    // With the frame's header it fills the output, and no record of TLS has a few bytes that are left of it.
    const taken = connection.waiting().len + codes.frame_header_bytes;
    const room = connection.context.limits.max_output_bytes -| taken;
    return if (taken == codes.frame_header_bytes) @max(room, codes.frame_payload_usual) else room;
}

/// No content is taken before output has left.
pub fn isFull(connection: *const Connection) bool {
    return roomFor(connection) < piece_bytes_min;
}

fn putFrame(connection: *Connection, stream: *Stream, source: *Source, length: usize, ends: bool) Failure!void {
    const out = &connection.out;
    const size = codes.frame_header_bytes + length;
    const room = out.room(connection.context.allocator, size) catch return noMemory(connection);
    const flags: u8 = if (ends) Flag.end_stream else 0;
    const header: Header = .{ .length = @intCast(length), .type = .data, .flags = flags, .stream = stream.id };
    header.write(room[0..codes.frame_header_bytes]);
    source.copy(room[codes.frame_header_bytes..size]);
    stream.last_frame = out.end();
    stream.flags.framed = true;
    out.add(size);
    connection.send_window -= @intCast(length);
    stream.send_window -= @intCast(length);
    connection.stall.count(@intCast(length));
    stream.stall.count(@intCast(length));
}

/// Our side is complete: END_STREAM goes with the last frame where that has not left yet, or else in one of its own.
pub fn finish(connection: *Connection, stream: *Stream) Failure!void {
    try checkOpen(connection, stream);
    if (!stream.flags.head_sent) return error.Misplaced;
    const unsent = if (stream.flags.framed) connection.out.at(stream.last_frame) else null;
    if (unsent) |frame| {
        frame[4] |= Flag.end_stream;
    } else {
        var nothing: Source = .{ .pieces = &.{} };
        try putFrame(connection, stream, &nothing, 0, true);
    }
    lifetime.endLocal(connection, stream);
}

/// The stream has more to send: `nextWritable` will give it.
pub fn wait(connection: *Connection, stream: *Stream) void {
    if (stream.flags.over or stream.flags.local_ended) return;
    stream.flags.waiting = true;
    connection.schedule(stream);
    stream.stall.begin(stream.send_window);
    connection.stall.begin(connection.send_window);
}

/// The stream whose turn it is, of those that wait and have a window, while the output takes content; it does not wait any more,
/// until `data` leaves something or `wait` is called. Null where there is none. To be asked after a step and after `sent`, until
/// there is none: in between, nobody waits who could be sent.
pub fn nextWritable(connection: *Connection) ?*Stream {
    connection.turn = null;
    if (connection.phase == .failed or connection.send_window <= 0) return null;
    if (isFull(connection)) return null;
    const stream = connection.ready.first() orelse return null;
    connection.ready.remove(stream);
    stream.flags.waiting = false;
    connection.turn = stream;
    return stream;
}

test "a block goes on in as many frames as it needs" {
    const each = codes.frame_payload_usual;
    for ([_]usize{ 0, 1, each, each + 1, 2 * each, 2 * each + 1, 3 * each + 1 }, [_]usize{ 0, 0, 0, 1, 1, 2, 3 }) |bytes, count|
        try std.testing.expectEqual(count, continuations(bytes));
}
