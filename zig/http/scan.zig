//! Where runs of allowed bytes end, sixteen bytes at a time: values, targets, and names, which are lowered on the way.
const std = @import("std");
const assert = std.debug.assert;
const syntax = @import("syntax.zig");

const lanes = 16;
const Chunk = @Vector(lanes, u8);
const Mask = @Int(.unsigned, lanes);

fn load(data: []const u8, at: usize) Chunk {
    return data[at..][0..lanes].*;
}

fn splat(byte: u8) Chunk {
    return @splat(byte);
}

/// Bytes from `first` to `last`: what is below wraps around and is greater.
fn within(chunk: Chunk, comptime first: u8, comptime last: u8) Mask {
    return @bitCast(chunk -% splat(first) <= splat(last - first));
}

fn equal(chunk: Chunk, byte: u8) Mask {
    return @bitCast(chunk == splat(byte));
}

/// The first byte at or behind `begin` that a field's value cannot hold (RFC 9110 section 5.5), or the end.
pub fn valueEnd(data: []const u8, begin: usize) usize {
    var at = begin;
    while (data.len - at >= lanes) : (at += lanes) {
        const chunk = load(data, at);
        const control: Mask = @bitCast(chunk < splat(0x20));
        const stops = (control & ~equal(chunk, '\t')) | equal(chunk, 0x7f);
        if (stops != 0) return at + @ctz(stops);
    }
    while (at < data.len and syntax.isFieldByte(data[at])) at += 1;
    return at;
}

/// The first byte at or behind `begin` that a target cannot hold, or the end. RFC 3986: visible ASCII; a fragment is never sent.
pub fn targetEnd(data: []const u8, begin: usize) usize {
    var at = begin;
    while (data.len - at >= lanes) : (at += lanes) {
        const chunk = load(data, at);
        const stops = ~within(chunk, 0x21, 0x7e) | equal(chunk, '#');
        if (stops != 0) return at + @ctz(stops);
    }
    while (at < data.len and isTargetByte(data[at])) at += 1;
    return at;
}

fn isTargetByte(byte: u8) bool {
    return byte > 0x20 and byte < 0x7f and byte != '#';
}

/// The first byte at or behind `begin` that is no tchar (RFC 9110 section 5.6.2), or the end. What lies before is lowered.
pub fn lowerTokenEnd(data: []u8, begin: usize) usize {
    var at = begin;
    while (data.len - at >= lanes) {
        const chunk = load(data, at);
        const upper = within(chunk, 'A', 'Z');
        const usual = within(chunk, 'a', 'z') | upper | within(chunk, '0', '9') | equal(chunk, '-');
        const run = @ctz(~@as(u32, usual));
        assert(run <= lanes);
        // Few letters are capitals, and whole chunks written back would delay the reading of what follows.
        var capitals = @as(u32, upper) & ((@as(u32, 1) << @intCast(run)) - 1);
        while (capitals != 0) : (capitals &= capitals - 1) data[at + @ctz(capitals)] |= 0x20;
        at += run;
        if (run == lanes) continue;
        // Other token characters are rare.
        if (!syntax.token_table[data[at]]) return at;
        at += 1;
    }
    while (at < data.len and syntax.token_table[data[at]]) : (at += 1) data[at] = syntax.lower(data[at]);
    return at;
}

test "runs end where a byte-wise search says, at every length and position" {
    const allows = struct {
        fn token(byte: u8) bool {
            return syntax.token_table[byte];
        }
    };
    var data: [3 * lanes]u8 = undefined;
    for (0..256) |stop| {
        for (0..data.len + 1) |length| {
            const text = data[0..length];
            for ([_]usize{ 0, length / 2, length -| 1 }) |position| {
                @memset(text, 'A');
                if (position < length) text[position] = @intCast(stop);
                try expectEnd(valueEnd(text, 0), text, position, syntax.isFieldByte);
                try expectEnd(targetEnd(text, 0), text, position, isTargetByte);
                const end = lowerTokenEnd(text, 0);
                try expectEnd(end, text, position, allows.token);
                for (text[0..end], 0..) |byte, index| {
                    const before: u8 = if (index == position) @intCast(stop) else 'A';
                    try std.testing.expectEqual(syntax.lower(before), byte);
                }
                for (text[end..], end..) |byte, index| {
                    const before: u8 = if (index == position) @intCast(stop) else 'A';
                    try std.testing.expectEqual(before, byte);
                }
            }
        }
    }
}

fn expectEnd(end: usize, text: []const u8, position: usize, comptime allowed: fn (u8) bool) !void {
    const expected = if (position < text.len and !allowed(text[position])) position else text.len;
    try std.testing.expectEqual(expected, end);
}
