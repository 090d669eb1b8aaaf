//! HPACK, written (RFC 7541): what repeats goes into the dynamic table, what varies or is secret does not.
const std = @import("std");
const assert = std.debug.assert;
const Allocator = std.mem.Allocator;
const DynamicTable = @import("dynamic_table.zig").DynamicTable;
const field = @import("field.zig");
const huffman = @import("huffman.zig");
const static_table = @import("static_table.zig");

/// Bytes that a field adds to its name and value at most: an opcode, and two lengths.
pub const field_overhead = 1 + 2 * integer_bytes_max;
/// Of updates of the table's size, with which a block may begin, and a status.
pub const block_overhead = 2 * integer_bytes_max + 8;
const integer_bytes_max = 6;
/// The code of shorter texts saves too little to be worth its time.
const huffman_bytes_min = 5;
/// Slots of the index over the dynamic table.
const slots = 256;

const Indexing = enum { usual, without, never };

pub const Encoder = struct {
    table: DynamicTable,
    /// Numbers of the table's entries by hash, one more than they are; 0 is none. With the table's first entry.
    index: []u32 = &.{},
    /// What the next block has to announce (RFC 7541 section 4.2): the smallest size since the last block, and the present one.
    smallest: ?u32 = null,

    pub fn init(capacity: u32) Encoder {
        return .{ .table = .init(capacity) };
    }

    pub fn deinit(encoder: *Encoder, allocator: Allocator) void {
        allocator.free(encoder.index);
        encoder.table.deinit(allocator);
    }

    /// The peer's table has this size until a block says otherwise.
    pub fn beginAt(encoder: *Encoder, size: u32) void {
        const capacity = encoder.table.capacity;
        encoder.table.size_max = @min(size, capacity);
        if (capacity < size) encoder.smallest = capacity;
    }

    /// What the peer's SETTINGS_HEADER_TABLE_SIZE allows.
    pub fn setLimit(encoder: *Encoder, limit: u32) void {
        const size = @min(limit, encoder.table.capacity);
        if (size == encoder.table.size_max) return;
        encoder.smallest = @min(encoder.smallest orelse size, size);
        encoder.table.setMax(size);
    }

    /// Writes to `out`, which has room for `block_overhead`; gives the bytes written.
    pub fn begin(encoder: *Encoder, out: []u8, status: u16) usize {
        var at: usize = 0;
        if (encoder.smallest) |smallest| {
            if (smallest < encoder.table.size_max) at += integer(out[at..], 0x20, 5, smallest);
            at += integer(out[at..], 0x20, 5, encoder.table.size_max);
            encoder.smallest = null;
        }
        const index = static_table.ofStatus(status);
        if (index != 0) {
            out[at] = 0x80 | index;
            return at + 1;
        }
        at += integer(out[at..], 0x00, 4, static_table.status_index);
        out[at] = 3;
        _ = std.fmt.bufPrint(out[at + 1 ..][0..3], "{d:0>3}", .{status}) catch unreachable;
        return at + 4;
    }

    /// A block without a status: trailers. Only an update may have to come first.
    pub fn beginTrailers(encoder: *Encoder, out: []u8) usize {
        var ignored: [block_overhead]u8 = undefined;
        const length = encoder.begin(&ignored, 200) - 1;
        @memcpy(out[0..length], ignored[0..length]);
        return length;
    }

    /// A field, whose name is written in lower case. `out` has room for both texts and `field_overhead`.
    pub fn add(encoder: *Encoder, allocator: Allocator, out: []u8, name: []const u8, value: []const u8) usize {
        const hash = hashOf(name, value);
        if (encoder.find(name, value, hash)) |index| return integer(out, 0x80, 7, index);
        var lowered: [name_bytes_usual]u8 = undefined;
        if (name.len > lowered.len) return literal(out, .without, 0, name, value);
        for (name, lowered[0..name.len]) |c, *low| low.* = std.ascii.toLower(c);
        const low = lowered[0..name.len];
        const static_name = static_table.ofName(low);
        var indexing = indexingOf(static_name, encoder, name.len + value.len);
        if (indexing == .usual and !encoder.insert(allocator, low, value, hash)) indexing = .without;
        return literal(out, indexing, static_name, low, value);
    }

    fn find(encoder: *const Encoder, name: []const u8, value: []const u8, hash: u32) ?u32 {
        if (encoder.index.len == 0) return null;
        const place = encoder.index[hash % slots];
        const number = place -% 1;
        // How many came after it; more than there are where it was evicted.
        const age = encoder.table.added -% 1 -% number;
        if (place == 0 or age >= encoder.table.count) return null;
        const entry = encoder.table.entryOf(number);
        if (entry.hash != hash or entry.name_bytes != name.len or entry.value_bytes != value.len) return null;
        const line = encoder.table.lineOf(entry);
        if (!std.mem.eql(u8, line.value(), value)) return null;
        for (line.name(), name) |low, c| {
            if (low != std.ascii.toLower(c)) return null;
        }
        return @as(u32, static_table.count + 1) + age;
    }

    /// False where there is no memory, so that the field cannot be in the table.
    fn insert(encoder: *Encoder, allocator: Allocator, name: []const u8, value: []const u8, hash: u32) bool {
        var bytes: [name_bytes_usual + value_bytes_indexed + field.line_overhead]u8 = undefined;
        const line = std.fmt.bufPrint(&bytes, "{s}: {s}\r\n", .{ name, value }) catch unreachable;
        if (encoder.index.len == 0) {
            encoder.index = allocator.alloc(u32, slots) catch return false;
            @memset(encoder.index, 0);
        }
        encoder.table.add(allocator, .{ .bytes = line, .name_bytes = name.len, .kind = .regular }, hash) catch return false;
        encoder.index[hash % slots] = encoder.table.added;
        return true;
    }
};

/// Of few bytes, which are usually those that differ: what has the same hash is compared. The case of the name makes no difference.
fn hashOf(name: []const u8, value: []const u8) u32 {
    var word: u64 = name.len << 8 | value.len << 20;
    if (name.len > 0) word ^= name[0] | 0x20 | @as(u64, name[name.len - 1] | 0x20) << 40;
    if (value.len >= 8) {
        const first = std.mem.readInt(u64, value[0..8], .little);
        const last = std.mem.readInt(u64, value[value.len - 8 ..][0..8], .little);
        word ^= first *% 0x9e3779b97f4a7c15 ^ std.math.rotl(u64, last, 23);
    } else for (value) |c| {
        word = std.math.rotl(u64, word, 8) ^ c;
    }
    return @truncate((word *% 0xd6e8feb86659fd93) >> 32);
}

const name_bytes_usual = 64;
/// Longer values would drive out many that are used again.
const value_bytes_indexed = 512;

/// RFC 7541 section 7.1: what a client could guess byte by byte is never indexed; values that are different each time would only
/// drive out others.
fn indexingOf(static_name: u8, encoder: *const Encoder, length: usize) Indexing {
    if (static_name != 0 and std.mem.indexOfScalar(u8, &secret_names, static_name) != null) return .never;
    if (static_name != 0 and std.mem.indexOfScalar(u8, &varying_names, static_name) != null) return .without;
    if (length > value_bytes_indexed or length + field.entry_overhead > encoder.table.size_max) return .without;
    return .usual;
}

const secret_names = indexesOf(.{ "set-cookie", "authorization", "proxy-authorization", "www-authenticate", "proxy-authenticate" });
const varying_names = indexesOf(.{ "content-length", "content-range", "etag", "last-modified", "location", "age", "expires" });

fn indexesOf(comptime names: anytype) [names.len]u8 {
    @setEvalBranchQuota(10_000);
    var indexes: [names.len]u8 = undefined;
    for (&indexes, names) |*index, name| index.* = static_table.ofName(name);
    return indexes;
}

fn literal(out: []u8, indexing: Indexing, static_name: u8, name: []const u8, value: []const u8) usize {
    var at = switch (indexing) {
        .usual => integer(out, 0x40, 6, static_name),
        .without => integer(out, 0x00, 4, static_name),
        .never => integer(out, 0x10, 4, static_name),
    };
    if (static_name == 0) at += string(out[at..], name, true);
    return at + string(out[at..], value, false);
}

fn string(out: []u8, text: []const u8, comptime lower: bool) usize {
    if (!lower and text.len >= huffman_bytes_min) {
        const size = huffman.encodedBytes(text);
        if (size < text.len) {
            const at = integer(out, 0x80, 7, @intCast(size));
            huffman.encode(out[at..][0..size], text);
            return at + size;
        }
    }
    const at = integer(out, 0x00, 7, @intCast(text.len));
    if (lower) {
        for (text, out[at..][0..text.len]) |c, *low| low.* = std.ascii.toLower(c);
    } else @memcpy(out[at..][0..text.len], text);
    return at + text.len;
}

fn integer(out: []u8, opcode: u8, comptime prefix: u4, value: u32) usize {
    const mask: u8 = (1 << prefix) - 1;
    if (value < mask) {
        out[0] = opcode | @as(u8, @intCast(value));
        return 1;
    }
    out[0] = opcode | mask;
    var rest = value - mask;
    var at: usize = 1;
    while (rest >= 0x80) : (at += 1) {
        out[at] = @truncate(rest | 0x80);
        rest >>= 7;
    }
    out[at] = @intCast(rest);
    return at + 1;
}

test "an integer takes as many octets as RFC 7541 appendix C.1 says" {
    var out: [integer_bytes_max]u8 = undefined;
    try std.testing.expectEqual(@as(usize, 1), integer(&out, 0, 5, 10));
    try std.testing.expectEqual(@as(u8, 10), out[0]);
    try std.testing.expectEqual(@as(usize, 3), integer(&out, 0, 5, 1337));
    try std.testing.expectEqualSlices(u8, &.{ 0x1f, 0x9a, 0x0a }, out[0..3]);
    try std.testing.expectEqual(@as(usize, 1), integer(&out, 0, 8, 42));
    try std.testing.expectEqual(@as(usize, 6), integer(&out, 0, 5, std.math.maxInt(u32)));
}
