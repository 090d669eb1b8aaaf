//! Bytes that wait until the kernel takes them.
const std = @import("std");
const sys = @import("sys.zig");

const allocator = std.heap.c_allocator;

pub const Pending = struct {
    bytes: []u8 = &.{},
    begin: usize = 0,

    pub fn isEmpty(pending: *const Pending) bool {
        return pending.begin == pending.bytes.len;
    }

    pub fn free(pending: *Pending) void {
        allocator.free(pending.bytes);
        pending.* = .{};
    }

    pub fn append(pending: *Pending, data: []const u8) error{OutOfMemory}!void {
        const old = pending.bytes.len;
        pending.bytes = try allocator.realloc(pending.bytes, old + data.len);
        @memcpy(pending.bytes[old..], data);
    }

    /// Appends, unless more than `max_bytes` would wait.
    pub fn appendWithin(pending: *Pending, data: []const u8, max_bytes: usize) error{ OutOfMemory, TooMuch }!void {
        if (pending.bytes.len + data.len > max_bytes) return error.TooMuch;
        try pending.append(data);
    }

    /// False when the connection is broken.
    pub fn flush(pending: *Pending, fd: c_int) bool {
        while (!pending.isEmpty()) {
            const rest = pending.bytes[pending.begin..];
            const count = sys.send(fd, rest.ptr, rest.len, sys.msg_nosignal);
            if (count < 0) switch (sys.errno()) {
                .INTR => continue,
                .AGAIN => return true,
                else => return false,
            };
            pending.begin += @intCast(count);
        }
        pending.free();
        return true;
    }
};
