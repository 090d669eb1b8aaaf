//! A socket context: callbacks shared by sockets, and the lists of them.
const std = @import("std");
const assert = std.debug.assert;
const sys = @import("sys.zig");
const loop_module = @import("loop.zig");
const Loop = loop_module.Loop;
const Walk = @import("loop.zig").Walk;
const Socket = @import("socket.zig").Socket;
const listener = @import("listener.zig");
const Server = @import("tls_server.zig").Server;
const Listener = listener.Listener;

const default_backlog = 2048;

pub const SocketCallback = *const fn (*Socket) callconv(.c) ?*Socket;
pub const OpenCallback = *const fn (*Socket, c_int, ?[*]u8, c_int) callconv(.c) ?*Socket;
pub const CloseCallback = *const fn (*Socket, c_int, ?*anyopaque) callconv(.c) ?*Socket;
pub const DataCallback = *const fn (*Socket, [*]u8, c_int) callconv(.c) ?*Socket;
pub const ErrorCallback = *const fn (*Socket, c_int) callconv(.c) ?*Socket;
pub const VisitCallback = *const fn (*Socket, ?*anyopaque) callconv(.c) void;
const WaitingCallback = *const fn (?*anyopaque, c_int, c_int) callconv(.c) void;
pub const PreambleCallback = *const fn (?*anyopaque, [*]const u8, usize) callconv(.c) isize;
const ServerNameCallback = *const fn (*Context, [*:0]const u8) callconv(.c) void;

/// What TLS may agree on (RFC 7301).
pub const Protocols = packed struct(u8) {
    http_1_1: bool = true,
    http_2: bool = false,
    _: u6 = 0,
};

pub const Context = extern struct {
    loop: *Loop,
    next: ?*Context = null,
    prev: ?*Context = null,
    sockets: ?*Socket = null,
    listeners: ?*Listener = null,
    on_open: ?OpenCallback = null,
    on_close: ?CloseCallback = null,
    on_data: ?DataCallback = null,
    on_writable: ?SocketCallback = null,
    on_timeout: ?SocketCallback = null,
    on_long_timeout: ?SocketCallback = null,
    on_connect_error: ?ErrorCallback = null,
    on_end: ?SocketCallback = null,
    on_half_closed: ?*const fn (*Socket) callconv(.c) void = null,
    on_server_name: ?ServerNameCallback = null,
    /// Of sockets that speak TLS.
    on_preamble: ?PreambleCallback = null,
    preamble_user: ?*anyopaque = null,
    on_waiting: ?WaitingCallback = null,
    waiting_user: ?*anyopaque = null,
    /// Open sockets in the list.
    count: u32 = 0,
    /// Sockets that its listeners accepted and that are open still, wherever they were adopted to.
    accepted: u32 = 0,
    /// 0 for no limit.
    accepted_max: u32 = 0,
    /// Its listeners speak TLS.
    tls: ?*Server = null,
    backlog: c_int = default_backlog,
    listen_error: c_int = 0,
    protocols: Protocols = .{},
    /// Where failed handshakes are counted for others to read.
    failures: ?*u64 = null,

    pub fn link(context: *Context, socket: *Socket) void {
        socket.context = context;
        socket.prev = null;
        socket.next = context.sockets;
        if (socket.next) |next| next.prev = socket;
        context.sockets = socket;
        context.count += 1;
        context.loop.active += 1;
    }

    pub fn unlink(context: *Context, socket: *Socket) void {
        context.loop.skipInWalks(socket);
        if (socket.prev) |prev| prev.next = socket.next else context.sockets = socket.next;
        if (socket.next) |next| next.prev = socket.prev;
        context.count -= 1;
        context.loop.active -= 1;
    }

    /// So many, or null for somebody, are not accepted: an errno says why, 0 that there are as many as there may be. The callback
    /// may close the listeners.
    pub fn tellWaiting(context: *Context, reason: c_int, count: ?u32) void {
        if (count == 0) return;
        const unknown = -1;
        const callback = context.on_waiting orelse return;
        callback(context.waiting_user, reason, if (count) |number| @intCast(number) else unknown);
    }

    pub fn isFull(context: *const Context) bool {
        return context.accepted_max != 0 and context.accepted >= context.accepted_max;
    }
};

/// The engine's own notion of TLS, which stays unused: see tls_server.zig.
const Options = extern struct {
    key_file_name: ?[*:0]const u8,
    cert_file_name: ?[*:0]const u8,
    passphrase: ?[*:0]const u8,
    dh_params_file_name: ?[*:0]const u8,
    ca_file_name: ?[*:0]const u8,
    ssl_ciphers: ?[*:0]const u8,
    ssl_prefer_low_memory_usage: c_int,
};

/// Null for ssl: TLS is a matter of us_socket_context_tls, not of the engine's flag.
export fn us_create_socket_context(ssl: c_int, loop: *Loop, ext_size: c_int, options: Options) ?*Context {
    _ = options;
    if (ssl != 0) return null;
    const context = sys.create(Context, @intCast(ext_size)) orelse return null;
    context.* = .{ .loop = loop };
    context.next = loop.contexts;
    if (context.next) |next| next.prev = context;
    loop.contexts = context;
    return context;
}

export fn us_create_child_socket_context(ssl: c_int, parent: *Context, ext_size: c_int) ?*Context {
    const no_options = std.mem.zeroes(Options);
    return us_create_socket_context(ssl, parent.loop, ext_size, no_options);
}

export fn us_socket_context_free(ssl: c_int, context: *Context) void {
    us_socket_context_close(ssl, context);
    // Closed sockets of this context may wait for the turn's end; they do not look at it any more.
    if (context.prev) |prev| prev.next = context.next else context.loop.contexts = context.next;
    if (context.next) |next| next.prev = context.prev;
    if (context.tls) |server| server.destroy();
    const loop = context.loop;
    sys.free(context);
    loop_module.contextFreed(loop);
}

export fn us_socket_context_close(ssl: c_int, context: *Context) void {
    _ = ssl;
    us_socket_context_close_listeners(context);
    while (context.sockets) |socket| _ = socket.close(0, null);
}

export fn us_socket_context_close_listeners(context: *Context) void {
    while (context.listeners) |each| each.close();
}

export fn us_socket_context_for_each(context: *Context, visit: VisitCallback, user: ?*anyopaque) void {
    var walk: Walk = .{ .next = context.sockets, .outer = null };
    context.loop.beginWalk(&walk);
    defer context.loop.endWalk(&walk);
    while (walk.next) |socket| {
        walk.next = socket.next;
        visit(socket, user);
    }
}

export fn us_socket_context_ext(ssl: c_int, context: *Context) *anyopaque {
    _ = ssl;
    return sys.extOf(Context, context);
}

export fn us_socket_context_loop(ssl: c_int, context: *Context) *Loop {
    _ = ssl;
    return context.loop;
}

export fn us_socket_context_timestamp(ssl: c_int, context: *Context) c_ushort {
    _ = ssl;
    return @truncate(context.loop.now_tick & 0x7fff);
}

export fn us_socket_context_count(context: *Context) c_uint {
    return context.count;
}

export fn us_socket_context_set_max_sockets(context: *Context, max: c_uint) void {
    context.accepted_max = max;
    listener.resumeAll(context);
    // A limit decides how connections are accepted, too.
    var next = context.listeners;
    while (next) |each| : (next = each.next) each.poll.moved(context.loop);
}

export fn us_socket_context_set_backlog(context: *Context, backlog: c_int) void {
    assert(backlog > 0);
    context.backlog = backlog;
}

export fn us_socket_context_set_protocols(context: *Context, http_1_1: c_int, http_2: c_int) void {
    context.protocols = .{ .http_1_1 = http_1_1 != 0, .http_2 = http_2 != 0 };
}

export fn us_socket_context_listen_error(context: *Context) c_int {
    return context.listen_error;
}

/// Callbacks that the engine's C API sets one by one. Server names belong to TLS: a plain context keeps that callback and
/// never calls it.
const callbacks = [_][]const u8{
    "on_open",
    "on_close",
    "on_data",
    "on_writable",
    "on_timeout",
    "on_long_timeout",
    "on_connect_error",
    "on_end",
    "on_server_name",
};

comptime {
    for (callbacks) |name| @export(&Setter(name).set, .{ .name = "us_socket_context_" ++ name });
}

/// What sets a callback. The API says each time whether the context speaks TLS, which it knows itself.
fn Setter(comptime name: []const u8) type {
    return struct {
        fn set(ssl: c_int, context: *Context, callback: @FieldType(Context, name)) callconv(.c) void {
            _ = ssl;
            @field(context, name) = callback;
        }
    };
}

export fn us_socket_context_on_half_closed(context: *Context, callback: *const fn (*Socket) callconv(.c) void) void {
    context.on_half_closed = callback;
}

export fn us_socket_context_on_waiting(context: *Context, callback: ?WaitingCallback, user: ?*anyopaque) void {
    context.on_waiting = callback;
    context.waiting_user = user;
}

export fn us_socket_context_add_server_name(
    ssl: c_int,
    context: *Context,
    pattern: [*:0]const u8,
    options: Options,
    user: ?*anyopaque,
) void {
    _ = .{ ssl, context, pattern, options, user };
}

export fn us_socket_context_remove_server_name(ssl: c_int, context: *Context, pattern: [*:0]const u8) void {
    _ = .{ ssl, context, pattern };
}

export fn us_socket_context_find_server_name_userdata(ssl: c_int, context: *Context, pattern: [*:0]const u8) ?*anyopaque {
    _ = .{ ssl, context, pattern };
    return null;
}

export fn us_socket_context_get_native_handle(ssl: c_int, context: *Context) ?*anyopaque {
    _ = .{ ssl, context };
    return null;
}
