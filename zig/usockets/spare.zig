//! Memory of carried sockets that were closed, for the next ones: each request of HTTP/2 needs one.
const std = @import("std");
const builtin = @import("builtin");
const sys = @import("sys.zig");
const Socket = @import("socket.zig").Socket;

/// As many as one turn usually opens and closes. None in libraries with checks: AddressSanitizer finds who uses what was freed.
const count_max = if (std.debug.runtime_safety and !builtin.is_test) 0 else 256;

pub const Spare = extern struct {
    first: ?*Socket = null,
    count: u32 = 0,
    /// Behind each of them.
    ext_bytes: u32 = 0,

    /// What `sys.create` would give; null where there is none.
    pub fn take(spare: *Spare, ext_bytes: u32) ?*Socket {
        const socket = spare.first orelse return null;
        if (ext_bytes != spare.ext_bytes) return null;
        spare.first = socket.next;
        spare.count -= 1;
        const ext: [*]u8 = @ptrCast(sys.extOf(Socket, socket));
        @memset(ext[0..ext_bytes], 0);
        return socket;
    }

    /// False where it is not kept.
    pub fn give(spare: *Spare, socket: *Socket) bool {
        if (spare.count == 0) spare.ext_bytes = socket.ext_bytes;
        if (socket.ext_bytes != spare.ext_bytes or spare.count == count_max) return false;
        socket.next = spare.first;
        spare.first = socket;
        spare.count += 1;
        return true;
    }

    pub fn deinit(spare: *Spare) void {
        while (spare.first) |socket| {
            spare.first = socket.next;
            sys.free(socket);
        }
        spare.* = .{};
    }
};

test "memory is kept for sockets of one size, and only so much" {
    var spare: Spare = .{};
    defer spare.deinit();
    try std.testing.expectEqual(@as(?*Socket, null), spare.take(8));
    var kept: u32 = 0;
    for (0..count_max + 1) |_| {
        const socket = sys.create(Socket, 8).?;
        socket.ext_bytes = 8;
        @as(*u64, @ptrCast(@alignCast(sys.extOf(Socket, socket)))).* = 7;
        if (spare.give(socket)) kept += 1 else sys.free(socket);
    }
    try std.testing.expectEqual(count_max, kept);
    try std.testing.expectEqual(@as(?*Socket, null), spare.take(16));
    const socket = spare.take(8).?;
    defer sys.free(socket);
    try std.testing.expectEqual(@as(u64, 0), @as(*u64, @ptrCast(@alignCast(sys.extOf(Socket, socket)))).*);
    const other = sys.create(Socket, 16).?;
    defer sys.free(other);
    other.ext_bytes = 16;
    try std.testing.expect(!spare.give(other));
}
