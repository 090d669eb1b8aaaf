//! Sockets as C knows them: libusockets.h and usockets_ext.h.
const sys = @import("sys.zig");
const Events = @import("poll.zig").Events;
const Context = @import("context.zig").Context;
const socket_module = @import("socket.zig");
const Socket = socket_module.Socket;
const Flags = socket_module.Flags;
const tls_socket = @import("tls_socket.zig");
const carried = @import("carried.zig");

/// Hands over what the turn has collected; whether anything waits all the same.
export fn us_socket_owes(socket: *Socket) c_int {
    if (socket.isCarried()) carried.flush(socket);
    socket.sendQueued();
    return @intFromBool(!socket.closed() and socket.owesOutput());
}

export fn us_socket_hurry(socket: *const Socket) void {
    if (socket.isCarried()) return carried.hurry(socket);
    if (socket.queued == 0) return;
    if (socket.context.loop.uring()) |uring| uring.hurry(socket);
}

/// As after a write that the kernel did not take whole: somebody else filled its buffer.
export fn us_socket_await_writable(socket: *Socket) void {
    if (socket.closed() or socket.has(Flags.shut_down)) return;
    socket.set(Flags.write_failed, true);
    if (socket.isCarried()) return carried.awaitWritable(socket);
    socket.poll.add(socket.context.loop, Events.writable);
}

export fn us_socket_write(ssl: c_int, socket: *Socket, data: [*]const u8, length: c_int, more: c_int) c_int {
    _ = ssl;
    if (length <= 0) return 0;
    return @intCast(socket.send(&.{.{ .base = data, .len = @intCast(length) }}, more != 0));
}

/// As us_socket_write, of any length.
export fn us_socket_send(socket: *Socket, data: [*]const u8, length: usize, more: c_int) usize {
    return socket.send(&.{.{ .base = data, .len = length }}, more != 0);
}

/// As us_socket_write2, of any length.
export fn us_socket_send2(
    socket: *Socket,
    header: [*]const u8,
    header_length: usize,
    payload: [*]const u8,
    payload_length: usize,
) usize {
    return socket.send(&.{ .{ .base = header, .len = header_length }, .{ .base = payload, .len = payload_length } }, false);
}

export fn us_socket_write2(
    ssl: c_int,
    socket: *Socket,
    header: [*]const u8,
    header_length: c_int,
    payload: [*]const u8,
    payload_length: c_int,
) c_int {
    _ = ssl;
    const sent = us_socket_send2(socket, header, @intCast(header_length), payload, @intCast(payload_length));
    return @intCast(sent);
}

/// Nothing is withheld but by MSG_MORE, which the next write ends.
export fn us_socket_flush(ssl: c_int, socket: *Socket) void {
    _ = .{ ssl, socket };
}

export fn us_socket_close(ssl: c_int, socket: *Socket, code: c_int, reason: ?*anyopaque) *Socket {
    _ = ssl;
    return socket.close(code, reason);
}

export fn us_socket_is_closed(ssl: c_int, socket: *Socket) c_int {
    _ = ssl;
    return @intFromBool(socket.closed());
}

export fn us_socket_is_established(ssl: c_int, socket: *Socket) c_int {
    _ = ssl;
    return @intFromBool(!socket.closed() and socket.isEstablished());
}

export fn us_socket_shutdown(ssl: c_int, socket: *Socket) void {
    _ = ssl;
    if (socket.closed() or socket.has(Flags.shut_down)) return;
    socket.set(Flags.shut_down, true);
    if (socket.tls != null) return tls_socket.shutdown(socket);
    if (socket.isCarried()) return carried.shutdown(socket);
    socket.sendQueued();
    // Our half ends when everything has left.
    if (socket.unsent != null) return;
    socket.poll.remove(socket.context.loop, Events.writable);
    socket.poll.shutdown(socket.context.loop, sys.shut_wr);
}

export fn us_socket_shutdown_read(ssl: c_int, socket: *Socket) void {
    _ = ssl;
    if (!socket.closed() and !socket.isCarried()) socket.poll.shutdown(socket.context.loop, sys.shut_rd);
}

export fn us_socket_cut(socket: *Socket) void {
    if (!socket.closed()) socket.cut();
}

export fn us_socket_is_shut_down(ssl: c_int, socket: *Socket) c_int {
    _ = ssl;
    return @intFromBool(socket.has(Flags.shut_down));
}

export fn us_socket_ext(ssl: c_int, socket: *Socket) *anyopaque {
    _ = ssl;
    return sys.extOf(Socket, socket);
}

export fn us_socket_context(ssl: c_int, socket: *Socket) *Context {
    _ = ssl;
    return socket.context;
}

export fn us_socket_get_native_handle(ssl: c_int, socket: *Socket) ?*anyopaque {
    _ = ssl;
    return @ptrFromInt(@as(usize, @intCast(@max(socket.poll.fd, 0))));
}

export fn us_socket_server_name_userdata(ssl: c_int, socket: *Socket) ?*anyopaque {
    _ = .{ ssl, socket };
    return null;
}

export fn us_socket_context_adopt_socket(ssl: c_int, context: *Context, socket: *Socket, ext_size: c_int) ?*Socket {
    _ = ssl;
    return socket.adopt(context, @intCast(ext_size));
}

export fn us_socket_pause(socket: *Socket) void {
    if (socket.closed()) return;
    socket.set(Flags.paused, true);
    const poll = &socket.poll;
    // The end of input can be reported all the same.
    const rest = poll.interest & ~Events.readable;
    poll.change(socket.context.loop, if (socket.has(Flags.ended)) rest else rest | Events.half_closed);
}

export fn us_socket_resume(socket: *Socket) void {
    if (socket.closed() or !socket.has(Flags.paused)) return;
    socket.set(Flags.paused, false);
    const rest = socket.poll.interest & ~Events.half_closed;
    socket.poll.change(socket.context.loop, if (socket.has(Flags.ended)) rest else rest | Events.readable);
    if (socket.tls != null or socket.isCarried()) socket.scheduleRead();
}

export fn us_socket_ended(socket: *Socket) c_int {
    return @intFromBool(socket.has(Flags.ended));
}

export fn us_socket_linger(socket: *Socket) void {
    socket.set(Flags.lingers, true);
}

/// A peer that has closed does not answer: then the connection breaks.
export fn us_socket_keep_alive(socket: *Socket, idle: c_uint, interval: c_uint, probes: c_uint) void {
    if (socket.closed()) return;
    const fd = socket.poll.fd;
    const on: c_uint = 1;
    _ = sys.setsockopt(fd, sys.ipproto_tcp, sys.tcp_keepidle, &idle, @sizeOf(c_uint));
    _ = sys.setsockopt(fd, sys.ipproto_tcp, sys.tcp_keepintvl, &interval, @sizeOf(c_uint));
    _ = sys.setsockopt(fd, sys.ipproto_tcp, sys.tcp_keepcnt, &probes, @sizeOf(c_uint));
    _ = sys.setsockopt(fd, sys.sol_socket, sys.so_keepalive, &on, @sizeOf(c_uint));
}

export fn us_socket_tag(socket: *Socket) c_uint {
    return socket.tag;
}

export fn us_socket_set_tag(socket: *Socket, tag: c_uint) void {
    socket.tag = tag;
}

/// Whether it has no descriptor of its own.
export fn us_socket_is_carried(socket: *const Socket) c_int {
    return @intFromBool(socket.isCarried());
}

pub export fn us_socket_schedule_data(socket: *Socket) void {
    if (socket.closed()) return;
    socket.set(Flags.wants_data, true);
    socket.schedule();
}
