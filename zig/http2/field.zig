//! What a field is, by its name: found once for each entry of the dynamic table, so that a head that was seen before is not
//! checked again (RFC 9113 section 8.2).
const std = @import("std");
const scan = @import("../http/scan.zig");
const static_table = @import("static_table.zig");
const syntax = @import("../http/syntax.zig");

pub const Kind = enum(u8) {
    regular,
    cookie,
    host,
    content_length,
    expect,
    te,
    priority,
    /// Connection-specific (section 8.2.2), a name or value of other characters, an unknown pseudo-header field.
    malformed,
    method,
    path,
    scheme,
    authority,
    protocol,
};

/// Name, ": ", value, CR LF: as HTTP/1.1 writes a field, and as its readers want it.
pub const Line = struct {
    bytes: []const u8,
    name_bytes: usize,
    kind: Kind,

    pub fn name(line: Line) []const u8 {
        return line.bytes[0..line.name_bytes];
    }

    pub fn value(line: Line) []const u8 {
        return line.bytes[line.name_bytes + separator.len .. line.bytes.len - end.len];
    }

    /// RFC 7541 section 4.1.
    pub fn size(line: Line) usize {
        return line.bytes.len - separator.len - end.len + entry_overhead;
    }
};

pub const separator = ": ";
pub const end = "\r\n";
pub const line_overhead = separator.len + end.len;
pub const entry_overhead = 32;

pub fn kindOf(name: []const u8, value: []const u8) Kind {
    const kind = kindOfName(name);
    return switch (kind) {
        .regular, .cookie, .host, .content_length, .expect, .te, .priority => if (isValue(value)) kind else .malformed,
        else => kind,
    };
}

fn kindOfName(name: []const u8) Kind {
    if (name.len == 0) return .malformed;
    if (name[0] == ':') return pseudo.get(name) orelse .malformed;
    for (name) |c| {
        if (!name_table[c]) return .malformed;
    }
    return switch (name.len) {
        2, 4, 6, 7, 8, 10, 14, 16, 17 => special.get(name) orelse .regular,
        else => .regular,
    };
}

/// Section 8.2.1: field-content, neither beginning nor ending with a blank.
fn isValue(value: []const u8) bool {
    if (value.len == 0) return true;
    if (isBlank(value[0]) or isBlank(value[value.len - 1])) return false;
    return scan.valueEnd(value, 0) == value.len;
}

fn isBlank(c: u8) bool {
    return c == ' ' or c == '\t';
}

/// tchar without capitals.
const name_table = build: {
    var table = syntax.token_table;
    for ('A'..'Z' + 1) |c| table[c] = false;
    break :build table;
};

const pseudo: std.StaticStringMap(Kind) = .initComptime(.{
    .{ ":method", .method },
    .{ ":path", .path },
    .{ ":scheme", .scheme },
    .{ ":authority", .authority },
    .{ ":protocol", .protocol },
});

const special: std.StaticStringMap(Kind) = .initComptime(.{
    .{ "te", .te },
    .{ "host", .host },
    .{ "cookie", .cookie },
    .{ "expect", .expect },
    .{ "priority", .priority },
    .{ "content-length", .content_length },
    .{ "connection", .malformed },
    .{ "keep-alive", .malformed },
    .{ "proxy-connection", .malformed },
    .{ "transfer-encoding", .malformed },
    .{ "upgrade", .malformed },
});

const static_lines: [static_table.count]Line = build: {
    @setEvalBranchQuota(1_000_000);
    var lines: [static_table.count]Line = undefined;
    for (&lines, 1..) |*line, index| {
        const entry = static_table.at(index);
        line.* = .{
            .bytes = entry.name ++ separator ++ entry.value ++ end,
            .name_bytes = entry.name.len,
            .kind = kindOf(entry.name, entry.value),
        };
    }
    break :build lines;
};

/// Of an index from 1.
pub fn staticLine(index: usize) Line {
    return static_lines[index - 1];
}

test "names and values that RFC 9113 forbids are malformed" {
    for ([_][2][]const u8{
        .{ "Name", "v" },        .{ "na me", "v" },           .{ "", "v" },                        .{ "name:", "v" },
        .{ ":name", "v" },       .{ ":", "v" },               .{ ":status", "200" },               .{ "name\x80", "v" },
        .{ "connection", "te" }, .{ "upgrade", "h2c" },       .{ "name", " v" },                   .{ "name", "v\t" },
        .{ "name", "v\x00v" },   .{ "name", "v\rv" },         .{ "name", "v\nv" },                 .{ "name", "\x7f" },
        .{ "keep-alive", "" },   .{ "proxy-connection", "" }, .{ "transfer-encoding", "chunked" },
    }) |each| try std.testing.expectEqual(Kind.malformed, kindOf(each[0], each[1]));
    for ([_][2][]const u8{ .{ "x", "" }, .{ "x", "a b" }, .{ "x!#", "\x80" }, .{ "datf", "a" } }) |each|
        try std.testing.expectEqual(Kind.regular, kindOf(each[0], each[1]));
    try std.testing.expectEqual(Kind.te, kindOf("te", "trailers"));
    try std.testing.expectEqual(Kind.path, staticLine(4).kind);
    try std.testing.expectEqualStrings("/index.html", staticLine(5).value());
    try std.testing.expectEqual(Kind.malformed, staticLine(57).kind);
}
