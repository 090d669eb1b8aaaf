//! Addresses and ports of sockets.
const std = @import("std");
const sys = @import("sys.zig");
const Socket = @import("socket.zig").Socket;

const Side = enum { local, remote };

fn query(fd: c_int, side: Side) ?sys.SockaddrStorage {
    var storage: sys.SockaddrStorage = .{};
    var length: u32 = @sizeOf(sys.SockaddrStorage);
    const result = switch (side) {
        .local => sys.getsockname(fd, &storage, &length),
        .remote => sys.getpeername(fd, &storage, &length),
    };
    return if (result == 0) storage else null;
}

/// In host order, or -1 for sockets without one.
fn portOf(fd: c_int, side: Side) c_int {
    const storage = query(fd, side) orelse return -1;
    if (storage.family() != sys.af_inet and storage.family() != sys.af_inet6) return -1;
    return std.mem.readInt(u16, storage.data[0..2], .big);
}

/// Copies 4 or 16 bytes; an IPv4 client of a dual-stack socket has 4. Nothing for other families or too small buffers.
fn copyAddress(fd: c_int, side: Side, out: [*]u8, length: *c_int) void {
    const room = length.*;
    length.* = 0;
    const storage = query(fd, side) orelse return;
    var bytes: []const u8 = switch (storage.family()) {
        sys.af_inet => storage.data[2..6],
        sys.af_inet6 => storage.data[6..22],
        else => return,
    };
    const mapped_prefix = @as([10]u8, @splat(0)) ++ [_]u8{ 0xff, 0xff };
    if (bytes.len == 16 and std.mem.startsWith(u8, bytes, &mapped_prefix)) bytes = bytes[12..];
    if (room < bytes.len) return;
    @memcpy(out[0..bytes.len], bytes);
    length.* = @intCast(bytes.len);
}

pub fn localPort(fd: c_int) c_int {
    return portOf(fd, .local);
}

/// Works for listening sockets too: both begin with their poll.
export fn us_socket_local_port(ssl: c_int, socket: *Socket) c_int {
    _ = ssl;
    return portOf(socket.poll.fd, .local);
}

export fn us_socket_remote_port(socket: *Socket) c_int {
    return portOf(socket.poll.fd, .remote);
}

export fn us_socket_remote_address(ssl: c_int, socket: *Socket, out: [*]u8, length: *c_int) void {
    _ = ssl;
    copyAddress(socket.poll.fd, .remote, out, length);
}

export fn us_socket_local_address(socket: *Socket, out: [*]u8, length: *c_int) void {
    copyAddress(socket.poll.fd, .local, out, length);
}
