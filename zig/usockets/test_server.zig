//! What the tests share: a server context that echoes, and clients that are plain blocking descriptors.
const std = @import("std");
const sys = @import("sys.zig");
const Loop = @import("loop.zig").Loop;
const Context = @import("context.zig").Context;
const Socket = @import("socket.zig").Socket;
const Listener = @import("listener.zig").Listener;
const expectEqual = std.testing.expectEqual;

const Options = extern struct { files: [6]?*anyopaque = @splat(null), low_memory: c_int = 0 };
const LoopCallback = *const fn (*Loop) callconv(.c) void;

pub extern fn us_create_loop(hint: ?*anyopaque, wakeup: LoopCallback, pre: LoopCallback, post: LoopCallback, ext: c_uint) ?*Loop;
pub extern fn us_backend() c_int;
pub extern fn us_loop_free(loop: *Loop) void;
pub extern fn us_loop_pump(loop: *Loop) c_int;
pub extern fn us_loop_fd(loop: *Loop) c_int;
pub extern fn us_wakeup_loop(loop: *Loop) void;
pub extern fn us_create_socket_context(ssl: c_int, loop: *Loop, ext: c_int, options: Options) ?*Context;
pub extern fn us_create_child_socket_context(ssl: c_int, parent: *Context, ext: c_int) ?*Context;
pub extern fn us_socket_context_free(ssl: c_int, context: *Context) void;
pub extern fn us_socket_context_listen(
    ssl: c_int,
    context: *Context,
    host: ?[*:0]const u8,
    port: c_int,
    options: c_int,
    ext: c_int,
) ?*Listener;
pub extern fn us_socket_context_listen_unix(
    ssl: c_int,
    context: *Context,
    path: [*:0]const u8,
    options: c_int,
    ext: c_int,
) ?*Listener;
pub extern fn us_socket_context_listen_error(context: *Context) c_int;
pub extern fn us_socket_context_set_max_sockets(context: *Context, max: c_uint) void;
pub extern fn us_socket_context_count(context: *Context) c_uint;
pub extern fn us_socket_context_adopt_socket(ssl: c_int, context: *Context, socket: *Socket, ext: c_int) ?*Socket;
pub extern fn us_socket_local_port(ssl: c_int, socket: *Socket) c_int;
pub extern fn us_socket_remote_port(socket: *Socket) c_int;
pub extern fn us_socket_remote_address(ssl: c_int, socket: *Socket, out: [*]u8, length: *c_int) void;
pub extern fn us_socket_write(ssl: c_int, socket: *Socket, data: [*]const u8, length: c_int, more: c_int) c_int;
pub extern fn us_socket_write2(ssl: c_int, socket: *Socket, a: [*]const u8, a_length: c_int, b: [*]const u8, b_length: c_int) c_int;
pub extern fn us_socket_timeout(ssl: c_int, socket: *Socket, seconds: c_uint) void;
pub extern fn us_socket_long_timeout(ssl: c_int, socket: *Socket, minutes: c_uint) void;
pub extern fn us_socket_is_shut_down(ssl: c_int, socket: *Socket) c_int;
pub extern fn us_socket_close(ssl: c_int, socket: *Socket, code: c_int, reason: ?*anyopaque) *Socket;
pub extern fn us_socket_shutdown(ssl: c_int, socket: *Socket) void;
pub extern fn us_socket_pause(socket: *Socket) void;
pub extern fn us_socket_resume(socket: *Socket) void;
pub extern fn us_socket_tag(socket: *Socket) c_uint;
pub extern fn us_socket_set_tag(socket: *Socket, tag: c_uint) void;
pub extern fn us_socket_schedule_data(socket: *Socket) void;

const backend_unavailable = -2;

/// What the callbacks saw; tests run one after the other.
pub const Seen = struct {
    opened: u32 = 0,
    closed: u32 = 0,
    ended: u32 = 0,
    timeouts: u32 = 0,
    long_timeouts: u32 = 0,
    writable: u32 = 0,
    wakeups: u32 = 0,
    empty: u32 = 0,
    last: ?*Socket = null,
    mode: enum { echo, echo_twice, keep, adopt, reply_and_close } = .echo,
    child: ?*Context = null,
};
pub var seen: Seen = .{};

fn nothing(_: *Loop) callconv(.c) void {}

fn onWakeup(_: *Loop) callconv(.c) void {
    seen.wakeups += 1;
}

fn onOpen(socket: *Socket, _: c_int, _: ?[*]u8, _: c_int) callconv(.c) ?*Socket {
    seen.opened += 1;
    seen.last = socket;
    return socket;
}

fn onClose(socket: *Socket, _: c_int, _: ?*anyopaque) callconv(.c) ?*Socket {
    seen.closed += 1;
    return socket;
}

fn onData(socket: *Socket, data: [*]u8, length: c_int) callconv(.c) ?*Socket {
    if (length == 0) seen.empty += 1;
    switch (seen.mode) {
        .echo => _ = us_socket_write(0, socket, data, length, 0),
        .echo_twice => _ = us_socket_write2(0, socket, data, length, data, length),
        .keep => {},
        .adopt => {
            us_socket_set_tag(socket, 7);
            seen.mode = .echo;
            const moved = us_socket_context_adopt_socket(0, seen.child.?, socket, 4096).?;
            seen.last = moved;
            _ = us_socket_write(0, moved, data, length, 0);
            return moved;
        },
        .reply_and_close => {
            _ = us_socket_write(0, socket, "bye", 3, 0);
            us_socket_shutdown(0, socket);
            return us_socket_close(0, socket, 0, null);
        },
    }
    return socket;
}

fn onWritable(socket: *Socket) callconv(.c) ?*Socket {
    seen.writable += 1;
    return socket;
}

fn onEnd(socket: *Socket) callconv(.c) ?*Socket {
    seen.ended += 1;
    return us_socket_close(0, socket, 0, null);
}

fn onLongTimeout(socket: *Socket) callconv(.c) ?*Socket {
    seen.long_timeouts += 1;
    return socket;
}

fn onTimeout(socket: *Socket) callconv(.c) ?*Socket {
    seen.timeouts += 1;
    return us_socket_close(0, socket, 0, null);
}

/// What it means for a test that there is no loop.
pub fn noLoop() error{ SkipZigTest, NoLoop } {
    return if (us_backend() == backend_unavailable) error.SkipZigTest else error.NoLoop;
}

pub const Server = struct {
    loop: *Loop,
    context: *Context,
    port: u16 = 0,

    pub fn init() !Server {
        seen = .{};
        const loop = us_create_loop(null, onWakeup, nothing, nothing, 64) orelse return noLoop();
        const context = us_create_socket_context(0, loop, 16, .{}).?;
        setCallbacks(context);
        return .{ .loop = loop, .context = context };
    }

    pub fn listening() !Server {
        var server = try init();
        const listener = us_socket_context_listen(0, server.context, "127.0.0.1", 0, 0, 64).?;
        server.port = @intCast(us_socket_local_port(0, @ptrCast(listener)));
        return server;
    }

    pub fn setCallbacks(context: *Context) void {
        context.on_open = onOpen;
        context.on_close = onClose;
        context.on_data = onData;
        context.on_writable = onWritable;
        context.on_end = onEnd;
        context.on_timeout = onTimeout;
        context.on_long_timeout = onLongTimeout;
    }

    pub fn deinit(server: Server) void {
        us_socket_context_free(0, server.context);
        _ = us_loop_pump(server.loop);
        us_loop_free(server.loop);
    }

    /// Turns of the loop until nothing more is ready.
    pub fn turnUntilIdle(server: Server) void {
        for (0..50) |_| {
            _ = us_loop_pump(server.loop);
            if (!readable(us_loop_fd(server.loop), 20)) return;
        }
    }

    pub fn connect(server: Server) !c_int {
        const fd = sys.openBlockingSocket(sys.af_inet, sys.sock_stream);
        var address: sys.SockaddrStorage = .of(sys.af_inet);
        std.mem.writeInt(u16, address.data[0..2], server.port, .big);
        address.data[2..6].* = .{ 127, 0, 0, 1 };
        try expectEqual(@as(c_int, 0), sys.connect(fd, &address, 16));
        server.turnUntilIdle();
        return fd;
    }
};

pub const readable = sys.isReadable;

pub fn exchange(server: Server, fd: c_int, text: []const u8, buffer: []u8) []u8 {
    _ = sys.send(fd, text.ptr, text.len, sys.msg_nosignal);
    server.turnUntilIdle();
    if (!readable(fd, 1000)) return buffer[0..0];
    const count = sys.recv(fd, buffer.ptr, buffer.len, 0);
    return buffer[0..@intCast(@max(count, 0))];
}
