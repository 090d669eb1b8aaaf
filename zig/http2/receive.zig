//! What arrives, frame by frame: each step gives one event at most (RFC 9113 sections 3.4, 4 and 5).
const std = @import("std");
const assert = std.debug.assert;
const codes = @import("codes.zig");
const connection_module = @import("connection.zig");
const control_frames = @import("control_frames.zig");
const frame_module = @import("frame.zig");
const lifetime = @import("lifetime.zig");
const requests = @import("requests.zig");
const Connection = connection_module.Connection;
const ErrorCode = codes.ErrorCode;
const Event = @import("event.zig").Event;
const Flag = codes.Flag;
const Header = frame_module.Header;
const Stream = @import("streams.zig").Stream;
const Text = @import("../http/head.zig").Text;

/// Takes from `input` up to the next event. False when there is none: all of the input was taken. What an event refers to is valid
/// until the next call for any connection of the same context.
pub fn step(connection: *Connection, input: *Text, now_ms: u64, event: *Event) bool {
    connection.now_ms = @max(connection.now_ms, now_ms);
    event.* = .{};
    while (true) {
        if (connection.phase == .failed) {
            _ = take(input, input.len);
            return lifetime.tellFailure(connection, event);
        }
        if (connection.payload.active) {
            if (continuePayload(connection, input, event)) return true;
            if (connection.payload.active and input.len == 0) return false;
            continue;
        }
        if (input.len == 0) return false;
        if (connection.phase == .preface) {
            takePreface(connection, input);
            continue;
        }
        if (nextFrame(connection, input, event)) return true;
    }
}

fn take(input: *Text, count: usize) []u8 {
    assert(count <= input.len);
    const taken = input.ptr[0..count];
    input.ptr += count;
    input.len -= count;
    return taken;
}

fn takePreface(connection: *Connection, input: *Text) void {
    const expected = codes.preface[connection.preface_bytes..];
    const count = @min(expected.len, input.len);
    if (!std.mem.eql(u8, take(input, count), expected[0..count])) return lifetime.fail(connection, .protocol_error);
    connection.preface_bytes += @intCast(count);
    if (connection.preface_bytes == codes.preface.len) connection.phase = .settings;
}

/// True with an event. Without one the input may hold further frames.
fn nextFrame(connection: *Connection, input: *Text, event: *Event) bool {
    const stash = &connection.stash;
    if (stash.items.len == 0 and input.len >= codes.frame_header_bytes) {
        // The usual case: nothing is copied.
        const header: Header = .read(input.ptr[0..codes.frame_header_bytes]);
        const streamed = isStreamed(header);
        const wanted = if (streamed) header.prefixBytes() else header.length;
        if (input.len >= codes.frame_header_bytes + wanted) {
            _ = take(input, codes.frame_header_bytes);
            if (!admit(connection, header, event)) return event.kind != .none;
            const payload = take(input, wanted);
            return if (streamed) beginPayload(connection, header, payload, event) else dispatch(connection, header, payload, event);
        }
    }
    return nextStashed(connection, input, event);
}

/// The same for a frame that arrives in pieces.
fn nextStashed(connection: *Connection, input: *Text, event: *Event) bool {
    if (!fill(connection, input, codes.frame_header_bytes)) return false;
    const header: Header = .read(connection.stash.items[0..codes.frame_header_bytes]);
    // Judged by its header alone, before anything of it is kept.
    if (connection.stash.items.len == codes.frame_header_bytes and !admit(connection, header, event)) {
        drop(connection);
        return event.kind != .none;
    }
    const streamed = isStreamed(header);
    const wanted = codes.frame_header_bytes + if (streamed) header.prefixBytes() else header.length;
    if (!fill(connection, input, wanted)) return false;
    // Until it is handled, the stash is its own.
    var frame = connection.stash;
    connection.stash = .empty;
    defer frame.deinit(connection.context.allocator);
    const payload = frame.items[codes.frame_header_bytes..];
    if (streamed) return beginPayload(connection, header, payload, event);
    return dispatch(connection, header, payload, event);
}

fn drop(connection: *Connection) void {
    connection.stash.clearAndFree(connection.context.allocator);
}

/// Whether the stash has as many bytes now, or more.
fn fill(connection: *Connection, input: *Text, wanted: usize) bool {
    const missing = wanted -| connection.stash.items.len;
    const piece = take(input, @min(missing, input.len));
    if (piece.len > 0) {
        if (connection.stash.items.len == 0) connection.stash_ms = connection.now_ms;
        connection.stash.ensureTotalCapacityPrecise(connection.context.allocator, wanted) catch {
            lifetime.fail(connection, .internal_error);
            return false;
        };
        connection.stash.appendSliceAssumeCapacity(piece);
    }
    return connection.stash.items.len >= wanted;
}

/// What need not be whole to be of use.
fn isStreamed(header: Header) bool {
    return header.type == .data or !frame_module.isKnown(header.type);
}

/// Whether a frame with this header may come now. Otherwise it was dealt with: there may be an event, and its payload is skipped.
fn admit(connection: *Connection, header: Header, event: *Event) bool {
    if (connection.phase == .settings) {
        if (header.type != .settings or header.has(Flag.ack)) return failed(connection, .protocol_error);
        connection.phase = .open;
    }
    if (connection.block_stream != 0) {
        const continues = header.type == .continuation and header.stream == connection.block_stream;
        if (!continues) return failed(connection, .protocol_error);
    } else if (header.type == .continuation) return failed(connection, .protocol_error);
    const violation = frame_module.check(header) orelse return true;
    // A stream that never was cannot be reset (RFC 9113 section 6.4).
    if (violation.scope == .connection or connection.isIdle(header.stream)) return failed(connection, violation.code);
    // Content counts, even if it is of no use (section 6.9).
    if (header.type == .data and !countReceived(connection, header.length)) return false;
    skip(connection, header, if (header.type == .data) header.length else 0);
    if (connection.streams.find(header.stream)) |stream| {
        _ = lifetime.fault(connection, stream, violation.code, event);
    } else lifetime.faultOf(connection, header.stream, violation.code);
    return false;
}

fn failed(connection: *Connection, code: ErrorCode) bool {
    lifetime.fail(connection, code);
    return false;
}

/// The header was looked at and is in the stash or the input; its payload is nobody's.
fn skip(connection: *Connection, header: Header, counted: u32) void {
    connection.payload = .{ .content = header.length, .active = header.length > 0 };
    lifetime.giveBack(connection, counted);
}

fn dispatch(connection: *Connection, header: Header, payload: []u8, event: *Event) bool {
    switch (header.type) {
        .headers => return requests.begin(connection, header, payload, event),
        .continuation => return requests.proceed(connection, header, payload, event),
        .priority => control_frames.ignore(connection),
        .rst_stream => return control_frames.resetStream(connection, header, payload[0..4], event),
        .settings => return control_frames.settings(connection, header, payload, event),
        .ping => return control_frames.ping(connection, header, payload[0..8], event),
        .goaway => return control_frames.goaway(connection, payload, event),
        .window_update => return control_frames.windowUpdate(connection, header, payload[0..4], event),
        .priority_update => control_frames.priorityUpdate(connection, payload),
        else => unreachable,
    }
    return false;
}

/// Whether the window of the connection had room for it.
fn countReceived(connection: *Connection, length: u32) bool {
    if (length > connection.receive_window) return failed(connection, .flow_control_error);
    connection.receive_window -= @intCast(length);
    return true;
}

/// DATA, or a frame of a type that is not known (section 5.5). `prefix` has its length of padding.
fn beginPayload(connection: *Connection, header: Header, prefix: []const u8, event: *Event) bool {
    if (header.type != .data) {
        control_frames.ignore(connection);
        skip(connection, header, 0);
        return false;
    }
    const padding: u32 = if (header.has(Flag.padded)) prefix[0] else 0;
    if (header.length < header.prefixBytes() + padding) return failed(connection, .protocol_error);
    if (!countReceived(connection, header.length)) return false;
    const overhead = header.prefixBytes() + padding;
    const content = header.length - overhead;
    const ends = header.has(Flag.end_stream);
    // Whatever the frame is for, its payload follows.
    connection.payload = .{
        .stream = null,
        .content = content,
        .padding = padding,
        .ends = ends,
        .active = content + padding > 0 or ends,
    };
    const foreseen = connection.foreseen == header.stream;
    connection.foreseen = 0;
    const stream = connection.streams.find(header.stream) orelse {
        if (connection.isIdle(header.stream)) return failed(connection, .protocol_error);
        if (connection.closed.fateOf(header.stream) == .by_peer) return failed(connection, .stream_closed);
        if (connection.closed.fateOf(header.stream) == .never_opened) return failed(connection, .protocol_error);
        // What was of use counts as no frame without any.
        if (!foreseen) control_frames.ignore(connection);
        abandon(connection, header.length);
        return false;
    };
    var broken: ?ErrorCode = null;
    if (stream.flags.remote_ended) {
        broken = .stream_closed;
    } else if (header.length > stream.receive_window) {
        broken = .flow_control_error;
    } else if (stream.flags.has_length and (content > stream.content_left or (ends and content != stream.content_left))) {
        broken = .protocol_error;
    }
    if (broken) |code| {
        abandon(connection, header.length);
        return lifetime.fault(connection, stream, code, event);
    }
    const empty_max = connection.context.limits.max_empty_frames_per_s;
    if (content == 0 and !ends and connection.empty_frames.exceeds(empty_max, connection.now_ms))
        return failed(connection, .enhance_your_calm);
    connection.payload.stream = stream;
    stream.receive_window -= @intCast(header.length);
    lifetime.giveBackTo(connection, stream, overhead);
    lifetime.giveBack(connection, overhead);
    const too_large = content > stream.content_left;
    stream.content_left -|= content;
    if (stream.flags.discards or !too_large) return false;
    stream.flags.discards = true;
    event.* = .{ .kind = .refused, .stream = stream, .refusal = .content_too_large };
    return connection.phase != .failed;
}

/// A payload that is counted, and nobody's.
fn abandon(connection: *Connection, length: u32) void {
    connection.payload.ends = false;
    connection.payload.active = connection.payload.content + connection.payload.padding > 0;
    lifetime.giveBack(connection, length);
}

/// True with a piece of content for the owner of the stream.
fn continuePayload(connection: *Connection, input: *Text, event: *Event) bool {
    const payload = &connection.payload;
    if (payload.stream) |stream| {
        if (stream.flags.over) lifetime.abandonPayload(connection);
    }
    const stream = payload.stream orelse {
        skipped(payload, input);
        return false;
    };
    if (payload.content > 0 and input.len == 0) return false;
    const piece = take(input, @min(payload.content, input.len));
    payload.content -= @intCast(piece.len);
    const last = payload.content == 0;
    const ends = last and payload.ends;
    if (last) {
        // What is left is padding.
        payload.stream = null;
        payload.ends = false;
        payload.active = payload.padding > 0;
    }
    const kept = !stream.flags.discards;
    if (kept) {
        stream.unread += @intCast(piece.len);
        connection.unread += piece.len;
    }
    // The window of the stream does not open again for what is thrown away.
    lifetime.giveBack(connection, @intCast(piece.len));
    if (connection.phase == .failed) return false;
    if (ends) lifetime.endRemote(connection, stream);
    if (!kept or (piece.len == 0 and !ends)) return false;
    event.* = .{ .kind = .data, .stream = stream, .data = piece, .ends = ends };
    return true;
}

fn skipped(payload: *Connection.Payload, input: *Text) void {
    const left = payload.content + payload.padding;
    const count: u32 = @intCast(@min(left, input.len));
    _ = take(input, count);
    payload.content = left - count;
    payload.padding = 0;
    payload.active = payload.content > 0;
}

/// The whole content of a request that was just announced, where the next frame of the input is all of it: to be looked at before
/// the next step, which gives it all the same.
pub fn bodyHere(connection: *Connection, input: *const Text, stream: *const Stream) ?[]u8 {
    if (connection.payload.active or connection.stash.items.len > 0 or input.len < codes.frame_header_bytes) return null;
    const header: Header = .read(input.ptr[0..codes.frame_header_bytes]);
    if (header.type != .data or header.stream != stream.id or header.flags != Flag.end_stream) return null;
    if (header.length > codes.frame_payload_usual or header.length > input.len - codes.frame_header_bytes) return null;
    const length: i64 = header.length;
    if (length > connection.receive_window or length > stream.receive_window) return null;
    if (stream.flags.over or stream.flags.discards or length > stream.content_left) return null;
    if (stream.flags.has_length and length != stream.content_left) return null;
    connection.foreseen = stream.id;
    return input.ptr[codes.frame_header_bytes..][0..header.length];
}
