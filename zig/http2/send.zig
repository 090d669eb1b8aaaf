//! What the application sends: heads, content as far as the windows allow, trailers, and the end of a stream. Everything is
//! appended to the caller's buffer, and has to be sent in that order.
const std = @import("std");
const assert = std.debug.assert;
const codes = @import("codes.zig");
const encoder_module = @import("encoder.zig");
const lifetime = @import("lifetime.zig");
const limits_module = @import("limits.zig");
const Connection = @import("connection.zig").Connection;
const ErrorCode = codes.ErrorCode;
const Flag = codes.Flag;
const Header = @import("frame.zig").Header;
const Output = @import("control.zig").Output;
const Small = @import("frame.zig").Small;
const Stream = @import("streams.zig").Stream;

/// Values match those of include/Http2.h.
pub const Failure = error{
    /// The buffer has not enough room: nothing was done.
    Full,
    /// There is no such stream any more.
    Gone,
    /// The head was sent already, or not yet.
    Misplaced,
};

/// A field of a response.
pub const Field = extern struct {
    name: [*]const u8,
    name_bytes: usize,
    value: [*]const u8,
    value_bytes: usize,
    /// Never put into a table (RFC 7541 section 7.1.3).
    secret: bool = false,
};

/// A buffer of this size has room for any answer to a frame, and for a piece of content.
pub const output_bytes_min = 256;

/// Room that `head` asks for at most, and all that waits before it.
pub fn headBound(connection: *const Connection, fields: []const Field) usize {
    var bytes: usize = connection.control.length() + codes.frame_header_bytes + encoder_module.block_overhead + reset_bytes;
    for (fields) |field| bytes += field.name_bytes + field.value_bytes + encoder_module.field_overhead;
    return bytes + bytes / codes.frame_payload_usual * codes.frame_header_bytes;
}

/// RST_STREAM, which may follow the end of a response.
const reset_bytes = codes.frame_header_bytes + 4;

/// Frames that wait: acknowledgements, windows, resets. Whether all of them were written.
pub fn flush(connection: *Connection, output: *Output) bool {
    return connection.control.write(output);
}

fn findOpen(connection: *const Connection, id: u32) Failure!*Stream {
    if (connection.phase == .failed) return error.Gone;
    const stream = connection.streams.find(id) orelse return error.Gone;
    return if (stream.flags.local_ended) error.Gone else stream;
}

/// An interim response (1xx), or the head of the response. `ends` says that no content follows.
pub fn head(connection: *Connection, output: *Output, id: u32, status: u16, fields: []const Field, ends: bool) Failure!void {
    const stream = try findOpen(connection, id);
    const interim = status < 200;
    if (stream.flags.head_sent or (interim and ends)) return error.Misplaced;
    if (headBound(connection, fields) > output.room().len) return error.Full;
    const flushed = flush(connection, output);
    assert(flushed);
    const block = beginBlock(output);
    block.add(connection.encoder.begin(block.room(), status));
    putFields(connection, block, fields);
    block.finish(id, ends);
    if (interim) return;
    stream.flags.head_sent = true;
    // A refused tunnel is an answer like others.
    if (status >= 300) stream.flags.tunnel = false;
    if (ends) end(connection, output, stream);
}

/// The last fields of a response whose head was sent.
pub fn trailers(connection: *Connection, output: *Output, id: u32, fields: []const Field) Failure!void {
    const stream = try findOpen(connection, id);
    if (!stream.flags.head_sent) return error.Misplaced;
    if (headBound(connection, fields) > output.room().len) return error.Full;
    const flushed = flush(connection, output);
    assert(flushed);
    const block = beginBlock(output);
    block.add(connection.encoder.beginTrailers(block.room()));
    putFields(connection, block, fields);
    block.finish(id, true);
    end(connection, output, stream);
}

/// What ends the stream for good leaves with it.
fn end(connection: *Connection, output: *Output, stream: *Stream) void {
    lifetime.endLocal(connection, stream);
    _ = flush(connection, output);
}

fn putFields(connection: *Connection, block: Block, fields: []const Field) void {
    for (fields) |field| {
        const name = field.name[0..field.name_bytes];
        if (isOfConnection(name)) continue;
        const value = field.value[0..field.value_bytes];
        block.add(connection.encoder.add(connection.context.allocator, block.room(), name, value, field.secret));
    }
}

/// RFC 9113 section 8.2.2: what an application for HTTP/1.1 may have said about its connection.
fn isOfConnection(name: []const u8) bool {
    return switch (name.len) {
        7 => std.ascii.eqlIgnoreCase(name, "upgrade"),
        10 => std.ascii.eqlIgnoreCase(name, "connection") or std.ascii.eqlIgnoreCase(name, "keep-alive"),
        16 => std.ascii.eqlIgnoreCase(name, "proxy-connection"),
        17 => std.ascii.eqlIgnoreCase(name, "transfer-encoding"),
        else => false,
    };
}

/// A field block in the making, behind room for the header of its first frame.
const Block = struct {
    output: *Output,
    begin: usize,

    fn room(block: Block) []u8 {
        return block.output.room();
    }

    fn add(block: Block, bytes: usize) void {
        block.output.length += bytes;
    }

    fn finish(block: Block, id: u32, ends: bool) void {
        const output = block.output;
        var at = block.begin;
        var left = output.length - at - codes.frame_header_bytes;
        var header: Header = .{ .length = undefined, .type = .headers, .flags = if (ends) Flag.end_stream else 0, .stream = id };
        while (true) {
            header.length = @intCast(@min(left, codes.frame_payload_usual));
            left -= header.length;
            if (left == 0) header.flags |= Flag.end_headers;
            header.write(output.bytes[at..][0..codes.frame_header_bytes]);
            if (left == 0) return;
            // A long block goes on in CONTINUATION frames, which come right behind.
            at += codes.frame_header_bytes + header.length;
            std.mem.copyBackwards(u8, output.bytes[at + codes.frame_header_bytes ..][0..left], output.bytes[at..][0..left]);
            output.length += codes.frame_header_bytes;
            header.type = .continuation;
            header.flags = 0;
        }
    }
};

fn beginBlock(output: *Output) Block {
    const block: Block = .{ .output = output, .begin = output.length };
    output.length += codes.frame_header_bytes;
    return block;
}

/// Takes from `bytes` what windows, room and more urgent streams allow, and gives its number. Where something is left the stream
/// waits: `next` says when it is its turn. `ends` ends the stream once all was taken.
pub fn data(connection: *Connection, output: *Output, id: u32, bytes: []const u8, ends: bool) Failure!usize {
    const stream = try findOpen(connection, id);
    if (!stream.flags.head_sent) return error.Misplaced;
    if (!flush(connection, output)) return error.Full;
    var taken: usize = 0;
    while (true) {
        const left = bytes.len - taken;
        const frame = grant(connection, stream, left, output.room().len -| (codes.frame_header_bytes + reset_bytes));
        const last = frame == left;
        if (frame == 0 and !(last and ends and left == 0)) break;
        if (output.room().len < codes.frame_header_bytes + frame + reset_bytes) return error.Full;
        putDataHeader(output, id, frame, last and ends);
        output.append(bytes[taken..][0..frame]);
        taken += frame;
        count(connection, stream, frame);
        if (last) break;
        connection.ready.turn(&connection.streams, stream);
        if (connection.ready.shares(stream)) break;
    }
    finish(connection, output, stream, bytes.len - taken, ends);
    return taken;
}

/// The header of one DATA frame, for content that the caller sends behind it by other means: `left` bytes are there, and as many as
/// it gives have to follow, after all that is in the buffer. The last bytes are left for `data`, which ends the stream.
pub fn dataHeader(connection: *Connection, output: *Output, id: u32, left: usize) Failure!usize {
    const stream = try findOpen(connection, id);
    if (!stream.flags.head_sent) return error.Misplaced;
    if (!flush(connection, output) or output.room().len < codes.frame_header_bytes) return error.Full;
    const frame = @min(grant(connection, stream, left, codes.frame_payload_usual), left -| 1);
    if (frame > 0) {
        putDataHeader(output, id, frame, false);
        count(connection, stream, frame);
        connection.ready.turn(&connection.streams, stream);
    }
    finish(connection, output, stream, left - frame, false);
    return frame;
}

/// Bytes of the next frame.
fn grant(connection: *Connection, stream: *Stream, left: usize, room: usize) usize {
    if (left == 0) return 0;
    stream.flags.waiting = true;
    connection.schedule(stream);
    const first = connection.ready.first();
    // Whoever comes without being called may only overtake the less urgent.
    if (first != stream.id and first != 0 and connection.send_window > 0) {
        const other = connection.streams.find(first).?;
        if (other.priority.urgency <= stream.priority.urgency) return 0;
    }
    const window = @min(connection.send_window, stream.send_window);
    if (window <= 0) return 0;
    return @min(left, @min(@as(usize, @intCast(window)), @min(room, codes.frame_payload_usual)));
}

fn putDataHeader(output: *Output, id: u32, length: usize, ends: bool) void {
    const header: Header = .{
        .length = @intCast(length),
        .type = .data,
        .flags = if (ends) Flag.end_stream else 0,
        .stream = id,
    };
    header.write(output.room()[0..codes.frame_header_bytes]);
    output.length += codes.frame_header_bytes;
}

fn count(connection: *Connection, stream: *Stream, bytes: usize) void {
    connection.send_window -= @intCast(bytes);
    stream.send_window -= @intCast(bytes);
    connection.sent_since +|= @intCast(bytes);
    stream.sent_since +|= @intCast(bytes);
    if (connection.sent_since >= limits_module.progress_bytes_min) connection.stalled = false;
    if (stream.sent_since >= limits_module.progress_bytes_min) stream.flags.stalled = false;
}

fn finish(connection: *Connection, output: *Output, stream: *Stream, left: usize, ends: bool) void {
    stream.flags.waiting = left > 0;
    connection.schedule(stream);
    if (left == 0) {
        stream.flags.stalled = false;
        if (ends) end(connection, output, stream);
        return;
    }
    // The clock of who does not open its windows; a few bytes do not set it back.
    if (stream.send_window <= 0 and !stream.flags.stalled) {
        stream.flags.stalled = true;
        stream.stalled_ms = connection.now_ms;
        stream.sent_since = 0;
    }
    if (connection.send_window <= 0 and !connection.stalled) {
        connection.stalled = true;
        connection.stalled_ms = connection.now_ms;
        connection.sent_since = 0;
    }
}

/// The stream that is to be written next, of those that wait; 0 where none can be.
pub fn next(connection: *const Connection) u32 {
    if (connection.phase == .failed or connection.send_window <= 0) return 0;
    return connection.ready.first();
}

/// Ends a stream at once.
pub fn resetStream(connection: *Connection, id: u32, code: ErrorCode) Failure!void {
    if (connection.phase == .failed) return error.Gone;
    lifetime.reset(connection, connection.streams.find(id) orelse return error.Gone, code);
}

/// The application has taken so much content of the stream.
pub fn consumed(connection: *Connection, id: u32, bytes: u32) void {
    if (connection.phase == .failed) return;
    if (connection.streams.find(id)) |stream| lifetime.take(connection, stream, bytes);
}
