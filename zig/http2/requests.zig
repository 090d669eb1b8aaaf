//! Field blocks: requests and trailers (RFC 9113 sections 4.3, 5.1, 6.2, 6.10 and 8).
const std = @import("std");
const codes = @import("codes.zig");
const control_frames = @import("control_frames.zig");
const frame_module = @import("frame.zig");
const lifetime = @import("lifetime.zig");
const Connection = @import("connection.zig").Connection;
const ErrorCode = codes.ErrorCode;
const Event = @import("event.zig").Event;
const Flag = codes.Flag;
const Header = frame_module.Header;
const request_head = @import("request_head.zig");
const Outcome = request_head.Outcome;
const RequestHead = request_head.RequestHead;
const Stream = @import("streams.zig").Stream;

/// HEADERS.
pub fn begin(connection: *Connection, header: Header, payload: []u8, event: *Event) bool {
    const fragment = frame_module.content(header, payload) orelse return failed(connection, .protocol_error);
    // A client's streams are odd (section 5.1.1).
    if (header.stream % 2 == 0) return failed(connection, .protocol_error);
    if (connection.streams.find(header.stream) == null and !connection.isIdle(header.stream)) {
        switch (connection.closed.fateOf(header.stream)) {
            .never_opened => return failed(connection, .protocol_error),
            .by_peer => return failed(connection, .stream_closed),
            .by_us => {},
        }
    }
    connection.block_ends = header.has(Flag.end_stream);
    if (header.has(Flag.end_headers)) return finish(connection, header.stream, fragment, event);
    connection.block_stream = header.stream;
    connection.block_frames = 0;
    connection.block_ms = connection.now_ms;
    return add(connection, fragment);
}

/// CONTINUATION: of the block that was begun.
pub fn proceed(connection: *Connection, header: Header, payload: []u8, event: *Event) bool {
    connection.block_frames += 1;
    if (connection.block_frames > connection.context.limits.max_continuation_frames)
        return failed(connection, .enhance_your_calm);
    _ = add(connection, payload);
    if (connection.phase == .failed or !header.has(Flag.end_headers)) return false;
    connection.block_stream = 0;
    var block = connection.block;
    connection.block = .empty;
    defer block.deinit(connection.context.allocator);
    return finish(connection, header.stream, block.items, event);
}

fn add(connection: *Connection, fragment: []const u8) bool {
    const limits = &connection.context.limits;
    if (fragment.len == 0 and connection.empty_frames.exceeds(limits.max_empty_frames_per_s, connection.now_ms))
        return failed(connection, .enhance_your_calm);
    if (connection.block.items.len + fragment.len > limits.maxBlockBytes()) return failed(connection, .enhance_your_calm);
    connection.block.appendSlice(connection.context.allocator, fragment) catch return failed(connection, .internal_error);
    return false;
}

fn failed(connection: *Connection, code: ErrorCode) bool {
    lifetime.fail(connection, code);
    return false;
}

/// The whole block is there. Whatever becomes of its stream, it is decoded: the tables of both sides stay the same (section 4.3).
fn finish(connection: *Connection, id: u32, block: []const u8, event: *Event) bool {
    if (block.len > connection.context.limits.maxBlockBytes()) return failed(connection, .enhance_your_calm);
    const opens = id > connection.last_seen;
    const request = &connection.context.request;
    request.begin(!opens);
    connection.decoder.decode(connection.context.allocator, block, request) catch |err| return failed(connection, switch (err) {
        error.Compression => .compression_error,
        error.OutOfMemory => .internal_error,
    });
    const outcome = request.finish(connection.block_ends);
    if (!opens) return trailers(connection, id, outcome, event);
    connection.closed.open(id, connection.last_seen);
    connection.last_seen = id;
    if (connection.shutdown_phase == .final) {
        // It will try elsewhere; nothing tells it again (section 6.8).
        connection.closed.remember(id, connection.block_ends);
        control_frames.ignore(connection);
        return false;
    }
    // Those that are over count while their application has not let them go.
    const crowded = connection.held >= connection.context.limits.max_concurrent_streams;
    if (crowded or outcome == .malformed) {
        connection.closed.remember(id, connection.block_ends);
        if (crowded and !connection.settings_acknowledged) {
            // The peer could not know.
            lifetime.answer(connection, .resetStream(id, .refused_stream));
        } else lifetime.faultOf(connection, id, if (crowded) .refused_stream else .protocol_error);
        return false;
    }
    const stream = open(connection, id, request) catch return failed(connection, .internal_error);
    connection.last_opened = id;
    event.* = .{
        .kind = .request,
        .stream = stream,
        .ends = connection.block_ends,
        .begins = true,
        .protocol = request.protocol,
        .head = request.head,
    };
    if (request.scheme) |scheme| event.scheme = scheme;
    if (outcome == .refused) {
        event.kind = .refused;
        event.refusal = outcome.refused;
        stream.flags.discards = true;
        stream.flags.has_length = false;
    }
    return true;
}

fn open(connection: *Connection, id: u32, request: *const RequestHead) !*Stream {
    const head = request.head;
    const limits = &connection.context.limits;
    const allocator = connection.context.allocator;
    const stream = try connection.context.spare.take(allocator);
    errdefer connection.context.spare.give(allocator, stream);
    stream.* = .{
        .id = id,
        .send_window = connection.peer_initial_window,
        .receive_window = connection.own_initial_window,
        .content_left = if (head.has_length) head.content_length else limits.max_body,
    };
    try connection.streams.add(allocator, stream);
    connection.held += 1;
    stream.flags.has_length = head.has_length;
    stream.flags.remote_ended = connection.block_ends;
    stream.flags.tunnel = std.mem.eql(u8, head.method.slice(), "CONNECT");
    stream.priority = request.priority orelse .unsaid;
    // A frame may have come before the request, and is newer than its field (RFC 9218 section 7).
    for (&connection.early) |*early| {
        if (early.stream != id) continue;
        stream.priority = early.priority;
        early.* = .{};
    }
    return stream;
}

/// A second block of a stream, which has no pseudo-header fields and ends the stream (section 8.1).
fn trailers(connection: *Connection, id: u32, outcome: Outcome, event: *Event) bool {
    const stream = connection.streams.find(id) orelse {
        // It was sent before the peer knew that we had ended the stream.
        control_frames.ignore(connection);
        return false;
    };
    if (stream.flags.remote_ended) return lifetime.fault(connection, stream, .stream_closed, event);
    const short = stream.flags.has_length and stream.content_left > 0;
    if (outcome == .malformed or !connection.block_ends or short) return lifetime.fault(connection, stream, .protocol_error, event);
    lifetime.endRemote(connection, stream);
    if (stream.flags.discards) return false;
    if (outcome == .refused) {
        stream.flags.discards = true;
        event.* = .{ .kind = .refused, .stream = stream, .refusal = outcome.refused };
        return true;
    }
    event.* = .{ .kind = .trailers, .stream = stream, .ends = true, .head = connection.context.request.head };
    return true;
}
