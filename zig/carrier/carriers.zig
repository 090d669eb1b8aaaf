//! The connections of HTTP/2 of an app: their context, and the functions of Carrier.h.
const std = @import("std");
const sys = @import("../usockets/sys.zig");
const loop_module = @import("../usockets/loop.zig");
const Loop = loop_module.Loop;
const context_module = @import("../usockets/context.zig");
const Context = context_module.Context;
const Socket = @import("../usockets/socket.zig").Socket;
const Head = @import("../http/head.zig").Head;
const connection_module = @import("../http2/connection.zig");
const Limits = @import("../http2/limits.zig").Limits;
const carrier_module = @import("carrier.zig");
const Carrier = carrier_module.Carrier;
const Stream = @import("stream.zig").Stream;

const allocator = std.heap.c_allocator;

pub const Request = extern struct {
    head: *Head,
    content: ?[*]const u8,
    content_length: usize,
    protocol: ?[*]const u8,
    protocol_length: usize,
};

pub const Field = extern struct {
    name: [*]const u8,
    name_length: usize,
    value: [*]const u8,
    value_length: usize,
};

const Callbacks = extern struct {
    on_request: *const fn (*Socket, *const Request) callconv(.c) void,
    on_body: *const fn (*Socket, [*]const u8, usize, bool) callconv(.c) void,
    on_refused: *const fn (*Socket, c_uint, bool) callconv(.c) void,
    on_closed: *const fn (?*anyopaque) callconv(.c) void,
};

const Timeouts = extern struct { header: c_uint, keep_alive: c_uint, write: c_uint };

const GivenLimits = extern struct {
    max_body_bytes: u64,
    max_target_bytes: u32,
    max_header_bytes: u32,
    max_trailer_bytes: u32,
    max_header_count: u32,
    max_streams: u32,
};

/// Behind the context of an app's connections.
pub const Carriers = struct {
    streams: *Context,
    stream_ext_bytes: u32,
    callbacks: Callbacks,
    timeouts: Timeouts,
    shared: *connection_module.Context,

    pub fn of(context: *Context) *Carriers {
        return @ptrCast(@alignCast(sys.extOf(Context, context)));
    }
};

extern fn us_socket_context_close(ssl: c_int, context: *Context) void;
extern fn us_socket_context_free(ssl: c_int, context: *Context) void;
extern fn us_socket_has_input(socket: *const Socket) c_int;
extern fn us_socket_context_for_each(context: *Context, visit: context_module.VisitCallback, user: ?*anyopaque) void;

export fn carrier_create_context(
    streams: *Context,
    stream_ext_bytes: c_uint,
    callbacks: *const Callbacks,
    given: *const GivenLimits,
    timeouts: *const Timeouts,
) ?*Context {
    const limits: Limits = .{
        .max_target_bytes = given.max_target_bytes,
        // Each field counts for 32 bytes more than its texts.
        .max_header_list_bytes = given.max_header_bytes +| given.max_header_count *| 32,
        .max_header_bytes = given.max_header_bytes,
        .max_trailer_bytes = given.max_trailer_bytes,
        .max_header_count = given.max_header_count,
        .max_concurrent_streams = given.max_streams,
        .max_body = given.max_body_bytes,
        .header_timeout_ms = timeouts.header *| std.time.ms_per_s,
        .stall_timeout_ms = timeouts.write *| std.time.ms_per_s,
    };
    const loop = streams.loop;
    const context = sys.create(Context, @sizeOf(Carriers)) orelse return null;
    const shared = connection_module.Context.create(allocator, limits) catch {
        sys.free(context);
        return null;
    };
    shared.spare.owner_bytes = @sizeOf(Stream);
    context.* = .{ .loop = loop };
    context.next = loop.contexts;
    if (context.next) |next| next.prev = context;
    loop.contexts = context;
    context.on_open = onOpen;
    context.on_close = onClose;
    context.on_data = onData;
    context.on_writable = onWritable;
    context.on_timeout = onTimeout;
    context.on_end = onEnd;
    Carriers.of(context).* = .{
        .streams = streams,
        .stream_ext_bytes = stream_ext_bytes,
        .callbacks = callbacks.*,
        .timeouts = timeouts.*,
        .shared = shared,
    };
    return context;
}

export fn carrier_free_context(context: *Context) void {
    const shared = Carriers.of(context).shared;
    us_socket_context_close(0, context);
    us_socket_context_free(0, context);
    shared.destroy();
}

export fn carrier_begin(context: *Context, socket: *Socket, bytes: [*]u8, length: usize, user: ?*anyopaque) ?*Socket {
    const time = carrier_module.now();
    const connection = connection_module.Connection.create(Carriers.of(context).shared, time) catch return null;
    const moved = socket.adopt(context, @sizeOf(Carrier)) orelse {
        connection.destroy();
        return null;
    };
    const carrier: *Carrier = .of(moved);
    carrier.* = .{ .socket = moved, .connection = connection, .user = user, .idle_ms = time, .ticked_ms = time };
    carrier.receive(bytes[0..length]);
    return moved;
}

/// Who is not patient does not wait for what the peer may send before it knows, but serves what has arrived.
export fn carrier_drain(context: *Context, patient: bool) void {
    var given = patient;
    us_socket_context_for_each(context, drainOne, &given);
}

fn drainOne(socket: *Socket, user: ?*anyopaque) callconv(.c) void {
    const patient: *bool = @ptrCast(user.?);
    const carrier: *Carrier = .of(socket);
    carrier.connection.shutdown(carrier_module.now());
    if (!patient.* and us_socket_has_input(socket) == 0) carrier.connection.finishShutdown();
    carrier.wake();
}

export fn carrier_user(socket: *Socket) ?*anyopaque {
    return Carrier.of(socket.origin.carried.carrier).user;
}

export fn carrier_is_extended(socket: *Socket) c_int {
    return @intFromBool(!socket.closed() and Stream.ofSocket(socket).extended);
}

export fn carrier_head(socket: *Socket, status: c_uint, fields: ?[*]const Field, count: usize) void {
    if (socket.closed()) return;
    Stream.ofSocket(socket).head(@intCast(status), if (fields) |items| items[0..count] else &.{});
}

fn onOpen(socket: *Socket, _: c_int, _: ?[*]u8, _: c_int) callconv(.c) ?*Socket {
    return socket;
}

fn onClose(socket: *Socket, _: c_int, _: ?*anyopaque) callconv(.c) ?*Socket {
    Carrier.of(socket).closed();
    return socket;
}

/// Without bytes, the turn ends.
fn onData(socket: *Socket, data: [*]u8, length: c_int) callconv(.c) ?*Socket {
    const carrier: *Carrier = .of(socket);
    if (length == 0) carrier.settle() else carrier.receive(data[0..@intCast(length)]);
    return socket;
}

fn onWritable(socket: *Socket) callconv(.c) ?*Socket {
    Carrier.of(socket).settle();
    return socket;
}

fn onTimeout(socket: *Socket) callconv(.c) ?*Socket {
    Carrier.of(socket).timedOut();
    return socket;
}

fn onEnd(socket: *Socket) callconv(.c) ?*Socket {
    return socket.close(0, null);
}
