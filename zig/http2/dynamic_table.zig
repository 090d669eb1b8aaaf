//! The dynamic table of RFC 7541 section 2.3.2, of either direction. Its entries are lines of their own, one behind the other.
const std = @import("std");
const assert = std.debug.assert;
const Allocator = std.mem.Allocator;
const field = @import("field.zig");
const Kind = field.Kind;
const Line = field.Line;

/// A table cannot be larger: an entry's lengths have 16 bits.
pub const bytes_max = 1 << 16;
const bytes_min = 256;
const entries_min = 8;

pub const DynamicTable = struct {
    entries: []Entry = &.{},
    bytes: []u8 = &.{},
    /// Of entries ever added; the newest has one less as its number.
    added: u32 = 0,
    count: u32 = 0,
    /// What RFC 7541 section 4.1 counts, and what it may be.
    size: u32 = 0,
    size_max: u32,
    /// What `size_max` can grow to.
    capacity: u32,
    /// Of the lines in `bytes`.
    begin: u32 = 0,
    end: u32 = 0,

    pub const Entry = struct {
        /// Into `bytes`.
        at: u32,
        name_bytes: u16,
        value_bytes: u16,
        /// Of the encoder, which looks for entries.
        hash: u32,
        kind: Kind,
    };

    pub fn init(capacity: u32) DynamicTable {
        assert(capacity <= bytes_max);
        return .{ .size_max = capacity, .capacity = capacity };
    }

    pub fn deinit(table: *DynamicTable, allocator: Allocator) void {
        allocator.free(table.entries);
        allocator.free(table.bytes);
        table.* = undefined;
    }

    /// The entry of an index from 0, the newest.
    pub fn at(table: *const DynamicTable, index: usize) ?Line {
        if (index >= table.count) return null;
        return table.lineOf(table.entryOf(table.added -% 1 -% @as(u32, @intCast(index))));
    }

    /// By its number among all that were added; only those that are still there.
    pub fn entryOf(table: *const DynamicTable, number: u32) *Entry {
        return &table.entries[number & (table.entries.len - 1)];
    }

    pub fn lineOf(table: *const DynamicTable, entry: *const Entry) Line {
        const length = @as(usize, entry.name_bytes) + entry.value_bytes + field.line_overhead;
        return .{ .bytes = table.bytes[entry.at..][0..length], .name_bytes = entry.name_bytes, .kind = entry.kind };
    }

    pub fn setMax(table: *DynamicTable, size_max: u32) void {
        assert(size_max <= table.capacity);
        table.size_max = size_max;
        table.evict(0);
    }

    /// Makes room for an entry of that size.
    fn evict(table: *DynamicTable, size: usize) void {
        while (table.count > 0 and table.size + size > table.size_max) {
            const line = table.lineOf(table.entryOf(table.added -% table.count));
            table.size -= @intCast(line.size());
            table.begin += @intCast(line.bytes.len);
            table.count -= 1;
        }
        if (table.count == 0) {
            table.begin = 0;
            table.end = 0;
        }
    }

    /// The line lies outside of the table. One that is too large leaves the table empty (RFC 7541 section 4.4).
    pub fn add(table: *DynamicTable, allocator: Allocator, line: Line, hash: u32) Allocator.Error!void {
        const size = line.size();
        table.evict(size);
        if (size > table.size_max) return;
        try table.reserve(allocator, line.bytes.len);
        @memcpy(table.bytes[table.end..][0..line.bytes.len], line.bytes);
        table.entryOf(table.added).* = .{
            .at = table.end,
            .name_bytes = @intCast(line.name_bytes),
            .value_bytes = @intCast(line.bytes.len - line.name_bytes - field.line_overhead),
            .hash = hash,
            .kind = line.kind,
        };
        table.end += @intCast(line.bytes.len);
        table.size += @intCast(size);
        table.added +%= 1;
        table.count += 1;
    }

    /// Room for a line behind the others. What is allocated grows with what is there, as most connections repeat few fields.
    fn reserve(table: *DynamicTable, allocator: Allocator, length: usize) Allocator.Error!void {
        if (table.count == table.entries.len) try table.growEntries(allocator);
        if (table.bytes.len - table.end >= length) return;
        // Half as much again as there can be, so that the bytes of a line are moved twice at most.
        const full = table.capacity + table.capacity / 2;
        const needed = table.end - table.begin + length;
        var size = table.bytes.len;
        while (size < full and needed > size - size / 3) size = @min(full, @max(bytes_min, size * 2));
        const before = table.bytes;
        if (size > before.len) table.bytes = try allocator.alloc(u8, size);
        table.moveTo(table.bytes, before);
        if (size > before.len) allocator.free(before);
    }

    fn growEntries(table: *DynamicTable, allocator: Allocator) Allocator.Error!void {
        const before = table.entries;
        const entries = try allocator.alloc(Entry, @max(entries_min, before.len * 2));
        for (0..table.count) |index| {
            const number = table.added -% 1 -% @as(u32, @intCast(index));
            entries[number & (entries.len - 1)] = table.entryOf(number).*;
        }
        table.entries = entries;
        allocator.free(before);
    }

    /// The lines to the beginning.
    fn moveTo(table: *DynamicTable, bytes: []u8, before: []const u8) void {
        const moved = table.begin;
        std.mem.copyForwards(u8, bytes, before[table.begin..table.end]);
        table.begin = 0;
        table.end -= moved;
        for (0..table.count) |index| table.entryOf(table.added -% 1 -% @as(u32, @intCast(index))).at -= moved;
    }
};

test "entries are evicted in the order in which they came, and one that is too large empties the table" {
    const allocator = std.testing.allocator;
    var table: DynamicTable = .init(128);
    defer table.deinit(allocator);
    var text: [128]u8 = undefined;
    for (0..1000) |number| {
        const bytes = try std.fmt.bufPrint(&text, "n{d}: value{d}\r\n", .{ number, number });
        const name_bytes = std.mem.indexOfScalar(u8, bytes, ':').?;
        try table.add(allocator, .{ .bytes = bytes, .name_bytes = name_bytes, .kind = .regular }, 0);
        try std.testing.expectEqualStrings(bytes, table.at(0).?.bytes);
        try std.testing.expect(table.size <= 128);
        var size: usize = 0;
        for (0..table.count) |index| size += table.at(index).?.size();
        try std.testing.expectEqual(size, table.size);
        // No entry was evicted that had room.
        if (number > 2) try std.testing.expect(table.size + 44 > 128);
    }
    try std.testing.expectEqual(@as(?Line, null), table.at(2));
    // It was allocated for what was there.
    try std.testing.expect(table.bytes.len <= 192 and table.entries.len == entries_min);
    table.setMax(50);
    try std.testing.expectEqual(@as(u32, 1), table.count);
    @memset(&text, 'a');
    try table.add(allocator, .{ .bytes = &text, .name_bytes = 1, .kind = .regular }, 0);
    try std.testing.expectEqual(@as(u32, 0), table.count);
    try std.testing.expectEqual(@as(u32, 0), table.size);
}

test "a table grows with what is there, and stays the same" {
    const allocator = std.testing.allocator;
    var table: DynamicTable = .init(4096);
    defer table.deinit(allocator);
    var text: [64]u8 = undefined;
    for (0..300) |number| {
        const bytes = try std.fmt.bufPrint(&text, "n: {d}\r\n", .{number});
        try table.add(allocator, .{ .bytes = bytes, .name_bytes = 1, .kind = .regular }, @intCast(number));
        if (number == 4) try std.testing.expect(table.bytes.len == bytes_min and table.entries.len == entries_min);
        for (0..table.count) |index| {
            const entry = table.entryOf(table.added -% 1 -% @as(u32, @intCast(index)));
            try std.testing.expectEqual(number - index, entry.hash);
            const value = try std.fmt.parseInt(usize, table.lineOf(entry).value(), 10);
            try std.testing.expectEqual(number - index, value);
        }
    }
    try std.testing.expect(table.bytes.len <= 4096 + 2048 and table.entries.len <= 128);
}
