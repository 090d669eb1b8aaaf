//! Buffers that the kernel picks from when data arrives: a connection that waits has none.
const std = @import("std");
const assert = std.debug.assert;
const linux = std.os.linux;
const system = @import("sys.zig").system;
const padding_bytes = @import("loop.zig").padding_bytes;

const count = 256;
/// A cache line more than a page: what is received begins at different places, or it would compete for the same sets of the caches.
const stride = 4096 + 64;
/// Of one receive.
pub const data_bytes = stride - 2 * padding_bytes;
pub const group = 0;

const table_bytes = count * @sizeOf(linux.io_uring_buf);
const total_bytes = table_bytes + count * stride;

pub const Buffers = struct {
    memory: [*]u8,
    table: *align(std.heap.page_size_min) linux.io_uring_buf_ring,

    comptime {
        assert(std.math.isPowerOfTwo(count));
        assert(table_bytes % std.heap.page_size_min == 0);
    }

    pub fn open(ring_fd: c_int) !Buffers {
        const protection = system.prot_read | system.prot_write;
        const memory = system.mmap(null, total_bytes, protection, system.map_private | system.map_anonymous, -1, 0);
        if (memory == system.map_failed) return error.SystemResources;
        errdefer _ = system.munmap(memory, total_bytes);
        const registration = std.mem.zeroInit(linux.io_uring_buf_reg, .{
            .ring_addr = @intFromPtr(memory),
            .ring_entries = count,
            .bgid = group,
        });
        const result = linux.io_uring_register(ring_fd, .REGISTER_PBUF_RING, &registration, 1);
        if (linux.errno(result) != .SUCCESS) return error.SystemOutdated;
        const bytes: [*]u8 = @ptrCast(memory);
        var buffers: Buffers = .{ .memory = bytes + table_bytes, .table = @ptrCast(@alignCast(memory)) };
        linux.IoUring.buf_ring_init(buffers.table);
        for (0..count) |number| buffers.putBack(@intCast(number));
        return buffers;
    }

    pub fn close(buffers: *Buffers) void {
        _ = system.munmap(buffers.table, total_bytes);
    }

    /// What is in a buffer; there is padding before and behind.
    pub fn data(buffers: *const Buffers, number: u16) [*]u8 {
        assert(number < count);
        return buffers.memory + @as(usize, number) * stride + padding_bytes;
    }

    /// The kernel may fill it once more.
    pub fn putBack(buffers: *Buffers, number: u16) void {
        const mask = linux.IoUring.buf_ring_mask(count);
        linux.IoUring.buf_ring_add(buffers.table, buffers.data(number)[0..data_bytes], number, mask, 0);
        linux.IoUring.buf_ring_advance(buffers.table, 1);
    }
};
