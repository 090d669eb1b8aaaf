//! Whose turn it is to be written, of the streams that have output and a window for it (RFC 9218 section 10): the most urgent
//! ones first; of those, one behind the other in the order of their requests, or in turns where they are incremental. Both kinds of
//! one urgency take turns.
const std = @import("std");
const assert = std.debug.assert;
const Streams = @import("streams.zig").Streams;
const Stream = @import("streams.zig").Stream;

const urgencies = 8;

const List = struct { first: u32 = 0, last: u32 = 0 };

pub const Ready = struct {
    /// By urgency, then sequential and incremental.
    lists: [urgencies][2]List = @splat(@splat(.{})),
    /// Urgencies of which some stream is ready.
    occupied: u8 = 0,
    /// Urgencies where the incremental ones are next.
    incremental_next: u8 = 0,

    pub fn first(ready: *const Ready) u32 {
        if (ready.occupied == 0) return 0;
        const urgency: u3 = @intCast(@ctz(ready.occupied));
        const lists = &ready.lists[urgency];
        const incremental = ready.incremental_next >> urgency & 1 != 0;
        const preferred = lists[@intFromBool(incremental)].first;
        return if (preferred != 0) preferred else lists[@intFromBool(!incremental)].first;
    }

    fn listOf(ready: *Ready, stream: *const Stream) *List {
        return &ready.lists[stream.priority.urgency][@intFromBool(stream.priority.incremental)];
    }

    pub fn add(ready: *Ready, streams: *const Streams, stream: *Stream) void {
        if (stream.flags.ready) return;
        stream.flags.ready = true;
        const list = ready.listOf(stream);
        var before = list.last;
        if (!stream.priority.incremental) {
            while (before > stream.id) before = streams.find(before).?.previous;
        }
        stream.previous = before;
        stream.next = if (before == 0) list.first else streams.find(before).?.next;
        if (before == 0) list.first = stream.id else streams.find(before).?.next = stream.id;
        if (stream.next == 0) list.last = stream.id else streams.find(stream.next).?.previous = stream.id;
        ready.occupied |= @as(u8, 1) << stream.priority.urgency;
    }

    pub fn remove(ready: *Ready, streams: *const Streams, stream: *Stream) void {
        if (!stream.flags.ready) return;
        stream.flags.ready = false;
        const list = ready.listOf(stream);
        if (stream.previous == 0) list.first = stream.next else streams.find(stream.previous).?.next = stream.next;
        if (stream.next == 0) list.last = stream.previous else streams.find(stream.next).?.previous = stream.previous;
        stream.next = 0;
        stream.previous = 0;
        const lists = &ready.lists[stream.priority.urgency];
        if (lists[0].first == 0 and lists[1].first == 0) ready.occupied &= ~(@as(u8, 1) << stream.priority.urgency);
    }

    /// It has written one frame: others of its urgency are next.
    pub fn turn(ready: *Ready, streams: *const Streams, stream: *Stream) void {
        const bit = @as(u8, 1) << stream.priority.urgency;
        if (!stream.priority.incremental) {
            ready.incremental_next |= bit;
            return;
        }
        ready.incremental_next &= ~bit;
        if (!stream.flags.ready) return;
        ready.remove(streams, stream);
        ready.add(streams, stream);
    }

    /// Whether others of the same urgency want to be written in turns with it.
    pub fn shares(ready: *const Ready, stream: *const Stream) bool {
        const lists = &ready.lists[stream.priority.urgency];
        const incremental = &lists[1];
        if (!stream.priority.incremental) return incremental.first != 0;
        return lists[0].first != 0 or incremental.first != incremental.last or
            (incremental.first != 0 and incremental.first != stream.id);
    }
};

test "urgent streams first, sequential ones in order, incremental ones in turns" {
    const allocator = std.testing.allocator;
    var streams: Streams = .{};
    defer streams.deinit(allocator);
    var ready: Ready = .{};
    for ([_]struct { u32, u3, bool }{ .{ 1, 3, false }, .{ 3, 3, true }, .{ 5, 3, true }, .{ 7, 1, false }, .{ 9, 3, false } }) |each|
        _ = try streams.add(allocator, .{ .id = each[0], .priority = .{ .urgency = each[1], .incremental = each[2] } });
    for ([_]u32{ 9, 5, 7, 3, 1 }) |id| ready.add(&streams, streams.find(id).?);
    var order: [8]u32 = undefined;
    for (&order, 0..) |*id, round| {
        id.* = ready.first();
        const stream = streams.find(id.*).?;
        ready.turn(&streams, stream);
        // The urgent one and the first sequential one are done in one go.
        if (round == 0 or round == 1) ready.remove(&streams, stream);
    }
    try std.testing.expectEqualSlices(u32, &.{ 7, 1, 5, 9, 3, 9, 5, 9 }, &order);
    for ([_]u32{ 9, 5, 3 }) |id| ready.remove(&streams, streams.find(id).?);
    try std.testing.expectEqual(@as(u32, 0), ready.first());
}
