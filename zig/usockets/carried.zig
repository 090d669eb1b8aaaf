//! Sockets without a descriptor of their own: another socket carries what they send and receive, as a connection of HTTP/2 does for
//! its streams. Contexts, time-outs and callbacks are the same for them. Who carries them knows how: here are only the places where
//! a socket does something else when it is carried.
const std = @import("std");
const assert = std.debug.assert;
const sys = @import("sys.zig");
const Context = @import("context.zig").Context;
const socket_module = @import("socket.zig");
const Socket = socket_module.Socket;
const Flags = socket_module.Flags;
const timeout = @import("timeout.zig");

/// What the carrier does for its sockets. None calls the socket back before it returns, but `receive`.
pub const Operations = struct {
    /// How many bytes were taken; when not all, the writable event is called as soon as there is room.
    send: *const fn (*Socket, []const sys.Iovec) usize,
    /// The writable event is to be called as soon as there is room.
    await_writable: *const fn (*Socket) void,
    /// Nothing more will be sent.
    shutdown: *const fn (*Socket) void,
    /// What was sent leaves now; or when nobody else's answer is waited for.
    flush: *const fn (*Socket) void,
    hurry: *const fn (*Socket) void,
    /// Gives the socket what arrived while it was paused, as long as it is not paused again.
    receive: *const fn (*Socket) void,
    /// The socket is at another place in memory.
    moved: *const fn (*Socket) void,
    /// The socket is closed, and its context was told: `carried` is not looked at any more.
    closed: *const fn (*Socket) void,
};

/// What the carrier keeps for each.
pub const Carried = struct {
    operations: *const Operations,
    carrier: *Socket,
};

/// Its context is told by who calls.
pub fn open(context: *Context, carried: *Carried, ext_bytes: u32) ?*Socket {
    const socket = context.loop.spare.take(ext_bytes) orelse sys.create(Socket, ext_bytes) orelse return null;
    socket.* = .{
        // Both ends have the addresses of the carrier's.
        .poll = .{ .fd = carried.carrier.poll.fd, .kind = .carried },
        .context = context,
        .ext_bytes = ext_bytes,
        .origin = .{ .carried = carried },
    };
    context.link(socket);
    return socket;
}

fn operationsOf(socket: *const Socket) *const Operations {
    assert(socket.isCarried());
    return socket.origin.carried.operations;
}

pub fn send(socket: *Socket, pieces: []const sys.Iovec, total: usize) usize {
    const taken = operationsOf(socket).send(socket, pieces);
    if (taken < total) socket.set(Flags.write_failed, true);
    return taken;
}

pub fn awaitWritable(socket: *Socket) void {
    operationsOf(socket).await_writable(socket);
}

/// There is room once more. The callback may close the socket, or move it.
pub fn writable(socket: *Socket) void {
    if (socket.has(Flags.shut_down)) return;
    socket.set(Flags.write_failed, false);
    if (socket.context.on_writable) |callback| _ = callback(socket);
}

pub fn shutdown(socket: *Socket) void {
    operationsOf(socket).shutdown(socket);
}

pub fn flush(socket: *Socket) void {
    if (!socket.closed()) operationsOf(socket).flush(socket);
}

pub fn hurry(socket: *const Socket) void {
    if (!socket.closed()) operationsOf(socket).hurry(@constCast(socket));
}

/// The carrier cannot close it now, while somebody uses it.
pub fn cut(socket: *Socket) void {
    socket.set(Flags.cut, true);
    socket.set(Flags.paused, false);
    socket.scheduleRead();
}

/// At the end of a turn, as it was asked for.
pub fn receive(socket: *Socket) void {
    if (socket.has(Flags.cut)) {
        _ = socket.close(0, null);
    } else operationsOf(socket).receive(socket);
}

pub fn moved(socket: *Socket) void {
    operationsOf(socket).moved(socket);
}

pub fn close(socket: *Socket, code: c_int, reason: ?*anyopaque) *Socket {
    const context = socket.context;
    context.unlink(socket);
    socket.set(Flags.closed, true);
    timeout.forget(socket);
    socket.deadline = 0;
    socket.long_deadline = 0;
    const result = context.on_close.?(socket, code, reason) orelse socket;
    operationsOf(socket).closed(socket);
    socket.poll.fd = -1;
    socket.discard(context.loop);
    return result;
}
