//! The state machine for programs in Python: tests/support/http2_machine.py has the same structs.
const std = @import("std");
const connection_module = @import("../connection.zig");
const Connection = connection_module.Connection;
const Context = connection_module.Context;
const Event = @import("../event.zig").Event;
const Head = @import("../../http/head.zig").Head;
const Limits = @import("../limits.zig").Limits;
const Stream = @import("../streams.zig").Stream;
const Text = @import("../../http/head.zig").Text;

const Told = extern struct {
    kind: u32,
    stream_id: u32,
    code: u32,
    refusal: i32,
    ends: bool,
    begins: bool,
    extended: bool,
    incremental: bool,
    urgency: u8,
    stream: ?*Stream,
    data: Text,
    protocol: Text,
    scheme: Text,
    head: ?*Head,
};

fn tell(told: *Told, event: *const Event) void {
    told.* = .{
        .kind = @backingInt(event.kind),
        .stream_id = if (event.stream) |stream| stream.id else 0,
        .code = @backingInt(event.code),
        .refusal = @backingInt(event.refusal),
        .ends = event.ends,
        .begins = event.begins,
        .extended = event.protocol != null,
        .incremental = if (event.stream) |stream| stream.priority.incremental else false,
        .urgency = if (event.stream) |stream| stream.priority.urgency else 3,
        .stream = event.stream,
        .data = .from(event.data),
        .protocol = .from(event.protocol orelse &.{}),
        .scheme = .from(event.scheme),
        .head = event.head,
    };
}

/// A limit by its name; false where there is none.
export fn http2_set_limit(limits: *Limits, name: [*:0]const u8, value: u64) bool {
    inline for (@typeInfo(Limits).@"struct".field_names) |each| {
        if (std.mem.eql(u8, std.mem.span(name), each)) {
            const T = @TypeOf(@field(limits, each));
            @field(limits, each) = if (T == bool) value != 0 else @intCast(value);
            return true;
        }
    }
    return false;
}

export fn http2_limits_create() ?*Limits {
    const limits = std.heap.c_allocator.create(Limits) catch return null;
    limits.* = .{};
    return limits;
}

export fn http2_context_create(limits: *Limits) ?*Context {
    defer std.heap.c_allocator.destroy(limits);
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

export fn http2_step(connection: *Connection, input: *Text, now_ms: u64, told: *Told) bool {
    var event: Event = .{};
    const more = connection.step(input, now_ms, &event);
    if (more) tell(told, &event);
    return more;
}

export fn http2_tick(connection: *Connection, now_ms: u64, told: *Told) bool {
    var event: Event = .{};
    const more = connection.tick(now_ms, &event);
    if (more) tell(told, &event);
    return more;
}

export fn http2_body_here(connection: *Connection, input: *Text, stream: *Stream, body: *Text) bool {
    body.* = .from(connection.bodyHere(input, stream) orelse return false);
    return true;
}

export fn http2_waiting(connection: *Connection, bytes: *[*]const u8) usize {
    bytes.* = connection.waiting().ptr;
    return connection.waiting().len;
}

export fn http2_sent(connection: *Connection, length: usize) void {
    connection.sent(length);
}

fn resultOf(failure: anyerror) i64 {
    return switch (failure) {
        error.Gone => -1,
        error.Misplaced => -2,
        else => unreachable,
    };
}

fn codeOf(outcome: anyerror!void) i64 {
    outcome catch |failure| return resultOf(failure);
    return 0;
}

export fn http2_begin_head(connection: *Connection, stream: *Stream, status: u16) i64 {
    return codeOf(connection.beginHead(stream, status));
}

export fn http2_begin_trailers(connection: *Connection, stream: *Stream) i64 {
    return codeOf(connection.beginTrailers(stream));
}

export fn http2_field(connection: *Connection, name: [*]const u8, name_bytes: usize, value: [*]const u8, value_bytes: usize) void {
    connection.field(name[0..name_bytes], value[0..value_bytes]);
}

export fn http2_finish_head(connection: *Connection, ends: bool) i64 {
    return codeOf(connection.finishHead(ends));
}

/// In two pieces, so that both ways are tried.
export fn http2_data(connection: *Connection, stream: *Stream, bytes: [*]const u8, length: usize, ends: bool) i64 {
    const half = length / 2;
    const taken = connection.data(stream, &.{ bytes[0..half], bytes[half..length] }, ends) catch |failure| return resultOf(failure);
    return @intCast(taken);
}

export fn http2_finish(connection: *Connection, stream: *Stream) i64 {
    return codeOf(connection.finish(stream));
}

export fn http2_wait(connection: *Connection, stream: *Stream) void {
    connection.wait(stream);
}

export fn http2_next_writable(connection: *Connection) ?*Stream {
    return connection.nextWritable();
}

export fn http2_reset(connection: *Connection, stream: *Stream, code: u32) void {
    connection.reset(stream, @fromBackingInt(code));
}

export fn http2_release(connection: *Connection, stream: *Stream) void {
    connection.release(stream);
}

export fn http2_consumed(connection: *Connection, stream: *Stream, bytes: usize) void {
    connection.consumed(stream, bytes);
}

export fn http2_ping(connection: *Connection, payload: *const [8]u8) void {
    connection.ping(payload);
}

export fn http2_shutdown(connection: *Connection) void {
    connection.shutdown(connection.now_ms);
}

export fn http2_fail(connection: *Connection, code: u32) void {
    connection.fail(@fromBackingInt(code));
}

export fn http2_is_finished(connection: *const Connection) bool {
    return connection.isFinished();
}

export fn http2_is_over(stream: *const Stream) bool {
    return stream.flags.over;
}

/// Of streams that are not over.
export fn http2_stream_count(connection: *const Connection) u32 {
    return connection.streams.count;
}

/// What the connection holds of the windows: bytes that it must not forget to give back.
export fn http2_window(connection: *const Connection) i64 {
    return @as(i64, connection.receive_window) + connection.owed;
}
