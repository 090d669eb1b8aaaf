//! Whose turn it is to be written, of the streams that have output and a window for it (RFC 9218 section 10): the most urgent
//! ones first; of those, one behind the other in the order of their requests, or in turns where they are incremental. Both kinds of
//! one urgency take turns.
const std = @import("std");
const Stream = @import("streams.zig").Stream;

const urgencies = 8;

const List = struct { first: ?*Stream = null, last: ?*Stream = null };

pub const Ready = struct {
    /// By urgency, then sequential and incremental.
    lists: [urgencies][2]List = @splat(@splat(.{})),
    /// Urgencies of which some stream is ready.
    occupied: u8 = 0,
    /// Urgencies where the incremental ones are next.
    incremental_next: u8 = 0,

    pub fn first(ready: *const Ready) ?*Stream {
        if (ready.occupied == 0) return null;
        const urgency: u3 = @intCast(@ctz(ready.occupied));
        const lists = &ready.lists[urgency];
        const incremental = ready.incremental_next >> urgency & 1 != 0;
        return lists[@intFromBool(incremental)].first orelse lists[@intFromBool(!incremental)].first;
    }

    fn listOf(ready: *Ready, stream: *const Stream) *List {
        return &ready.lists[stream.priority.urgency][@intFromBool(stream.priority.incremental)];
    }

    pub fn add(ready: *Ready, stream: *Stream) void {
        if (stream.flags.ready) return;
        stream.flags.ready = true;
        const list = ready.listOf(stream);
        var before = list.last;
        if (!stream.priority.incremental) {
            while (before) |other| {
                if (other.id < stream.id) break;
                before = other.previous;
            }
        }
        stream.previous = before;
        stream.next = if (before) |other| other.next else list.first;
        if (before) |other| other.next = stream else list.first = stream;
        if (stream.next) |other| other.previous = stream else list.last = stream;
        ready.occupied |= bitOf(stream);
    }

    pub fn remove(ready: *Ready, stream: *Stream) void {
        if (!stream.flags.ready) return;
        stream.flags.ready = false;
        const list = ready.listOf(stream);
        if (stream.previous) |other| other.next = stream.next else list.first = stream.next;
        if (stream.next) |other| other.previous = stream.previous else list.last = stream.previous;
        stream.next = null;
        stream.previous = null;
        const lists = &ready.lists[stream.priority.urgency];
        if (lists[0].first == null and lists[1].first == null) ready.occupied &= ~bitOf(stream);
    }

    fn bitOf(stream: *const Stream) u8 {
        return @as(u8, 1) << stream.priority.urgency;
    }

    /// It has written one frame: the other kind of its urgency is next.
    pub fn turn(ready: *Ready, stream: *const Stream) void {
        if (stream.priority.incremental) {
            ready.incremental_next &= ~bitOf(stream);
        } else ready.incremental_next |= bitOf(stream);
    }

    /// Whether others of the same urgency are to be written in turns with it, or more urgent ones before it.
    pub fn yields(ready: *const Ready, stream: *const Stream) bool {
        if (ready.occupied & (bitOf(stream) - 1) != 0) return true;
        const lists = &ready.lists[stream.priority.urgency];
        const incremental = lists[1].first != null and !(lists[1].first == stream and lists[1].last == stream);
        return incremental or (stream.priority.incremental and lists[0].first != null);
    }
};

test "urgent streams first, sequential ones in order, incremental ones in turns" {
    var ready: Ready = .{};
    var streams = [_]Stream{
        .{ .id = 1 },
        .{ .id = 3, .priority = .{ .incremental = true } },
        .{ .id = 5, .priority = .{ .incremental = true } },
        .{ .id = 7, .priority = .{ .urgency = 1 } },
        .{ .id = 9 },
    };
    for ([_]usize{ 4, 2, 3, 1, 0 }) |index| ready.add(&streams[index]);
    var order: [8]u32 = undefined;
    for (&order, 0..) |*id, round| {
        const stream = ready.first().?;
        id.* = stream.id;
        ready.turn(stream);
        ready.remove(stream);
        // The urgent one and the first sequential one are done in one go.
        if (round > 1) ready.add(stream);
    }
    try std.testing.expectEqualSlices(u32, &.{ 7, 1, 5, 9, 3, 9, 5, 9 }, &order);
    try std.testing.expect(ready.yields(&streams[1]) and ready.yields(&streams[4]));
    for (&streams) |*stream| ready.remove(stream);
    try std.testing.expectEqual(@as(?*Stream, null), ready.first());
    ready.add(&streams[2]);
    try std.testing.expect(!ready.yields(&streams[2]) and ready.yields(&streams[1]) and !ready.yields(&streams[3]));
}
