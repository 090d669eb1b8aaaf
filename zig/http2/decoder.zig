//! HPACK, read (RFC 7541). Every field goes to a sink, which has room for the line of the next one:
//!
//! - `room()`: bytes for a line, as many as a field of the block can have
//! - `accept(line)`: the line was written there
//! - `copy(line)`: the line lies in a table
const std = @import("std");
const Allocator = std.mem.Allocator;
const DynamicTable = @import("dynamic_table.zig").DynamicTable;
const field = @import("field.zig");
const huffman = @import("huffman.zig");
const static_table = @import("static_table.zig");
const Kind = field.Kind;
const Line = field.Line;

pub const Error = error{Compression} || Allocator.Error;

/// What no sane encoder sends: more octets than these after the prefix of an integer.
const integer_octets_max = 5;

pub const Decoder = struct {
    table: DynamicTable,
    /// What an update may ask for: what we announced.
    limit: u32,
    /// The limit went below the table's size: the next block has to begin with an update (RFC 7541 section 4.2).
    update_due: bool = false,

    pub fn init(capacity: u32, limit: u32) Decoder {
        var decoder: Decoder = .{ .table = .init(capacity), .limit = limit };
        decoder.table.size_max = limit;
        return decoder;
    }

    pub fn deinit(decoder: *Decoder, allocator: Allocator) void {
        decoder.table.deinit(allocator);
    }

    /// The peer knows our new limit.
    pub fn setLimit(decoder: *Decoder, limit: u32) void {
        decoder.limit = limit;
        if (decoder.table.size_max > limit) decoder.update_due = true;
    }

    /// All fields of a block. What the sink has got when it fails is of no use.
    pub fn decode(decoder: *Decoder, allocator: Allocator, block: []const u8, sink: anytype) Error!void {
        var input: Input = .{ .bytes = block };
        var begun = false;
        while (input.at < block.len) {
            const first = block[input.at];
            if (first & 0xe0 == 0x20) {
                if (begun) return error.Compression;
                const size = try input.integer(5);
                if (size > decoder.limit) return error.Compression;
                decoder.table.setMax(size);
                decoder.update_due = false;
                continue;
            }
            begun = true;
            if (decoder.update_due) return error.Compression;
            if (first & 0x80 != 0) {
                sink.copy(try decoder.indexed(try input.integer(7)));
            } else if (first & 0x40 != 0) {
                const line = try decoder.literal(&input, 6, sink);
                try decoder.table.add(allocator, line, 0);
                sink.accept(line);
            } else {
                // Without indexing, or never indexed: the difference matters to who forwards.
                sink.accept(try decoder.literal(&input, 4, sink));
            }
        }
    }

    fn indexed(decoder: *const Decoder, index: u32) error{Compression}!Line {
        if (index == 0) return error.Compression;
        if (index <= static_table.count) return field.staticLine(index);
        return decoder.table.at(index - static_table.count - 1) orelse error.Compression;
    }

    /// Written where the sink has room.
    fn literal(decoder: *const Decoder, input: *Input, comptime prefix: u3, sink: anytype) error{Compression}!Line {
        const index = try input.integer(prefix);
        const out = sink.room();
        var name_bytes: usize = undefined;
        if (index == 0) {
            name_bytes = try input.string(out);
        } else {
            const name = (try decoder.indexed(index)).name();
            @memcpy(out[0..name.len], name);
            name_bytes = name.len;
        }
        out[name_bytes..][0..field.separator.len].* = field.separator.*;
        const begin = name_bytes + field.separator.len;
        const end = begin + try input.string(out[begin..]);
        out[end..][0..field.end.len].* = field.end.*;
        return .{
            .bytes = out[0 .. end + field.end.len],
            .name_bytes = name_bytes,
            .kind = field.kindOf(out[0..name_bytes], out[begin..end]),
        };
    }
};

const Input = struct {
    bytes: []const u8,
    at: usize = 0,

    /// RFC 7541 section 5.1.
    fn integer(input: *Input, comptime prefix: u4) error{Compression}!u32 {
        const mask: u8 = (1 << prefix) - 1;
        const first = input.bytes[input.at] & mask;
        input.at += 1;
        if (first < mask) return first;
        var value: u64 = mask;
        for (0..integer_octets_max) |octet| {
            if (input.at == input.bytes.len) return error.Compression;
            const next = input.bytes[input.at];
            input.at += 1;
            value += @as(u64, next & 0x7f) << @intCast(7 * octet);
            if (next & 0x80 == 0) return std.math.cast(u32, value) orelse error.Compression;
        }
        return error.Compression;
    }

    /// RFC 7541 section 5.2: the number of bytes that were written.
    fn string(input: *Input, out: []u8) error{Compression}!usize {
        if (input.at == input.bytes.len) return error.Compression;
        const coded = input.bytes[input.at] & 0x80 != 0;
        const length = try input.integer(7);
        if (length > input.bytes.len - input.at) return error.Compression;
        const text = input.bytes[input.at..][0..length];
        input.at += length;
        if (coded) return (huffman.decode(out[0..huffman.decodedMax(length)], text) catch return error.Compression).len;
        @memcpy(out[0..length], text);
        return length;
    }
};
