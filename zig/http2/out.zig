//! Frames on their way to the peer, in the order in which they were made: whole ones, until somebody sends them.
const std = @import("std");
const assert = std.debug.assert;
const Allocator = std.mem.Allocator;

pub const Out = struct {
    bytes: std.ArrayList(u8) = .empty,
    /// Of `bytes`, what was sent.
    begin: usize = 0,
    /// Bytes that went before `bytes`.
    origin: u64 = 0,
    /// Of answers to the peer, since the first one of them; that has left when everything up to the mark has.
    answers: usize = 0,
    answers_mark: u64 = 0,

    pub fn deinit(out: *Out, allocator: Allocator) void {
        out.bytes.deinit(allocator);
    }

    /// What leaves next.
    pub fn waiting(out: *const Out) []const u8 {
        return out.bytes.items[out.begin..];
    }

    /// Room for a frame, to be written and then counted with `add`.
    pub fn room(out: *Out, allocator: Allocator, length: usize) Allocator.Error![]u8 {
        if (out.begin > 0 and out.bytes.unusedCapacitySlice().len < length) {
            const left = out.waiting();
            std.mem.copyForwards(u8, out.bytes.items, left);
            out.bytes.items.len = left.len;
            out.origin += out.begin;
            out.begin = 0;
        }
        try out.bytes.ensureUnusedCapacity(allocator, length);
        return out.bytes.unusedCapacitySlice();
    }

    pub fn add(out: *Out, length: usize) void {
        out.bytes.items.len += length;
        assert(out.bytes.items.len <= out.bytes.capacity);
    }

    /// The last frame is an answer. Those that wait are at most twice what is counted.
    pub fn countAnswer(out: *Out, length: usize) void {
        if (out.answers == 0) out.answers_mark = out.end();
        out.answers += length;
    }

    /// Where the next frame will stand, for ever.
    pub fn end(out: *const Out) u64 {
        return out.origin + out.bytes.items.len;
    }

    /// The bytes from a place on; null where they have left, or begun to.
    pub fn at(out: *const Out, place: u64) ?[]u8 {
        if (place < out.origin + out.begin) return null;
        return out.bytes.items[@intCast(place - out.origin)..];
    }

    /// So many of the waiting bytes were sent.
    pub fn sent(out: *Out, length: usize) void {
        out.begin += length;
        assert(out.begin <= out.bytes.items.len);
        if (out.origin + out.begin >= out.answers_mark) out.answers = 0;
        if (out.begin < out.bytes.items.len) return;
        out.origin += out.begin;
        out.begin = 0;
        out.bytes.clearRetainingCapacity();
    }

    /// An idle connection keeps nothing.
    pub fn shrink(out: *Out, allocator: Allocator) void {
        if (out.waiting().len == 0) out.bytes.clearAndFree(allocator);
    }
};

test "places stay the same while bytes leave" {
    const allocator = std.testing.allocator;
    var out: Out = .{};
    defer out.deinit(allocator);
    var made: u64 = 0;
    var gone: u64 = 0;
    var prng: std.Random.DefaultPrng = .init(3);
    const random = prng.random();
    for (0..2000) |_| {
        const length = random.uintAtMost(usize, 40);
        for ((try out.room(allocator, length))[0..length], 0..) |*byte, index| byte.* = @truncate(made + index);
        out.add(length);
        made += length;
        try std.testing.expectEqual(made, out.end());
        const sent = random.uintAtMost(usize, out.waiting().len);
        out.sent(sent);
        gone += sent;
        const place = random.uintAtMost(u64, made);
        const found = out.at(place);
        try std.testing.expectEqual(place >= gone, found != null);
        if (place >= gone and place < made) try std.testing.expectEqual(@as(u8, @truncate(place)), found.?[0]);
    }
    out.sent(out.waiting().len);
    out.shrink(allocator);
    try std.testing.expectEqual(@as(usize, 0), out.bytes.capacity);
}

test "answers are counted until the first one of them has left, whatever waits behind it" {
    const allocator = std.testing.allocator;
    var out: Out = .{};
    defer out.deinit(allocator);
    for ([_]usize{ 100, 10, 10, 100 }) |length| {
        _ = try out.room(allocator, length);
        out.add(length);
        if (length == 10) out.countAnswer(length);
    }
    out.sent(109);
    try std.testing.expectEqual(@as(usize, 20), out.answers);
    out.sent(1);
    try std.testing.expectEqual(@as(usize, 0), out.answers);
    try std.testing.expectEqual(@as(usize, 110), out.waiting().len);
}
