//! A host and its port, as Host, CONNECT and the absolute form of a target name them (RFC 3986 section 3.2, without userinfo).
const std = @import("std");
const syntax = @import("syntax.zig");

pub const Port = enum { optional, required };

/// A name, an IPv4 address, or another address in brackets, then a port of digits.
pub fn isValid(text: []const u8, port: Port) bool {
    const host = hostEnd(text) orelse return false;
    if (host == text.len) return port == .optional;
    if (text[host] != ':') return false;
    const digits = text[host + 1 ..];
    // RFC 3986 section 3.2.3 allows a colon without a port, which the authority form of CONNECT cannot do without.
    if (digits.len == 0) return port == .optional;
    return allDigits(digits);
}

export fn http_is_authority(text: [*]const u8, length: usize) bool {
    return isValid(text[0..length], .optional);
}

/// Where the host ends; null when there is none.
fn hostEnd(text: []const u8) ?usize {
    if (text.len > 0 and text[0] == '[') {
        const close = std.mem.indexOfScalar(u8, text, ']') orelse return null;
        const literal = text[1..close];
        return if (isIpv6(literal) or isFutureAddress(literal)) close + 1 else null;
    }
    const end = std.mem.indexOfScalar(u8, text, ':') orelse text.len;
    for (text[0..end]) |c| {
        if (!syntax.host_table[c]) return null;
    }
    return if (end > 0) end else null;
}

fn allDigits(text: []const u8) bool {
    for (text) |c| {
        if (c < '0' or c > '9') return false;
    }
    return true;
}

const groups_max = 8;

/// Eight groups of hexadecimal digits, the last two of which may be an IPv4 address; one "::" stands for missing groups.
fn isIpv6(text: []const u8) bool {
    var groups: u32 = 0;
    var gap = false;
    var at: usize = 0;
    if (std.mem.startsWith(u8, text, "::")) {
        gap = true;
        at = 2;
    }
    while (at < text.len) {
        const end = std.mem.indexOfScalarPos(u8, text, at, ':') orelse text.len;
        const group = text[at..end];
        if (end == text.len and std.mem.indexOfScalar(u8, group, '.') != null) {
            if (!isIpv4(group)) return false;
            groups += 2;
            break;
        }
        if (!isGroup(group)) return false;
        groups += 1;
        if (groups > groups_max) return false;
        if (end == text.len) break;
        at = end + 1;
        if (at == text.len) return false;
        if (text[at] == ':') {
            if (gap) return false;
            gap = true;
            at += 1;
        }
    }
    return if (gap) groups < groups_max else groups == groups_max;
}

fn isGroup(text: []const u8) bool {
    if (text.len == 0 or text.len > 4) return false;
    for (text) |c| {
        if (!std.ascii.isHex(c)) return false;
    }
    return true;
}

fn isIpv4(text: []const u8) bool {
    var octets: u32 = 0;
    var parts = std.mem.splitScalar(u8, text, '.');
    while (parts.next()) |part| {
        if (part.len == 0 or part.len > 3 or !allDigits(part)) return false;
        if (part.len > 1 and part[0] == '0') return false;
        octets += 1;
        _ = std.fmt.parseInt(u8, part, 10) catch return false;
    }
    return octets == 4;
}

/// "v", a version in hexadecimal, and what that version says.
fn isFutureAddress(text: []const u8) bool {
    if (text.len == 0 or (text[0] != 'v' and text[0] != 'V')) return false;
    const dot = std.mem.indexOfScalar(u8, text, '.') orelse return false;
    if (dot == 1 or dot + 1 == text.len) return false;
    for (text[1..dot]) |c| {
        if (!std.ascii.isHex(c)) return false;
    }
    for (text[dot + 1 ..]) |c| {
        if (c != ':' and (c == '%' or !syntax.host_table[c])) return false;
    }
    return true;
}

test "addresses in brackets are IPv6, or of a future version" {
    for ([_][]const u8{
        "[::]",               "[::1]",                                       "[1::]",             "[1:2:3:4:5:6:7:8]", "[1::8]:80",
        "[::ffff:192.0.2.1]", "[1:2:3:4:5:6:1.2.3.4]",                       "[::2:3:4:5:6:7:8]", "[FE80::Abcd]:",     "[v1.a:b]",
        "[1:2:3:4:5:6:7::]",  "[2001:0db8:0000:0000:0000:0000:0000:0001]:1",
    }) |text| {
        std.testing.expect(isValid(text, .optional)) catch |err| {
            std.debug.print("{s}\n", .{text});
            return err;
        };
    }
    for ([_][]const u8{
        "[]",                      "[::g]",               "[:]",                 "[:1]",         "[1:]",
        "[1:2]",                   "[1::2::3]",           "[12345]",             "[12345::]",    "[1:::2]",
        "[:::]",                   "[::1%25e0]",          "[::1.2]",             "[v.a]",        "[v1.]",
        "[vg.a]",                  "[v1]",                "[v1.%]",              "[::1]a",       "[::1]80",
        "[::1",                    "[1.2.3.4]",           "[::1.2.3.256]",       "[::01.2.3.4]", "[1:2:3:4:5:6:7:8:9]",
        "[1:2:3:4:5:6:7:1.2.3.4]", "[::2:3:4:5:6:7:8:9]", "[1:2:3:4:5:6:7:8::]",
    }) |text| {
        std.testing.expect(!isValid(text, .optional)) catch |err| {
            std.debug.print("{s}\n", .{text});
            return err;
        };
    }
}

test "CONNECT needs a port" {
    for ([_][]const u8{ "a:443", "[::1]:1", "1.2.3.4:80" }) |text| try std.testing.expect(isValid(text, .required));
    for ([_][]const u8{ "a", "a:", ":1", "", "*", "[::1]", "[::1]:", "a:b", "u@a:1" }) |text|
        try std.testing.expect(!isValid(text, .required));
}
