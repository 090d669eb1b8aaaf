//! What sockets send in a turn, kept until it ends and then given to the kernel in one system call.
//!
//! To the caller everything was sent. What the kernel did not take after all waits with its socket, which takes
//! nothing more until it has left: the caller sees that it goes too fast one write later, as with TLS.
const std = @import("std");
const assert = std.debug.assert;
const linux = std.os.linux;
const sys = @import("sys.zig");
const Socket = @import("socket.zig").Socket;
const Ring = @import("ring.zig").Ring;
const Tag = @import("uring.zig").Tag;

const records_max = 512;
const memory_bytes = 256 * 1024;
/// Larger ones are sent at once: to copy them costs more than a system call.
const send_bytes_max = 4 * 1024;

/// As many system calls are not worth a batch.
const short_queue = 2;

const Record = struct {
    /// None when it was sent before its turn.
    socket: ?*Socket,
    begin: u32,
    length: u32,
};

pub const SendQueue = struct {
    memory: []u8,
    used: u32 = 0,
    count: u32 = 0,
    /// Nothing more is collected.
    closed: bool = false,
    /// Completions from here on may be of our sends.
    first_completion: u32 = 0,
    records: [records_max]Record = undefined,

    pub fn init(allocator: std.mem.Allocator) !SendQueue {
        return .{ .memory = try allocator.alloc(u8, memory_bytes) };
    }

    pub fn deinit(queue: *SendQueue, allocator: std.mem.Allocator) void {
        allocator.free(queue.memory);
    }

    /// False when it must be sent now. A socket's number in the queue is one more than its record's.
    pub fn take(queue: *SendQueue, socket: *Socket, pieces: []const sys.Iovec, total: usize) bool {
        if (queue.closed or total > send_bytes_max or queue.used + total > memory_bytes) return false;
        if (socket.queued == 0) {
            if (queue.count == records_max) return false;
            queue.records[queue.count] = .{ .socket = socket, .begin = queue.used, .length = 0 };
            queue.count += 1;
            socket.queued = queue.count;
        } else if (socket.queued != queue.count) return false;
        const record = &queue.records[socket.queued - 1];
        assert(record.socket == socket);
        for (pieces) |piece| {
            @memcpy(queue.memory[queue.used..][0..piece.len], piece.base[0..piece.len]);
            queue.used += @intCast(piece.len);
        }
        record.length += @intCast(total);
        return true;
    }

    /// The socket is another object now.
    pub fn moved(queue: *SendQueue, socket: *Socket) void {
        if (socket.queued != 0) queue.records[socket.queued - 1].socket = socket;
    }

    /// What one socket sends leaves before the others'.
    pub fn sendNow(queue: *SendQueue, socket: *Socket) void {
        if (socket.queued == 0) return;
        const record = &queue.records[socket.queued - 1];
        assert(record.socket == socket);
        record.socket = null;
        socket.queued = 0;
        const data = queue.memory[record.begin..][0..record.length];
        var count: isize = -1;
        while (true) {
            count = sys.send(socket.poll.fd, data.ptr, data.len, sys.msg_nosignal);
            if (count >= 0 or sys.errno() != .INTR) break;
        }
        const sent: usize = if (count > 0) @intCast(count) else 0;
        if (sent < data.len) socket.keepUnsent(data[sent..]);
    }

    pub fn isShort(queue: *const SendQueue) bool {
        return queue.count <= short_queue;
    }

    pub fn sendAllNow(queue: *SendQueue) void {
        for (queue.records[0..queue.count]) |*record| {
            if (record.socket) |socket| queue.sendNow(socket);
        }
        queue.count = 0;
        queue.used = 0;
    }

    /// Whether completions have to be looked at with `reap`.
    pub fn submitAll(queue: *SendQueue, ring: *Ring) bool {
        if (queue.count == 0) return false;
        const direct = ring.room() < @as(usize, queue.count) + ring.submissions();
        queue.first_completion = ring.queues.cq.tail.*;
        for (queue.records[0..queue.count], 0..) |*record, number| {
            const socket = record.socket orelse continue;
            if (direct) {
                queue.sendNow(socket);
                continue;
            }
            const entry = ring.submission();
            entry.prep_rw(.SEND, socket.poll.fd, @intFromPtr(queue.memory.ptr) + record.begin, record.length, 0);
            // Never to wait; the kernel reports only when not all of it was sent.
            entry.rw_flags = @intCast(sys.msg_nosignal | sys.msg_dontwait | sys.msg_waitall);
            entry.flags = linux.IOSQE_CQE_SKIP_SUCCESS;
            entry.user_data = @bitCast(Tag{ .slot = @intCast(number), .operation = .send });
        }
        return true;
    }

    /// Everything was submitted, and so has been sent, or failed.
    pub fn reap(queue: *SendQueue, ring: *Ring) void {
        for (queue.records[0..queue.count]) |*record| {
            if (record.socket) |socket| socket.queued = 0;
        }
        const tail = @atomicLoad(u32, ring.queues.cq.tail, .acquire);
        var position = queue.first_completion;
        while (position != tail) : (position +%= 1) {
            const completion = &ring.queues.cq.cqes[position & ring.queues.cq.mask];
            const tag: Tag = @bitCast(completion.user_data);
            if (tag.operation != .send) continue;
            const record = &queue.records[tag.slot];
            const sent: u32 = @intCast(@max(completion.res, 0));
            assert(sent <= record.length);
            if (sent == record.length) continue;
            record.socket.?.keepUnsent(queue.memory[record.begin..][sent..record.length]);
        }
        queue.count = 0;
        queue.used = 0;
    }
};
