//! The Huffman code of RFC 7541 appendix B, which is canonical: the lengths alone say everything.
const std = @import("std");
const assert = std.debug.assert;

/// Of every byte, then of EOS.
pub const lengths = [symbols]u8{
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6,  10, 10, 12, 13, 6,  8,  11, 10, 10, 8,  11, 8,  6,  6,  6,
    5,  5,  5,  6,  6,  6,  6,  6,  6,  6,  7,  8,  15, 6,  12, 10,
    13, 6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,
    7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8,  13, 19, 13, 14, 6,
    15, 5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,
    6,  7,  6,  5,  5,  6,  7,  7,  7,  7,  7,  15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
};

const symbols = 257;
const eos = 256;
const length_min = 5;
const length_max = 30;
/// Codes up to this length are found by one look into a table: those of all usual characters.
const direct_bits = 10;

/// Bytes that `encoded` bytes can stand for at most.
pub fn decodedMax(encoded: usize) usize {
    return encoded * 8 / length_min;
}

const Canonical = struct {
    codes: [symbols]u32,
    /// By length: the first code, and where its symbol stands in the order of codes.
    first: [length_max + 2]u32,
    begin: [length_max + 2]u16,
    order: [symbols]u16,
};

const canonical = build: {
    @setEvalBranchQuota(100_000);
    var result: Canonical = undefined;
    var code: u32 = 0;
    var count: u16 = 0;
    for (0..length_max + 2) |length| {
        result.first[length] = code;
        result.begin[length] = count;
        for (lengths, 0..) |each, symbol| {
            if (each != length) continue;
            result.codes[symbol] = code;
            result.order[count] = symbol;
            code += 1;
            count += 1;
        }
        code <<= 1;
    }
    break :build result;
};

/// Low byte: the symbol; high byte: the length of its code, 0 where the code is longer than the table is deep.
const direct: [1 << direct_bits]u16 = build: {
    @setEvalBranchQuota(100_000);
    var table: [1 << direct_bits]u16 = @splat(0);
    for (lengths[0..eos], 0..) |length, symbol| {
        if (length > direct_bits) continue;
        const shift = direct_bits - length;
        const begin = canonical.codes[symbol] << shift;
        @memset(table[begin .. begin + (1 << shift)], @as(u16, length) << 8 | symbol);
    }
    break :build table;
};

pub const Invalid = error{InvalidHuffman};

/// Writes what `text` stands for; `out` holds `decodedMax` of it. Padding longer than 7 bits or of other bits than ones, and EOS,
/// are refused (RFC 7541 section 5.2).
pub fn decode(out: []u8, text: []const u8) Invalid![]u8 {
    assert(out.len >= decodedMax(text.len));
    var bits: u64 = 0;
    var held: u7 = 0;
    var at: usize = 0;
    var length: usize = 0;
    while (true) {
        // Bits stand at the top of the word, so that the next code is a shift away.
        if (held <= 32 and text.len - at >= 4) {
            bits |= @as(u64, std.mem.readInt(u32, text[at..][0..4], .big)) << @intCast(32 - held);
            held += 32;
            at += 4;
        } else while (held <= 56 and at < text.len) : (at += 1) {
            bits |= @as(u64, text[at]) << @intCast(56 - held);
            held += 8;
        }
        while (held >= direct_bits) {
            const entry = direct[@intCast(bits >> (64 - direct_bits))];
            const used: u6 = @intCast(entry >> 8);
            if (used == 0) break;
            out[length] = @truncate(entry);
            length += 1;
            bits <<= used;
            held -= used;
        }
        if (held < length_max and at < text.len) continue;
        if (try one(bits, held)) |found| {
            out[length] = found.symbol;
            length += 1;
            bits <<= found.length;
            held -= found.length;
            continue;
        }
        // All of the text is here: what is left is padding.
        if (held >= 8) return error.InvalidHuffman;
        const padding = @as(u64, std.math.maxInt(u64)) << @intCast(63 - held) << 1;
        if (bits & padding != padding) return error.InvalidHuffman;
        return out[0..length];
    }
}

const Found = struct { symbol: u8, length: u6 };

/// The code at the top of the word, of any length; null where none ends within the `held` bits.
fn one(bits: u64, held: u7) Invalid!?Found {
    var length: usize = length_min;
    while (length <= length_max and length <= held) : (length += 1) {
        const code: u32 = @intCast(bits >> @intCast(64 - length));
        const count = canonical.begin[length + 1] - canonical.begin[length];
        if (code -% canonical.first[length] >= count) continue;
        const symbol = canonical.order[canonical.begin[length] + code - canonical.first[length]];
        if (symbol == eos) return error.InvalidHuffman;
        return .{ .symbol = @intCast(symbol), .length = @intCast(length) };
    }
    return null;
}

pub fn encodedBytes(text: []const u8) usize {
    var bits: usize = 0;
    for (text) |c| bits += lengths[c];
    return (bits + 7) / 8;
}

/// Writes the code of `text` to `out`, which holds `encodedBytes` of it.
pub fn encode(out: []u8, text: []const u8) void {
    var bits: u64 = 0;
    var held: u6 = 0;
    var at: usize = 0;
    for (text) |c| {
        bits = bits << @intCast(lengths[c]) | canonical.codes[c];
        held += @intCast(lengths[c]);
        while (held >= 8) {
            held -= 8;
            out[at] = @truncate(bits >> held);
            at += 1;
        }
    }
    if (held > 0) out[at] = @truncate(bits << (8 - held) | (@as(u64, 0xff) >> held));
}

test "every byte survives, alone and between others" {
    var encoded: [64]u8 = undefined;
    var decoded: [256]u8 = undefined;
    for (0..256) |byte| {
        for ([_][]const u8{ "", "a", "www.example.com", "\x00\xff~" }) |around| {
            var text: [40]u8 = undefined;
            const whole = try std.fmt.bufPrint(&text, "{s}{c}{s}", .{ around, @as(u8, @intCast(byte)), around });
            const size = encodedBytes(whole);
            encode(encoded[0..size], whole);
            try std.testing.expectEqualStrings(whole, try decode(&decoded, encoded[0..size]));
        }
    }
}

test "padding is at most seven ones, and EOS is no padding" {
    var decoded: [32]u8 = undefined;
    try std.testing.expectEqualStrings("0", try decode(&decoded, &.{0x07}));
    for ([_][]const u8{
        &.{0xff},
        &.{ 0x07, 0xff },
        &.{0x06},
        &.{ 0x07, 0xff, 0xff },
        &.{ 0xff, 0xff, 0xff, 0xff },
        &.{ 0xff, 0xff, 0xff, 0xfc },
        &.{ 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
    }) |text| try std.testing.expectError(error.InvalidHuffman, decode(&decoded, text));
}
