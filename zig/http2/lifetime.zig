//! How streams and the connection end, and windows open again.
const std = @import("std");
const codes = @import("codes.zig");
const connection_module = @import("connection.zig");
const limits_module = @import("limits.zig");
const Connection = connection_module.Connection;
const ErrorCode = codes.ErrorCode;
const Event = @import("event.zig").Event;
const Small = @import("frame.zig").Small;
const Stream = @import("streams.zig").Stream;

/// The connection ends with GOAWAY, whatever else waits.
pub fn fail(connection: *Connection, code: ErrorCode) void {
    if (connection.phase == .failed) return;
    connection.phase = .failed;
    connection.failure = code;
    const frame = Small.goaway(@min(connection.last_opened, connection.goaway_stream), code);
    // A peer that reads nothing, or a machine without memory, gets no reason.
    connection.control.add(connection.context.allocator, frame.slice()) catch {};
    connection.block_stream = 0;
    connection.payload = .{};
}

/// Appends a frame of our own; the connection fails where too many wait already.
pub fn answer(connection: *Connection, frame: Small) void {
    if (connection.phase == .failed) return;
    if (connection.control.length() + frame.length > connection.context.limits.max_control_bytes)
        return fail(connection, .enhance_your_calm);
    connection.control.add(connection.context.allocator, frame.slice()) catch fail(connection, .internal_error);
}

/// The stream is no more; what its application has not taken is given back to the connection.
pub fn forget(connection: *Connection, stream: *Stream, peer_finished: bool) void {
    connection.ready.remove(&connection.streams, stream);
    connection.closed.remember(stream.id, peer_finished);
    const unread = stream.unread;
    connection.streams.remove(stream);
    giveBack(connection, unread);
}

/// Ends a stream with RST_STREAM.
pub fn reset(connection: *Connection, stream: *Stream, code: ErrorCode) void {
    const id = stream.id;
    forget(connection, stream, stream.flags.remote_ended);
    answer(connection, .resetStream(id, code));
}

/// The peer broke a rule of a stream: it is reset, and its owner told. Many of these are an attack as well.
pub fn fault(connection: *Connection, id: u32, code: ErrorCode, event: *Event) bool {
    if (connection.resets.exceeds(connection.context.limits.max_resets_per_s, connection.now_ms)) {
        fail(connection, .enhance_your_calm);
        return false;
    }
    const stream = connection.streams.find(id) orelse {
        answer(connection, .resetStream(id, code));
        return false;
    };
    event.* = .{ .kind = .reset, .stream = id, .code = @backingInt(code), .user = stream.user };
    reset(connection, stream, code);
    return true;
}

/// Our side of the stream is complete.
pub fn endLocal(connection: *Connection, stream: *Stream) void {
    stream.flags.local_ended = true;
    stream.flags.waiting = false;
    connection.schedule(stream);
    if (stream.flags.remote_ended) return forget(connection, stream, true);
    // RFC 9113 section 8.1: the rest of the request is of no use to anybody.
    if (!stream.flags.tunnel) reset(connection, stream, .no_error);
}

/// Its own side is: the stream is over, or only half-closed.
pub fn endRemote(connection: *Connection, stream: *Stream) void {
    stream.flags.remote_ended = true;
    if (stream.flags.local_ended) forget(connection, stream, true);
}

/// Bytes that nobody has any more: the peer may send as many. Told in few frames.
pub fn giveBack(connection: *Connection, bytes: u32) void {
    connection.taken += bytes;
    if (connection.taken < connection.context.limits.connection_window / 2) return;
    const taken = connection.taken;
    connection.taken = 0;
    connection.receive_window += @intCast(taken);
    answer(connection, .windowUpdate(0, taken));
}

/// The application has taken content of the stream; more than it was given counts as all of it.
pub fn take(connection: *Connection, stream: *Stream, wanted: u32) void {
    const bytes = @min(wanted, stream.unread);
    stream.unread -= bytes;
    giveBackTo(connection, stream, bytes);
    giveBack(connection, bytes);
}

/// Of the stream alone.
pub fn giveBackTo(connection: *Connection, stream: *Stream, bytes: u32) void {
    stream.taken += bytes;
    if (stream.flags.remote_ended or stream.taken < connection.context.limits.stream_window / 2) return;
    const taken = stream.taken;
    stream.taken = 0;
    stream.receive_window += @intCast(taken);
    answer(connection, .windowUpdate(stream.id, taken));
}

/// RFC 9113 section 6.8: the peer is asked to open no more streams; those that are on their way are served still.
pub fn shutdown(connection: *Connection) void {
    if (connection.shutdown != .no or connection.phase == .failed) return;
    connection.shutdown = .announced;
    connection.shutdown_ms = connection.now_ms;
    answer(connection, .goaway(codes.stream_id_max, .no_error));
    answer(connection, .ping(0, &connection_module.shutdown_ping));
}

/// Whatever the peer sent before it knew has arrived: later streams are not served.
pub fn finishShutdown(connection: *Connection) void {
    if (connection.shutdown != .announced) return;
    connection.shutdown = .final;
    connection.goaway_stream = connection.last_opened;
    answer(connection, .goaway(connection.goaway_stream, .no_error));
}

/// What time alone decides. True with an event; called again then.
pub fn tick(connection: *Connection, now_ms: u64, event: *Event) bool {
    connection.now_ms = @max(connection.now_ms, now_ms);
    event.* = .{};
    const limits = &connection.context.limits;
    if (connection.phase == .failed) return tellFailure(connection, event);
    if (!connection.settings_acknowledged and isOver(connection, connection.settings_sent_ms, limits.settings_timeout_ms)) {
        fail(connection, .settings_timeout);
        return tellFailure(connection, event);
    }
    if (connection.shutdown == .announced and isOver(connection, connection.shutdown_ms, limits.shutdown_timeout_ms))
        finishShutdown(connection);
    if (connection.stalled and isOver(connection, connection.stalled_ms, limits.stall_timeout_ms)) {
        fail(connection, .enhance_your_calm);
        return tellFailure(connection, event);
    }
    for (connection.streams.places) |*stream| {
        if (stream.id == 0 or !stream.flags.stalled or stream.send_window > 0) continue;
        if (!isOver(connection, stream.stalled_ms, limits.stall_timeout_ms)) continue;
        event.* = .{ .kind = .reset, .stream = stream.id, .code = @backingInt(ErrorCode.enhance_your_calm), .user = stream.user };
        reset(connection, stream, .enhance_your_calm);
        return true;
    }
    connection.streams.shrink(connection.context.allocator);
    connection.control.shrink(connection.context.allocator);
    return false;
}

fn isOver(connection: *const Connection, since_ms: u64, timeout_ms: u32) bool {
    return connection.now_ms -% since_ms >= timeout_ms;
}

/// Once.
pub fn tellFailure(connection: *Connection, event: *Event) bool {
    if (connection.failure_told) return false;
    connection.failure_told = true;
    event.* = .{ .kind = .failed, .code = @backingInt(connection.failure) };
    return true;
}
