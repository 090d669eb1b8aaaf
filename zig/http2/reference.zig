//! The same judgement as the decoder's and the request's, slow and obvious: written from RFC 7541 and RFC 9113 section 8 on whole
//! blocks, for the fuzzers to compare with. It shares with them the tables that RFC 7541 prints, and the limits.
const std = @import("std");
const Allocator = std.mem.Allocator;
const huffman = @import("huffman.zig");
const static_table = @import("static_table.zig");
const eql = std.mem.eql;

pub const Refused = error{ Refused, OutOfMemory };

pub const Field = struct { name: []const u8, value: []const u8 };

/// A code of appendix B, found by counting up through all shorter ones.
fn codeOf(symbol: usize) u32 {
    var code: u32 = 0;
    for (1..31) |length| {
        code <<= 1;
        for (huffman.lengths, 0..) |each, other| {
            if (each != length) continue;
            if (other == symbol) return code;
            code += 1;
        }
    }
    unreachable;
}

const codes = build: {
    @setEvalBranchQuota(10_000_000);
    var result: [257]u32 = undefined;
    for (&result, 0..) |*code, symbol| code.* = codeOf(symbol);
    break :build result;
};

/// Section 5.2, bit by bit.
pub fn decodeHuffman(arena: Allocator, text: []const u8) Refused![]const u8 {
    var out: std.ArrayList(u8) = .empty;
    var code: u32 = 0;
    var length: u8 = 0;
    for (0..text.len * 8) |bit| {
        code = code << 1 | (text[bit / 8] >> @intCast(7 - bit % 8) & 1);
        length += 1;
        for (codes, huffman.lengths, 0..) |other, other_length, symbol| {
            if (other_length != length or other != code) continue;
            if (symbol == 256) return error.Refused;
            try out.append(arena, @intCast(symbol));
            code = 0;
            length = 0;
            break;
        }
        if (length > 30) return error.Refused;
    }
    if (length > 7 or code != (@as(u32, 1) << @intCast(length)) - 1) return error.Refused;
    return out.items;
}

pub const Decoder = struct {
    arena: Allocator,
    /// The newest first.
    table: std.ArrayList(Field) = .empty,
    size_max: usize = 4096,
    limit: usize,

    fn size(decoder: *const Decoder) usize {
        var sum: usize = 0;
        for (decoder.table.items) |field| sum += field.name.len + field.value.len + 32;
        return sum;
    }

    fn evict(decoder: *Decoder, room: usize) void {
        while (decoder.table.items.len > 0 and decoder.size() + room > decoder.size_max) _ = decoder.table.pop();
    }

    fn at(decoder: *const Decoder, index: usize) Refused!Field {
        if (index == 0) return error.Refused;
        if (index <= 61) return .{ .name = static_table.at(index).name, .value = static_table.at(index).value };
        if (index - 62 >= decoder.table.items.len) return error.Refused;
        return decoder.table.items[index - 62];
    }

    pub fn decode(decoder: *Decoder, block: []const u8) Refused![]Field {
        var fields: std.ArrayList(Field) = .empty;
        var rest = block;
        while (rest.len > 0) {
            const first = rest[0];
            if (first >= 0x80) {
                try fields.append(decoder.arena, try decoder.at(try integer(&rest, 7)));
            } else if (first >= 0x40) {
                const field = try decoder.literal(&rest, 6);
                try fields.append(decoder.arena, field);
                const room = field.name.len + field.value.len + 32;
                decoder.evict(room);
                if (room <= decoder.size_max) try decoder.table.insert(decoder.arena, 0, field);
            } else if (first >= 0x20) {
                if (fields.items.len > 0) return error.Refused;
                const wanted = try integer(&rest, 5);
                if (wanted > decoder.limit) return error.Refused;
                decoder.size_max = wanted;
                decoder.evict(0);
            } else {
                try fields.append(decoder.arena, try decoder.literal(&rest, 4));
            }
        }
        return fields.items;
    }

    fn literal(decoder: *Decoder, rest: *[]const u8, prefix: u4) Refused!Field {
        const index = try integer(rest, prefix);
        const name = if (index == 0) try decoder.string(rest) else (try decoder.at(index)).name;
        return .{ .name = name, .value = try decoder.string(rest) };
    }

    fn string(decoder: *Decoder, rest: *[]const u8) Refused![]const u8 {
        if (rest.len == 0) return error.Refused;
        const coded = rest.*[0] >= 0x80;
        const length = try integer(rest, 7);
        if (length > rest.len) return error.Refused;
        const text = rest.*[0..length];
        rest.* = rest.*[length..];
        return if (coded) decodeHuffman(decoder.arena, text) else text;
    }
};

/// Section 5.1; five octets behind the prefix, and 32 bits.
fn integer(rest: *[]const u8, prefix: u4) Refused!usize {
    const full = (@as(usize, 1) << prefix) - 1;
    var value = rest.*[0] & full;
    rest.* = rest.*[1..];
    if (value < full) return value;
    var factor: usize = 1;
    for (0..5) |_| {
        if (rest.len == 0) return error.Refused;
        const octet = rest.*[0];
        rest.* = rest.*[1..];
        value += (octet & 0x7f) * factor;
        factor *= 128;
        if (octet < 0x80) return if (value <= std.math.maxInt(u32)) value else error.Refused;
    }
    return error.Refused;
}

const forbidden = [_][]const u8{ "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade" };

fn isName(name: []const u8) bool {
    for (name) |c| {
        const allowed = std.ascii.isLower(c) or std.ascii.isDigit(c) or std.mem.indexOfScalar(u8, "!#$%&'*+-.^_`|~", c) != null;
        if (!allowed) return false;
    }
    for (forbidden) |other| {
        if (eql(u8, name, other)) return false;
    }
    return name.len > 0;
}

fn isValue(value: []const u8) bool {
    for (value) |c| {
        if (c != '\t' and (c < 0x20 or c == 0x7f)) return false;
    }
    return value.len == std.mem.trim(u8, value, " \t").len;
}

/// Whether the fields of trailers are well-formed (section 8.1).
pub fn trailersAreValid(fields: []const Field) bool {
    for (fields) |field| {
        if (!isName(field.name) or !isValue(field.value)) return false;
        if (eql(u8, field.name, "te") and !std.ascii.eqlIgnoreCase(field.value, "trailers")) return false;
    }
    return true;
}

fn only(fields: []const Field, name: []const u8) ?[]const u8 {
    for (fields) |field| {
        if (eql(u8, field.name, name)) return field.value;
    }
    return null;
}

/// Whether a request without content is well-formed, but for the syntax of targets and authorities, which HTTP/1.1 has as well
/// (section 8.3.1, section 8.5, RFC 8441 section 4).
pub fn requestIsValid(fields: []const Field) bool {
    var begun = false;
    var hosts: usize = 0;
    for (fields, 0..) |field, index| {
        if (field.name.len > 0 and field.name[0] == ':') {
            if (begun or only(fields[0..index], field.name) != null) return false;
            const known = [_][]const u8{ ":method", ":scheme", ":path", ":authority", ":protocol" };
            for (known) |name| {
                if (eql(u8, name, field.name)) break;
            } else return false;
            continue;
        }
        begun = true;
        if (!trailersAreValid(&.{field})) return false;
        if (eql(u8, field.name, "host")) hosts += 1;
    }
    if (hosts > 1) return false;
    const method = only(fields, ":method") orelse return false;
    const authority = only(fields, ":authority");
    const host = only(fields, "host");
    if (authority == null and host == null) return false;
    if (authority != null and host != null and !std.ascii.eqlIgnoreCase(authority.?, host.?)) return false;
    const scheme = only(fields, ":scheme");
    const path = only(fields, ":path");
    if (only(fields, ":protocol") != null) {
        return eql(u8, method, "CONNECT") and scheme != null and path != null and authority != null;
    }
    if (eql(u8, method, "CONNECT")) return scheme == null and path == null and authority != null;
    if (scheme == null or path == null or path.?.len == 0) return false;
    return path.?[0] == '/' or (eql(u8, path.?, "*") and eql(u8, method, "OPTIONS"));
}
