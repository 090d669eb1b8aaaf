//! What the fields of a head mean for the message: its body, its host, its connection.
const std = @import("std");
const authority = @import("authority.zig");
const syntax = @import("syntax.zig");
const Head = @import("head.zig").Head;
const Limits = @import("head.zig").Limits;
const Text = @import("head.zig").Text;

/// 10^18 - 1 fits in 64 bits with room to spare.
const length_digits_max = 18;

pub const Refusal = error{ BadRequest, ContentTooLarge, NotImplemented, ExpectationFailed };

pub fn codeOf(refusal: Refusal) syntax.Error {
    return switch (refusal) {
        error.BadRequest => .bad_request,
        error.ContentTooLarge => .content_too_large,
        error.NotImplemented => .not_implemented,
        error.ExpectationFailed => .expectation_failed,
    };
}

pub fn interpret(head: *Head, limits: *const Limits) Refusal!void {
    var hosts: u32 = 0;
    var transfer_encodings: u32 = 0;
    var keep_alive = false;
    var length: ?[]u8 = null;
    var lengths: u32 = 0;
    head.content_length = 0;
    head.has_length = false;
    head.chunked = false;
    head.expects_continue = false;
    head.close = false;
    head.origin = .{ .ptr = head.target.ptr, .len = 0 };
    head.slash_added = false;
    for (head.fields[0..head.field_count]) |*field| {
        const name = field.name.slice();
        const value = field.value.slice();
        switch (name.len) {
            4 => if (std.mem.eql(u8, name, "host")) {
                hosts += 1;
                head.host = field.value;
            },
            6 => if (std.mem.eql(u8, name, "expect")) {
                if (try expectation(value)) head.expects_continue = !head.ancient;
            },
            10 => if (std.mem.eql(u8, name, "connection")) {
                var options = std.mem.splitScalar(u8, value, ',');
                while (options.next()) |option| {
                    const text = std.mem.trim(u8, option, " \t");
                    if (syntax.equalsIgnoringCase(text, "close")) head.close = true;
                    if (syntax.equalsIgnoringCase(text, "keep-alive")) keep_alive = true;
                }
            },
            14 => if (std.mem.eql(u8, name, "content-length")) {
                const text = try contentLength(head, length, value);
                // A list of equal members is handed on as the one that it means.
                field.value = .from(text);
                length = text;
                lengths += 1;
            },
            17 => if (std.mem.eql(u8, name, "transfer-encoding")) {
                transfer_encodings += 1;
                // Several fields are one list: a second one could only add to chunked, which must be last and alone.
                if (transfer_encodings > 1) return error.BadRequest;
                try transferEncoding(value);
                head.chunked = true;
            },
            else => {},
        }
    }
    // RFC 9112 section 6.1: both lengths, or chunked in HTTP/1.0, are smuggling.
    if (head.chunked and (head.has_length or head.ancient)) return error.BadRequest;
    if (lengths > 1) keepFirstLength(head);
    if (hosts > 1 or (hosts == 0 and !head.ancient)) return error.BadRequest;
    if (hosts == 0) head.host = .{ .ptr = head.target.ptr, .len = 0 };
    if (head.host.len > 0 and !authority.isValid(head.host.slice(), .optional)) return error.BadRequest;
    head.close = head.close or (head.ancient and !keep_alive);
    try interpretTarget(head);
    if (head.content_length > limits.max_body) return error.ContentTooLarge;
}

/// RFC 9110 section 10.1.1: a list, whose only known member is 100-continue; whether it is there.
pub fn expectation(value: []const u8) Refusal!bool {
    var found = false;
    var members = std.mem.splitScalar(u8, value, ',');
    while (members.next()) |member| {
        const text = std.mem.trim(u8, member, " \t");
        if (text.len == 0) continue;
        if (!syntax.equalsIgnoringCase(text, "100-continue")) return error.ExpectationFailed;
        found = true;
    }
    return found;
}

/// RFC 9112 section 6.3: digits; a list is accepted when all its members are the same, in the same spelling. Gives that member.
pub fn contentLength(head: *Head, before: ?[]const u8, value: []u8) Refusal![]u8 {
    var members = std.mem.splitScalar(u8, value, ',');
    const first = value[0..members.first().len];
    const text = syntax.trim(first);
    if (text.len == 0) return error.BadRequest;
    for (text) |c| {
        if (c < '0' or c > '9') return error.BadRequest;
    }
    if (!std.mem.eql(u8, before orelse text, text)) return error.BadRequest;
    while (members.next()) |member| {
        if (!std.mem.eql(u8, std.mem.trim(u8, member, " \t"), text)) return error.BadRequest;
    }
    const digits = std.mem.trimStart(u8, text, "0");
    if (digits.len > length_digits_max) return error.ContentTooLarge;
    var length: u64 = 0;
    for (digits) |c| length = length * 10 + (c - '0');
    head.has_length = true;
    head.content_length = length;
    return text;
}

/// Fields that say the same are handed on as one: who joins them would read another number, or none.
pub fn keepFirstLength(head: *Head) void {
    var kept: u32 = 0;
    var found = false;
    for (head.fields[0..head.field_count]) |field| {
        const is_length = std.mem.eql(u8, field.name.slice(), "content-length");
        if (is_length and found) continue;
        found = found or is_length;
        head.fields[kept] = field;
        kept += 1;
    }
    head.field_count = kept;
}

/// RFC 9112 section 6.1: only chunked, once and last. 400 where the end of the message cannot be known, 501 for other codings.
fn transferEncoding(value: []const u8) Refusal!void {
    if (syntax.equalsIgnoringCase(value, "chunked")) return;
    var chunked: u32 = 0;
    var last_chunked = false;
    var codings = std.mem.splitScalar(u8, value, ',');
    while (codings.next()) |coding| {
        last_chunked = syntax.equalsIgnoringCase(std.mem.trim(u8, coding, " \t"), "chunked");
        if (last_chunked) chunked += 1;
    }
    if (chunked > 1 or (chunked == 1 and !last_chunked)) return error.BadRequest;
    return error.NotImplemented;
}

/// RFC 9112 section 3.2: the four forms.
fn interpretTarget(head: *Head) Refusal!void {
    const target = head.target.slice();
    const method = head.method.slice();
    if (std.mem.eql(u8, method, "CONNECT")) {
        return if (authority.isValid(target, .required)) {} else error.BadRequest;
    }
    if (target[0] == '/') return;
    if (target.len == 1 and target[0] == '*') {
        return if (std.mem.eql(u8, method, "OPTIONS")) {} else error.BadRequest;
    }
    return absoluteForm(head, target);
}

/// The path is what is routed; the authority takes the place of Host (RFC 9112 section 3.2.2).
fn absoluteForm(head: *Head, target: []u8) Refusal!void {
    const scheme_end = std.mem.indexOf(u8, target, "://") orelse return error.BadRequest;
    const scheme = target[0..scheme_end];
    if (!syntax.equalsIgnoringCase(scheme, "http") and !syntax.equalsIgnoringCase(scheme, "https")) return error.BadRequest;
    const begin = scheme_end + 3;
    const end = std.mem.indexOfAnyPos(u8, target, begin, "/?") orelse target.len;
    const host = target[begin..end];
    if (!authority.isValid(host, .optional)) return error.BadRequest;
    head.host = .from(host);
    for (head.fields[0..head.field_count]) |*field| {
        if (std.mem.eql(u8, field.name.slice(), "host")) field.value = head.host;
    }
    head.origin = .from(target[0..end]);
    if (end < target.len and target[end] == '/') {
        head.target = .from(target[end..]);
        return;
    }
    // The space behind the target, which nobody needs any more, makes room for the slash of an empty path.
    const room = target.ptr[end .. target.len + 1];
    std.mem.copyBackwards(u8, room[1..], target[end..]);
    room[0] = '/';
    head.target = .from(room);
    head.slash_added = true;
}
