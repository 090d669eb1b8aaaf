//! The functions that include/Http2.h declares, and describes.
const std = @import("std");
const codes = @import("codes.zig");
const connection_module = @import("connection.zig");
const lifetime = @import("lifetime.zig");
const receive = @import("receive.zig");
const send = @import("send.zig");
const Connection = connection_module.Connection;
const Context = connection_module.Context;
const Event = @import("event.zig").Event;
const Field = send.Field;
const Limits = @import("limits.zig").Limits;
const Output = @import("control.zig").Output;
const Small = @import("frame.zig").Small;
const Text = @import("../http/head.zig").Text;

fn codeOf(failure: send.Failure) i32 {
    return switch (failure) {
        error.Full => -1,
        error.Gone => -2,
        error.Misplaced => -3,
    };
}

fn resultOf(outcome: send.Failure!void) i32 {
    outcome catch |failure| return codeOf(failure);
    return 0;
}

fn slice(comptime T: type, items: ?[*]const T, count: usize) []const T {
    return if (items) |pointer| pointer[0..count] else &.{};
}

export fn http2_default_limits(limits: *Limits) void {
    limits.* = .{};
}

export fn http2_context_create(limits: *const Limits) ?*Context {
    return Context.create(std.heap.c_allocator, limits.*) catch null;
}

export fn http2_context_destroy(context: *Context) void {
    context.destroy();
}

export fn http2_create(context: *Context, now_ms: u64) ?*Connection {
    return Connection.create(context, now_ms) catch null;
}

export fn http2_destroy(connection: *Connection) void {
    connection.destroy();
}

export fn http2_receive(connection: *Connection, input: *Text, now_ms: u64, event: *Event) bool {
    return receive.step(connection, input, now_ms, event);
}

export fn http2_tick(connection: *Connection, now_ms: u64, event: *Event) bool {
    return lifetime.tick(connection, now_ms, event);
}

export fn http2_flush(connection: *Connection, output: *Output) bool {
    return send.flush(connection, output);
}

export fn http2_waiting(connection: *const Connection) usize {
    return connection.control.length();
}

export fn http2_head_bound(connection: *const Connection, fields: ?[*]const Field, count: usize) usize {
    return send.headBound(connection, slice(Field, fields, count));
}

export fn http2_head(
    connection: *Connection,
    output: *Output,
    stream: u32,
    status: u16,
    fields: ?[*]const Field,
    count: usize,
    ends: bool,
) i32 {
    return resultOf(send.head(connection, output, stream, status, slice(Field, fields, count), ends));
}

export fn http2_trailers(connection: *Connection, output: *Output, stream: u32, fields: ?[*]const Field, count: usize) i32 {
    return resultOf(send.trailers(connection, output, stream, slice(Field, fields, count)));
}

export fn http2_data(connection: *Connection, output: *Output, stream: u32, bytes: ?[*]const u8, length: usize, ends: bool) i64 {
    const taken = send.data(connection, output, stream, slice(u8, bytes, length), ends) catch |failure| return codeOf(failure);
    return @intCast(taken);
}

export fn http2_data_header(connection: *Connection, output: *Output, stream: u32, left: usize) i64 {
    const granted = send.dataHeader(connection, output, stream, left) catch |failure| return codeOf(failure);
    return @intCast(granted);
}

export fn http2_next(connection: *const Connection) u32 {
    return send.next(connection);
}

export fn http2_reset(connection: *Connection, stream: u32, code: u32) i32 {
    return resultOf(send.resetStream(connection, stream, @fromBackingInt(code)));
}

export fn http2_consumed(connection: *Connection, stream: u32, bytes: u32) void {
    send.consumed(connection, stream, bytes);
}

export fn http2_set_user(connection: *Connection, stream: u32, user: u64) bool {
    const found = connection.streams.find(stream) orelse return false;
    found.user = user;
    return true;
}

export fn http2_ping(connection: *Connection, payload: *const [8]u8) void {
    lifetime.answer(connection, Small.ping(0, payload));
}

export fn http2_shutdown(connection: *Connection) void {
    lifetime.shutdown(connection);
}

export fn http2_fail(connection: *Connection, code: u32) void {
    lifetime.fail(connection, @fromBackingInt(code));
    connection.failure_told = true;
}

export fn http2_is_finished(connection: *const Connection) bool {
    return connection.isFinished();
}

export fn http2_stream_count(connection: *const Connection) u32 {
    return connection.streams.count;
}

/// Streams in any order: `place` is 0 at first, and moves on.
export fn http2_each(connection: *const Connection, place: *usize, user: *u64) u32 {
    while (place.* < connection.streams.places.len) {
        const stream = connection.streams.places[place.*];
        place.* += 1;
        if (stream.id == 0) continue;
        user.* = stream.user;
        return stream.id;
    }
    return 0;
}
