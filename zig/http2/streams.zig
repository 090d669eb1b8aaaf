//! The streams of a connection that are not closed, and what is remembered of those that are (RFC 9113 section 5.1).
const std = @import("std");
const builtin = @import("builtin");
const assert = std.debug.assert;
const Allocator = std.mem.Allocator;
const Priority = @import("priority.zig").Priority;
const Stall = @import("limits.zig").Stall;

/// Its owner has it from the event of its request until it calls `Connection.release`.
pub const Stream = struct {
    id: u32,
    send_window: i32 = 0,
    receive_window: i32 = 0,
    /// Bytes that the application was given and has not taken yet.
    unread: u32 = 0,
    /// Bytes that it has taken, and the peer has not been told of.
    taken: u32 = 0,
    /// Neighbours among the streams of their urgency that are ready to be written, or among those that are spare.
    next: ?*Stream = null,
    previous: ?*Stream = null,
    /// Of the request: what was declared and has not arrived; without a declaration, what may still come.
    content_left: u64 = 0,
    /// Where the header of its last frame stands in the output.
    last_frame: u64 = 0,
    stall: Stall = .{},
    priority: Priority = .{},
    flags: Flags = .{},

    /// What its owner has of it, as many bytes as `Spare` allocates behind each.
    pub fn behind(stream: *Stream, Owner: type) *Owner {
        comptime assert(@alignOf(Owner) <= @alignOf(Stream));
        return @ptrFromInt(@intFromPtr(stream) + @sizeOf(Stream));
    }

    /// The stream that it is behind.
    pub fn before(Owner: type, owner: *Owner) *Stream {
        return @ptrFromInt(@intFromPtr(owner) - @sizeOf(Stream));
    }

    pub const Flags = packed struct(u16) {
        /// The peer has ended its side: half-closed (remote).
        remote_ended: bool = false,
        /// We have ended ours: half-closed (local).
        local_ended: bool = false,
        /// Closed: nothing can come or go any more.
        over: bool = false,
        has_length: bool = false,
        /// CONNECT: each side ends when it likes.
        tunnel: bool = false,
        head_sent: bool = false,
        /// The request was refused: what comes of its content is nobody's.
        discards: bool = false,
        /// The application has output that was not taken.
        waiting: bool = false,
        /// In the queue of those that can be written.
        ready: bool = false,
        /// A frame of it was written, with its header at `last_frame`.
        framed: bool = false,
        _: u6 = 0,
    };
};

/// Open addressing by identifier: those of a client come one after the other.
pub const Streams = struct {
    places: []?*Stream = &.{},
    count: u32 = 0,

    const places_min = 8;

    pub fn deinit(streams: *Streams, allocator: Allocator) void {
        allocator.free(streams.places);
        streams.* = undefined;
    }

    pub fn find(streams: *const Streams, id: u32) ?*Stream {
        if (streams.count == 0) return null;
        var place = streams.home(id);
        while (streams.places[place]) |stream| : (place = streams.after(place)) {
            if (stream.id == id) return stream;
        }
        return null;
    }

    fn home(streams: *const Streams, id: u32) usize {
        return (id >> 1) & (streams.places.len - 1);
    }

    fn after(streams: *const Streams, place: usize) usize {
        return (place + 1) & (streams.places.len - 1);
    }

    pub fn add(streams: *Streams, allocator: Allocator, stream: *Stream) Allocator.Error!void {
        const places = streams.places.len;
        if ((streams.count + 1) * 8 > places * 7) try streams.resize(allocator, @max(places_min, places * 2));
        streams.count += 1;
        streams.put(stream);
    }

    fn put(streams: *Streams, stream: *Stream) void {
        var place = streams.home(stream.id);
        while (streams.places[place] != null) place = streams.after(place);
        streams.places[place] = stream;
    }

    fn resize(streams: *Streams, allocator: Allocator, size: usize) Allocator.Error!void {
        const before = streams.places;
        streams.places = try allocator.alloc(?*Stream, size);
        @memset(streams.places, null);
        for (before) |place| {
            if (place) |stream| streams.put(stream);
        }
        allocator.free(before);
    }

    pub fn remove(streams: *Streams, stream: *const Stream) void {
        streams.count -= 1;
        var hole = streams.home(stream.id);
        while (streams.places[hole] != stream) hole = streams.after(hole);
        var place = hole;
        while (true) {
            place = streams.after(place);
            const other = streams.places[place] orelse break;
            // What stands between its home and itself must have no hole.
            const mask = streams.places.len - 1;
            if ((place -% streams.home(other.id)) & mask < (place -% hole) & mask) continue;
            streams.places[hole] = other;
            hole = place;
        }
        streams.places[hole] = null;
    }

    /// The memory of a burst goes back when nothing is left of it.
    pub fn shrink(streams: *Streams, allocator: Allocator) void {
        if (streams.count > 0 or streams.places.len <= places_min) return;
        allocator.free(streams.places);
        streams.places = &.{};
    }
};

/// Streams that nobody has, for the next requests of a thread.
pub const Spare = struct {
    first: ?*Stream = null,
    count: u32 = 0,
    /// Behind each, for its owner. Set before the first one is taken.
    owner_bytes: usize = 0,

    /// None in libraries with checks: AddressSanitizer finds who uses what was freed.
    const count_max = if (std.debug.runtime_safety and !builtin.is_test) 0 else 256;

    pub fn deinit(spare: *Spare, allocator: Allocator) void {
        while (spare.first) |stream| {
            spare.first = stream.next;
            spare.destroy(allocator, stream);
        }
    }

    pub fn take(spare: *Spare, allocator: Allocator) Allocator.Error!*Stream {
        const stream = spare.first orelse {
            const memory = try allocator.alignedAlloc(u8, .of(Stream), @sizeOf(Stream) + spare.owner_bytes);
            return @ptrCast(memory.ptr);
        };
        spare.first = stream.next;
        spare.count -= 1;
        return stream;
    }

    fn destroy(spare: *const Spare, allocator: Allocator, stream: *Stream) void {
        const memory: [*]align(@alignOf(Stream)) u8 = @ptrCast(stream);
        allocator.free(memory[0 .. @sizeOf(Stream) + spare.owner_bytes]);
    }

    pub fn give(spare: *Spare, allocator: Allocator, stream: *Stream) void {
        if (spare.count == count_max) return spare.destroy(allocator, stream);
        stream.next = spare.first;
        spare.first = stream;
        spare.count += 1;
    }
};

/// The last streams that were closed. A frame that the peer sent before it knew is no fault; one that it sent after it had ended
/// the stream itself is.
pub const Closed = struct {
    ring: [remembered]u32 = @splat(0),
    next: u32 = 0,
    /// The last ranges of identifiers that the peer has passed over; the first of a range is 0 for none.
    skipped: [ranges]Range = @splat(.{}),
    next_range: u32 = 0,

    const remembered = 64;
    /// Hardly any client skips one at all.
    const ranges = 8;

    const Range = struct { first: u32 = 0, last: u32 = 0 };

    pub const Fate = enum {
        /// The peer has sent its END_STREAM or RST_STREAM.
        by_peer,
        /// Only we have ended it, or nobody knows any more.
        by_us,
        /// It never was, and cannot be any more (section 5.1.1).
        never_opened,
    };

    pub fn remember(closed: *Closed, id: u32, peer_finished: bool) void {
        const place = &closed.ring[closed.next % remembered];
        closed.next +%= 1;
        place.* = id << 1 | @intFromBool(peer_finished);
    }

    /// A stream was opened, and `before` was the last one.
    pub fn open(closed: *Closed, id: u32, before: u32) void {
        const first = if (before == 0) 1 else before + 2;
        if (id == first) return;
        closed.skipped[closed.next_range % ranges] = .{ .first = first, .last = id - 2 };
        closed.next_range +%= 1;
    }

    /// Of one that was used or skipped, and is not there.
    pub fn fateOf(closed: *const Closed, id: u32) Fate {
        const keys: @Vector(remembered, u32) = closed.ring;
        const found = keys >> @splat(1) == @as(@Vector(remembered, u32), @splat(id));
        const mask: @Int(.unsigned, remembered) = @bitCast(found);
        if (mask == 0) {
            for (closed.skipped) |range| {
                if (range.first <= id and id <= range.last) return .never_opened;
            }
            return .by_us;
        }
        return if (closed.ring[@ctz(mask)] & 1 != 0) .by_peer else .by_us;
    }
};

test "streams are found while others come and go" {
    const allocator = std.testing.allocator;
    var streams: Streams = .{};
    defer streams.deinit(allocator);
    var here: std.AutoHashMapUnmanaged(u32, void) = .empty;
    defer here.deinit(allocator);
    var spare: Spare = .{};
    defer spare.deinit(allocator);
    var prng: std.Random.DefaultPrng = .init(1);
    const random = prng.random();
    var last: u32 = 1;
    for (0..20_000) |_| {
        if (here.count() < 100 and random.boolean()) {
            last += 2 * random.intRangeAtMost(u32, 1, 5);
            const stream = try spare.take(allocator);
            stream.* = .{ .id = last };
            try streams.add(allocator, stream);
            try here.put(allocator, last, {});
        } else {
            const id = (last -| 2 * random.uintLessThan(u32, 300)) | 1;
            const stream = streams.find(id);
            try std.testing.expectEqual(here.contains(id), stream != null);
            if (stream) |found| {
                try std.testing.expectEqual(id, found.id);
                streams.remove(found);
                spare.give(allocator, found);
                _ = here.remove(id);
            }
        }
        try std.testing.expectEqual(here.count(), streams.count);
    }
    var left = here.keyIterator();
    while (left.next()) |id| {
        try std.testing.expectEqual(id.*, streams.find(id.*).?.id);
        spare.give(allocator, streams.find(id.*).?);
    }
}

test "closed streams are remembered for a while" {
    var closed: Closed = .{};
    closed.open(5, 0);
    closed.remember(5, true);
    closed.open(7, 5);
    closed.remember(7, false);
    try std.testing.expectEqual(Closed.Fate.by_peer, closed.fateOf(5));
    try std.testing.expectEqual(Closed.Fate.by_us, closed.fateOf(7));
    try std.testing.expectEqual(Closed.Fate.never_opened, closed.fateOf(3));
    closed.open(101, 7);
    for (0..64) |index| closed.remember(@intCast(2 * index + 101), true);
    try std.testing.expectEqual(Closed.Fate.by_us, closed.fateOf(5));
    // What never was is known for longer than what was.
    for ([_]u32{ 1, 3, 9, 99 }) |id| try std.testing.expectEqual(Closed.Fate.never_opened, closed.fateOf(id));
}
