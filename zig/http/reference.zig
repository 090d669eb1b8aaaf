//! The same judgement as the parser's, slow and obvious: written from the grammar on whole messages, for the fuzzers to
//! compare with. It shares nothing with the parser but the limits.
const std = @import("std");
const Limits = @import("head.zig").Limits;
const eql = std.mem.eql;

const Refused = error{Refused};

pub const Field = struct { name: []const u8, value: []const u8 };

pub const Head = struct {
    /// Bytes up to and with the empty line.
    length: usize,
    method: []const u8,
    /// As it stands in the request line.
    target: []const u8,
    fields: [16]Field,
    field_count: usize,
    content_length: ?u64,
    chunked: bool,
    close: bool,
};

fn isTokenByte(c: u8) bool {
    return std.ascii.isAlphanumeric(c) or std.mem.indexOfScalar(u8, "!#$%&'*+-.^_`|~", c) != null;
}

fn isToken(text: []const u8) bool {
    for (text) |c| {
        if (!isTokenByte(c)) return false;
    }
    return text.len > 0;
}

/// field-vchar, SP and HTAB (RFC 9110 section 5.5).
fn isFieldContent(text: []const u8) bool {
    for (text) |c| {
        if (c == '\t' or c == ' ' or (c >= 0x21 and c <= 0x7e) or c >= 0x80) continue;
        return false;
    }
    return true;
}

fn isDigits(text: []const u8) bool {
    for (text) |c| {
        if (!std.ascii.isDigit(c)) return false;
    }
    return true;
}

fn trim(text: []const u8) []const u8 {
    return std.mem.trim(u8, text, " \t");
}

/// Null when the text holds no complete head.
pub fn parseHead(text: []const u8, limits: *const Limits) Refused!?Head {
    const skipped: usize = if (std.mem.startsWith(u8, text, "\r\n")) 2 else 0;
    const message = text[skipped..];
    const end = std.mem.indexOf(u8, message, "\r\n\r\n") orelse return null;
    var lines = std.mem.splitSequence(u8, message[0..end], "\r\n");
    var head: Head = undefined;
    head.length = skipped + end + 4;
    head.field_count = 0;
    const line = lines.first();
    try requestLine(line, limits, &head);
    if (end + 4 - (line.len + 2) > @as(usize, limits.max_header_bytes) + 2) return error.Refused;
    while (lines.next()) |each| {
        const colon = std.mem.indexOfScalar(u8, each, ':') orelse return error.Refused;
        if (!isToken(each[0..colon]) or !isFieldContent(each[colon + 1 ..])) return error.Refused;
        if (head.field_count == limits.max_header_count) return error.Refused;
        head.fields[head.field_count] = .{ .name = each[0..colon], .value = trim(each[colon + 1 ..]) };
        head.field_count += 1;
    }
    try meaning(&head, line[line.len - 1] == '0', limits);
    return head;
}

fn requestLine(line: []const u8, limits: *const Limits, head: *Head) Refused!void {
    var words = std.mem.splitScalar(u8, line, ' ');
    head.method = words.first();
    head.target = words.next() orelse return error.Refused;
    const version = words.next() orelse return error.Refused;
    if (words.next() != null or !isToken(head.method) or head.method.len > 32) return error.Refused;
    if (head.target.len == 0 or head.target.len > limits.max_request_line) return error.Refused;
    for (head.target) |c| {
        if (c < 0x21 or c > 0x7e or c == '#') return error.Refused;
    }
    if (version.len != 8 or !std.mem.startsWith(u8, version, "HTTP/1.") or !std.ascii.isDigit(version[7])) return error.Refused;
}

fn meaning(head: *Head, ancient: bool, limits: *const Limits) Refused!void {
    head.content_length = null;
    head.chunked = false;
    head.close = ancient;
    var host: ?[]const u8 = null;
    var kept = false;
    var length: ?[]const u8 = null;
    for (head.fields[0..head.field_count]) |field| {
        if (std.ascii.eqlIgnoreCase(field.name, "host")) {
            if (host != null) return error.Refused;
            host = field.value;
        } else if (std.ascii.eqlIgnoreCase(field.name, "content-length")) {
            var members = std.mem.splitScalar(u8, field.value, ',');
            while (members.next()) |member| try addLength(head, &length, trim(member));
        } else if (std.ascii.eqlIgnoreCase(field.name, "transfer-encoding")) {
            if (head.chunked or !std.ascii.eqlIgnoreCase(field.value, "chunked")) return error.Refused;
            head.chunked = true;
        } else if (std.ascii.eqlIgnoreCase(field.name, "expect")) {
            var members = std.mem.splitScalar(u8, field.value, ',');
            while (members.next()) |member| {
                if (trim(member).len > 0 and !std.ascii.eqlIgnoreCase(trim(member), "100-continue")) return error.Refused;
            }
        } else if (std.ascii.eqlIgnoreCase(field.name, "connection")) {
            var options = std.mem.splitScalar(u8, field.value, ',');
            while (options.next()) |option| {
                if (std.ascii.eqlIgnoreCase(trim(option), "close")) head.close = true;
                if (std.ascii.eqlIgnoreCase(trim(option), "keep-alive")) kept = true;
            }
        }
    }
    joinLengths(head);
    if (ancient and kept) {
        head.close = false;
        for (head.fields[0..head.field_count]) |field| {
            if (!std.ascii.eqlIgnoreCase(field.name, "connection")) continue;
            var options = std.mem.splitScalar(u8, field.value, ',');
            while (options.next()) |option| {
                if (std.ascii.eqlIgnoreCase(trim(option), "close")) head.close = true;
            }
        }
    }
    if (head.chunked and (head.content_length != null or ancient)) return error.Refused;
    if (head.content_length orelse 0 > limits.max_body) return error.Refused;
    if (host) |name| {
        if (name.len > 0 and !isAuthority(name)) return error.Refused;
    } else if (!ancient) return error.Refused;
    if (!isTarget(head.method, head.target)) return error.Refused;
}

/// One field of one value is left of those that agree.
fn joinLengths(head: *Head) void {
    var joined: [16]Field = undefined;
    var count: usize = 0;
    var seen = false;
    for (head.fields[0..head.field_count]) |field| {
        if (!std.ascii.eqlIgnoreCase(field.name, "content-length")) {
            joined[count] = field;
        } else if (!seen) {
            seen = true;
            const end = std.mem.indexOfScalar(u8, field.value, ',') orelse field.value.len;
            joined[count] = .{ .name = field.name, .value = trim(field.value[0..end]) };
        } else continue;
        count += 1;
    }
    head.fields = joined;
    head.field_count = count;
}

fn addLength(head: *Head, first: *?[]const u8, text: []const u8) Refused!void {
    if (text.len == 0 or !isDigits(text)) return error.Refused;
    if (!eql(u8, first.* orelse text, text)) return error.Refused;
    first.* = text;
    head.content_length = std.fmt.parseInt(u64, text, 10) catch return error.Refused;
}

/// RFC 3986 section 3.2, without userinfo and with a host.
fn isAuthority(text: []const u8) bool {
    if (text.len > 0 and text[0] == '[') {
        const close = std.mem.indexOfScalar(u8, text, ']') orelse return false;
        return (isIpv6(text[1..close]) or isFutureAddress(text[1..close])) and isPort(text[close + 1 ..]);
    }
    const colon = std.mem.indexOfScalar(u8, text, ':') orelse return isName(text);
    return isName(text[0..colon]) and isPort(text[colon..]);
}

fn isName(text: []const u8) bool {
    for (text) |c| {
        if (!std.ascii.isAlphanumeric(c) and std.mem.indexOfScalar(u8, "-._~%!$&'()*+,;=", c) == null) return false;
    }
    return text.len > 0;
}

/// The nine lines of RFC 3986's grammar: what stands before "::" and what behind, each counted in groups of 16 bits.
fn isIpv6(text: []const u8) bool {
    const gap = std.mem.indexOf(u8, text, "::") orelse return countGroups(text, true) == 8;
    const before = countGroups(text[0..gap], false) orelse return false;
    const behind = countGroups(text[gap + 2 ..], true) orelse return false;
    return before + behind <= 7;
}

fn countGroups(text: []const u8, last: bool) ?usize {
    if (text.len == 0) return 0;
    var count: usize = 0;
    var groups = std.mem.splitScalar(u8, text, ':');
    while (groups.next()) |group| {
        count += 1;
        if (last and groups.peek() == null and std.mem.indexOfScalar(u8, group, '.') != null) {
            if (!isIpv4(group)) return null;
            count += 1;
            continue;
        }
        if (group.len < 1 or group.len > 4) return null;
        for (group) |c| {
            if (!std.ascii.isHex(c)) return null;
        }
    }
    return count;
}

fn isIpv4(text: []const u8) bool {
    var count: usize = 0;
    var octets = std.mem.splitScalar(u8, text, '.');
    while (octets.next()) |octet| {
        if (octet.len == 0 or !isDigits(octet) or (octet.len > 1 and octet[0] == '0')) return false;
        _ = std.fmt.parseInt(u8, octet, 10) catch return false;
        count += 1;
    }
    return count == 4;
}

fn isFutureAddress(text: []const u8) bool {
    const dot = std.mem.indexOfScalar(u8, text, '.') orelse return false;
    if (dot < 2 or std.ascii.toLower(text[0]) != 'v' or dot + 1 == text.len) return false;
    for (text[1..dot]) |c| {
        if (!std.ascii.isHex(c)) return false;
    }
    for (text[dot + 1 ..]) |c| {
        if (!std.ascii.isAlphanumeric(c) and std.mem.indexOfScalar(u8, "-._~!$&'()*+,;=:", c) == null) return false;
    }
    return true;
}

/// Of a valid authority.
fn hasPort(text: []const u8) bool {
    const colon = std.mem.lastIndexOfScalar(u8, text, ':') orelse return false;
    return colon + 1 < text.len and std.mem.indexOfScalarPos(u8, text, colon, ']') == null;
}

fn isPort(text: []const u8) bool {
    return text.len == 0 or (text[0] == ':' and isDigits(text[1..]));
}

/// RFC 9112 section 3.2.
fn isTarget(method: []const u8, target: []const u8) bool {
    if (eql(u8, method, "CONNECT")) return isAuthority(target) and hasPort(target);
    if (target[0] == '/') return true;
    if (eql(u8, target, "*")) return eql(u8, method, "OPTIONS");
    const rest = for ([_][]const u8{ "http://", "https://" }) |scheme| {
        if (std.ascii.startsWithIgnoreCase(target, scheme)) break target[scheme.len..];
    } else return false;
    return isAuthority(rest[0 .. std.mem.indexOfAny(u8, rest, "/?") orelse rest.len]);
}

pub const Body = struct { bytes: [1024]u8 = undefined, length: usize = 0, taken: usize = 0 };

/// RFC 9112 section 7.1. Null when the text ends before the body does.
pub fn decodeChunked(text: []const u8, limits: *const Limits) Refused!?Body {
    var body: Body = .{};
    while (true) {
        const line = lineAt(text, body.taken) orelse return null;
        body.taken += line.len + 2;
        const size = try chunkSize(line, limits);
        if (size == 0) break;
        if (body.length + size > limits.max_body) return error.Refused;
        if (text.len - body.taken < size + 2) return null;
        if (!eql(u8, text[body.taken + size ..][0..2], "\r\n")) return error.Refused;
        @memcpy(body.bytes[body.length..][0..size], text[body.taken..][0..size]);
        body.length += size;
        body.taken += size + 2;
    }
    var trailer_bytes: usize = 0;
    while (true) {
        const line = lineAt(text, body.taken) orelse return null;
        body.taken += line.len + 2;
        if (line.len == 0) return body;
        const colon = std.mem.indexOfScalar(u8, line, ':') orelse return error.Refused;
        if (!isToken(line[0..colon]) or !isFieldContent(line[colon + 1 ..])) return error.Refused;
        trailer_bytes += line.len;
        if (trailer_bytes > limits.max_trailer_bytes) return error.Refused;
    }
}

fn lineAt(text: []const u8, begin: usize) ?[]const u8 {
    const end = std.mem.indexOfPos(u8, text, begin, "\r\n") orelse return null;
    return text[begin..end];
}

fn chunkSize(line: []const u8, limits: *const Limits) Refused!usize {
    var digits: usize = 0;
    while (digits < line.len and std.ascii.isHex(line[digits])) digits += 1;
    if (digits == 0 or digits > 64 or std.mem.trimStart(u8, line[0..digits], "0").len > 15) return error.Refused;
    const extension = line[digits..];
    if (extension.len > limits.max_chunk_extension_bytes or !isExtension(extension)) return error.Refused;
    return std.fmt.parseInt(usize, line[0..digits], 16) catch return error.Refused;
}

/// *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
fn isExtension(text: []const u8) bool {
    var rest = text;
    while (rest.len > 0) {
        rest = skip(rest, isBlank);
        if (rest.len == 0 or rest[0] != ';') return false;
        rest = skip(rest[1..], isBlank);
        const after_name = skip(rest, isTokenByte);
        if (after_name.len == rest.len) return false;
        rest = after_name;
        const assigned = skip(rest, isBlank);
        if (assigned.len == 0 or assigned[0] != '=') continue;
        rest = skip(assigned[1..], isBlank);
        if (rest.len == 0) return false;
        const after_value = if (rest[0] == '"') (afterQuoted(rest) orelse return false) else skip(rest, isTokenByte);
        if (after_value.len == rest.len) return false;
        rest = after_value;
    }
    return true;
}

fn afterQuoted(text: []const u8) ?[]const u8 {
    var at: usize = 1;
    while (at < text.len) : (at += 1) {
        if (!isFieldContent(text[at .. at + 1])) return null;
        if (text[at] == '"') return text[at + 1 ..];
        if (text[at] == '\\') {
            at += 1;
            if (at == text.len or !isFieldContent(text[at .. at + 1])) return null;
        }
    }
    return null;
}

fn isBlank(c: u8) bool {
    return c == ' ' or c == '\t';
}

fn skip(text: []const u8, comptime allowed: fn (u8) bool) []const u8 {
    var at: usize = 0;
    while (at < text.len and allowed(text[at])) at += 1;
    return text[at..];
}
