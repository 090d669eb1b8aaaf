//! How streams and the connection end, and windows open again.
const std = @import("std");
const assert = std.debug.assert;
const codes = @import("codes.zig");
const connection_module = @import("connection.zig");
const Connection = connection_module.Connection;
const ErrorCode = codes.ErrorCode;
const Event = @import("event.zig").Event;
const Small = @import("frame.zig").Small;
const Stream = @import("streams.zig").Stream;

/// The connection ends with GOAWAY, behind whatever waits. All streams are over; their owner has to release them.
pub fn fail(connection: *Connection, code: ErrorCode) void {
    if (connection.phase == .failed) return;
    connection.phase = .failed;
    connection.failure = code;
    // A peer that reads nothing, or a machine without memory, gets no reason.
    append(connection, .goaway(@min(connection.last_opened, connection.goaway_stream), code)) catch {};
    connection.block_stream = 0;
    connection.payload = .{};
    connection.head = null;
    for (connection.streams.places) |*place| {
        const stream = place.* orelse continue;
        connection.ready.remove(stream);
        stream.flags.over = true;
        place.* = null;
    }
    connection.streams.count = 0;
}

/// The same, by its owner's will: there is no event for it.
pub fn failByOwner(connection: *Connection, code: ErrorCode) void {
    fail(connection, code);
    connection.failure_told = true;
}

/// Once.
pub fn tellFailure(connection: *Connection, event: *Event) bool {
    if (connection.failure_told) return false;
    connection.failure_told = true;
    event.* = .{ .kind = .failed, .code = connection.failure };
    return true;
}

fn append(connection: *Connection, frame: Small) !void {
    assert(connection.head == null or connection.phase == .failed);
    const room = try connection.out.room(connection.context.allocator, frame.length);
    @memcpy(room[0..frame.length], frame.slice());
    connection.out.add(frame.length);
}

/// Appends a frame of our own; the connection fails where the peer does not read them.
pub fn answer(connection: *Connection, frame: Small) void {
    if (connection.phase == .failed) return;
    if (connection.out.answers + frame.length > connection.context.limits.max_answer_bytes)
        return fail(connection, .enhance_your_calm);
    append(connection, frame) catch return fail(connection, .internal_error);
    connection.out.countAnswer(frame.length);
}

pub fn ping(connection: *Connection, payload: *const [8]u8) void {
    answer(connection, .ping(0, payload));
}

/// The stream is over: its owner still has it.
pub fn close(connection: *Connection, stream: *Stream, peer_finished: bool) void {
    assert(!stream.flags.over);
    stream.flags.over = true;
    stream.flags.waiting = false;
    connection.ready.remove(stream);
    connection.closed.remember(stream.id, peer_finished);
    connection.streams.remove(stream);
}

/// Ends a stream with RST_STREAM.
pub fn reset(connection: *Connection, stream: *Stream, code: ErrorCode) void {
    close(connection, stream, stream.flags.remote_ended);
    answer(connection, .resetStream(stream.id, code));
}

/// Ends a stream at once, if it is not over.
pub fn resetByOwner(connection: *Connection, stream: *Stream, code: ErrorCode) void {
    if (!stream.flags.over) reset(connection, stream, code);
}

/// The owner has no use for the stream any more, and must not touch it. One that is not over is reset with CANCEL.
pub fn release(connection: *Connection, stream: *Stream) void {
    resetByOwner(connection, stream, .cancel);
    if (connection.turn == stream) connection.turn = null;
    // A frame of it may be under way: the rest of its content is nobody's.
    if (connection.payload.stream == stream) abandonPayload(connection);
    connection.unread -= stream.unread;
    connection.held -= 1;
    connection.context.spare.give(connection.context.allocator, stream);
    tellWindow(connection);
}

/// What comes of the present frame still is given back when it comes.
pub fn abandonPayload(connection: *Connection) void {
    connection.payload.stream = null;
    connection.payload.ends = false;
    giveBack(connection, connection.payload.content);
}

/// The peer broke a rule of a stream: it is reset, and its owner told. Many of these are an attack as well.
pub fn fault(connection: *Connection, stream: *Stream, code: ErrorCode, event: *Event) bool {
    if (isTooMany(connection)) return false;
    event.* = .{ .kind = .reset, .stream = stream, .code = code };
    reset(connection, stream, code);
    return connection.phase != .failed;
}

/// The same where nobody has a stream: a request that is none.
pub fn faultOf(connection: *Connection, id: u32, code: ErrorCode) void {
    if (!isTooMany(connection)) answer(connection, .resetStream(id, code));
}

/// Streams that end before their time cost the peer little, and us the work (CVE-2023-44487).
pub fn isTooMany(connection: *Connection) bool {
    if (!connection.resets.exceeds(connection.context.limits.max_resets_per_s, connection.now_ms)) return false;
    fail(connection, .enhance_your_calm);
    return true;
}

/// Our side of the stream is complete.
pub fn endLocal(connection: *Connection, stream: *Stream) void {
    stream.flags.local_ended = true;
    stream.flags.waiting = false;
    connection.schedule(stream);
    if (stream.flags.remote_ended) return close(connection, stream, true);
    if (stream.flags.tunnel) return;
    // A request whose content has arrived has no rest but its end, which may still have to be read.
    const is_whole = connection.foreseen == stream.id or (stream.flags.has_length and stream.content_left == 0);
    if (is_whole) return close(connection, stream, false);
    // RFC 9113 section 8.1: the rest of the request is of no use to anybody.
    reset(connection, stream, .no_error);
}

/// Its own side is: the stream is over, or only half-closed.
pub fn endRemote(connection: *Connection, stream: *Stream) void {
    stream.flags.remote_ended = true;
    if (stream.flags.local_ended) close(connection, stream, true);
}

/// Bytes that have arrived: the peer may send as many again.
pub fn giveBack(connection: *Connection, bytes: u32) void {
    connection.owed += bytes;
    tellWindow(connection);
}

/// The window of the connection opens at once, so that a stream that is not read holds no other one; but not for more than the
/// connection may hold unread. Told in few frames.
fn tellWindow(connection: *Connection) void {
    const window = connection.context.limits.connection_window;
    const kept = @min(connection.owed, connection.unread -| window);
    const increment: u32 = connection.owed - @as(u32, @intCast(kept));
    if (increment < window / 2) return;
    connection.owed -= increment;
    connection.receive_window += @intCast(increment);
    answer(connection, .windowUpdate(0, increment));
}

/// The application has taken content of the stream; more than it was given counts as all of it.
pub fn consumed(connection: *Connection, stream: *Stream, bytes: usize) void {
    const taken: u32 = @intCast(@min(bytes, stream.unread));
    stream.unread -= taken;
    connection.unread -= taken;
    giveBackTo(connection, stream, taken);
    tellWindow(connection);
}

/// The window of the stream opens as its application reads.
pub fn giveBackTo(connection: *Connection, stream: *Stream, bytes: u32) void {
    stream.taken += bytes;
    if (stream.flags.remote_ended or stream.flags.over) return;
    if (stream.taken < connection.context.limits.stream_window / 2) return;
    const taken = stream.taken;
    if (taken == 0) return;
    stream.taken = 0;
    stream.receive_window += @intCast(taken);
    answer(connection, .windowUpdate(stream.id, taken));
}

/// RFC 9113 section 6.8: the peer is asked to open no more streams; those that are on their way are served still.
pub fn shutdown(connection: *Connection, now_ms: u64) void {
    if (connection.shutdown_phase != .no or connection.phase == .failed) return;
    connection.now_ms = @max(connection.now_ms, now_ms);
    connection.shutdown_phase = .announced;
    connection.shutdown_ms = connection.now_ms;
    answer(connection, .goaway(codes.stream_id_max, .no_error));
    answer(connection, .ping(0, &connection_module.shutdown_ping));
}

/// Whatever the peer sent before it knew has arrived, or is not waited for: later streams are not served.
pub fn finishShutdown(connection: *Connection) void {
    if (connection.shutdown_phase == .final or connection.phase == .failed) return;
    connection.shutdown_phase = .final;
    connection.goaway_stream = connection.last_opened;
    answer(connection, .goaway(connection.goaway_stream, .no_error));
}

/// What time alone decides. True with an event: called again then.
pub fn tick(connection: *Connection, now_ms: u64, event: *Event) bool {
    connection.now_ms = @max(connection.now_ms, now_ms);
    event.* = .{};
    const limits = &connection.context.limits;
    if (connection.phase == .failed) return tellFailure(connection, event);
    if (!connection.settings_acknowledged and isOver(connection, connection.settings_sent_ms, limits.settings_timeout_ms)) {
        fail(connection, .settings_timeout);
        return tellFailure(connection, event);
    }
    const owes_since = if (limits.header_timeout_ms > 0) connection.owesSince() else null;
    if (owes_since) |since| {
        if (isOver(connection, since, limits.header_timeout_ms)) {
            fail(connection, .enhance_your_calm);
            return tellFailure(connection, event);
        }
    }
    if (connection.shutdown_phase == .announced and isOver(connection, connection.shutdown_ms, limits.shutdown_timeout_ms))
        finishShutdown(connection);
    const now = connection.now_ms;
    const waits = connection.ready.first() != null;
    if (connection.stall.isOver(waits, connection.send_window, limits.stall_timeout_ms, now)) {
        fail(connection, .enhance_your_calm);
        return tellFailure(connection, event);
    }
    for (connection.streams.places) |place| {
        const stream = place orelse continue;
        if (!stream.stall.isOver(stream.flags.waiting, stream.send_window, limits.stall_timeout_ms, now)) continue;
        event.* = .{ .kind = .reset, .stream = stream, .code = .enhance_your_calm };
        reset(connection, stream, .enhance_your_calm);
        return true;
    }
    connection.streams.shrink(connection.context.allocator);
    connection.out.shrink(connection.context.allocator);
    return false;
}

fn isOver(connection: *const Connection, since_ms: u64, timeout_ms: u32) bool {
    return connection.now_ms -% since_ms >= timeout_ms;
}
