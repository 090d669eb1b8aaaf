//! The field section of a request, or its trailers, as HTTP/1.1 would have sent it: what zig/http/head.zig finds in a head, from a
//! decoded block (RFC 9113 section 8). The sink of the decoder: lines are written once, one behind the other.
const std = @import("std");
const assert = std.debug.assert;
const authority_syntax = @import("../http/authority.zig");
const field = @import("field.zig");
const http_head = @import("../http/head.zig");
const huffman = @import("huffman.zig");
const scan = @import("../http/scan.zig");
const semantics = @import("../http/semantics.zig");
const syntax = @import("../http/syntax.zig");
const Head = http_head.Head;
const Limits = @import("limits.zig").Limits;
const Line = field.Line;
const Priority = @import("priority.zig").Priority;
const Text = http_head.Text;

const method_max = 32;
const host_name = "host" ++ field.separator;

/// What the stream gets: a request, an answer instead of one, or its end with PROTOCOL_ERROR.
pub const Outcome = union(enum) { good, refused: syntax.Error, malformed };

pub const RequestHead = struct {
    scratch: []u8,
    head: *Head,
    limits: *const Limits,
    /// Lines in `scratch`, and where those of fields begin: behind the pseudo-header fields.
    length: usize = 0,
    fields_begin: usize = 0,
    list_bytes: u64 = 0,
    /// Fields that follow are of no interest any more: nothing is kept.
    discards: bool = false,
    malformed: bool = false,
    refusal: ?syntax.Error = null,
    asked_head: bool = false,
    trailers: bool = false,
    fields_begun: bool = false,
    method: ?[]u8 = null,
    path: ?[]u8 = null,
    scheme: ?[]u8 = null,
    authority: ?[]u8 = null,
    protocol: ?[]u8 = null,
    host: ?[]u8 = null,
    /// The text of the first Content-Length.
    declared: ?[]u8 = null,
    lengths: u32 = 0,
    /// The index of the first cookie field, and how many there are.
    cookie: ?u32 = null,
    crumbs: u32 = 0,
    priority: ?Priority = null,

    /// What a block can need: everything that is kept, the host once more, and the longest line behind it.
    pub fn scratchBytes(limits: *const Limits) usize {
        return 2 * @as(usize, limits.max_header_list_bytes) + huffman.decodedMax(limits.maxBlockBytes()) +
            limits.max_table_bytes + 2 * limits.maxBlockBytes() + 256;
    }

    pub fn begin(request: *RequestHead, trailers: bool) void {
        request.* = .{ .scratch = request.scratch, .head = request.head, .limits = request.limits, .trailers = trailers };
        const head = request.head;
        const none: Text = .{ .ptr = request.scratch.ptr, .len = 0 };
        head.method = none;
        head.target = none;
        head.host = none;
        head.origin = none;
        head.content_length = 0;
        head.field_count = 0;
        head.ancient = false;
        head.close = false;
        head.chunked = false;
        head.expects_continue = false;
        head.has_length = false;
        head.slash_added = false;
    }

    pub fn room(request: *RequestHead) []u8 {
        // Between the pseudo-header fields and the others, the line of Host is written.
        const gap = if (request.fields_begun or request.discards) 0 else request.hostLineBytes();
        return request.scratch[request.length + gap ..];
    }

    fn hostLineBytes(request: *const RequestHead) usize {
        const host = request.authority orelse return 0;
        return host_name.len + host.len + field.end.len;
    }

    pub fn copy(request: *RequestHead, line: Line) void {
        if (request.discards) return;
        if (line.kind == .regular and request.fields_begun and request.copyUsual(line)) return;
        const out = request.room()[0..line.bytes.len];
        @memcpy(out, line.bytes);
        request.accept(.{ .bytes = out, .name_bytes = line.name_bytes, .kind = line.kind });
    }

    /// Most fields of most requests: known, and of no meaning here. False at a limit.
    fn copyUsual(request: *RequestHead, line: Line) bool {
        const head = request.head;
        const list_bytes = request.list_bytes + line.size();
        if (list_bytes > request.limits.max_header_list_bytes) return false;
        const index = head.field_count;
        if (index >= @min(request.limits.max_header_count, http_head.fields_max)) return false;
        const out = request.scratch[request.length..][0..line.bytes.len];
        @memcpy(out, line.bytes);
        head.fields[index] = .{
            .name = .{ .ptr = out.ptr, .len = line.name_bytes },
            .value = .{
                .ptr = out.ptr + line.name_bytes + field.separator.len,
                .len = out.len - line.name_bytes - field.line_overhead,
            },
        };
        head.field_count = index + 1;
        request.length += out.len;
        request.list_bytes = list_bytes;
        return true;
    }

    pub fn accept(request: *RequestHead, line: Line) void {
        if (request.discards) return;
        request.list_bytes += line.size();
        if (request.list_bytes > request.limits.max_header_list_bytes) return request.refuse(.header_fields_too_large);
        switch (line.kind) {
            .malformed => return request.fail(),
            .method => request.pseudo(&request.method, line),
            .path => request.pseudo(&request.path, line),
            .scheme => request.pseudo(&request.scheme, line),
            .authority => request.pseudo(&request.authority, line),
            .protocol => request.pseudo(&request.protocol, line),
            else => request.regular(line),
        }
    }

    /// Whatever else is wrong with a malformed request, it gets no answer.
    fn fail(request: *RequestHead) void {
        request.malformed = true;
        request.discards = true;
        request.length = 0;
    }

    fn refuse(request: *RequestHead, reason: syntax.Error) void {
        request.refusal = reason;
        // Its text gets lost.
        if (request.method) |method| request.asked_head = std.mem.eql(u8, method, "HEAD");
        request.discards = true;
        request.length = 0;
    }

    /// Whether no content may answer it.
    pub fn asksHead(request: *const RequestHead) bool {
        return request.asked_head or std.mem.eql(u8, request.head.method.slice(), "HEAD");
    }

    fn mutable(request: *RequestHead, text: []const u8) []u8 {
        return request.scratch[@intFromPtr(text.ptr) - @intFromPtr(request.scratch.ptr) ..][0..text.len];
    }

    fn pseudo(request: *RequestHead, place: *?[]u8, line: Line) void {
        if (request.trailers or request.fields_begun or place.* != null) return request.fail();
        // The gap for Host grows with the authority: what was decoded so far stands before it.
        place.* = request.mutable(line.value());
        request.length = @intFromPtr(line.bytes.ptr) + line.bytes.len - @intFromPtr(request.scratch.ptr);
    }

    fn beginFields(request: *RequestHead) void {
        request.fields_begun = true;
        request.fields_begin = request.length;
        const host = request.authority orelse return;
        const line = request.scratch[request.length..][0..request.hostLineBytes()];
        @memcpy(line[0..host_name.len], host_name);
        @memcpy(line[host_name.len..][0..host.len], host);
        @memcpy(line[host_name.len + host.len ..], field.end);
        request.length += line.len;
        request.append(.{ .bytes = line, .name_bytes = "host".len, .kind = .host });
    }

    fn append(request: *RequestHead, line: Line) void {
        const head = request.head;
        if (head.field_count == @min(request.limits.max_header_count, http_head.fields_max))
            return request.refuse(.header_fields_too_large);
        head.fields[head.field_count] = .{
            .name = .from(request.mutable(line.name())),
            .value = .from(request.mutable(line.value())),
        };
        head.field_count += 1;
    }

    fn regular(request: *RequestHead, line: Line) void {
        if (!request.fields_begun) request.beginFields();
        if (request.discards) return;
        assert(line.bytes.ptr == request.scratch.ptr + request.length);
        switch (line.kind) {
            .host => if (!request.trailers) return request.addHost(line),
            .te => if (!syntax.equalsIgnoringCase(line.value(), "trailers")) return request.fail(),
            else => {},
        }
        request.length += line.bytes.len;
        request.append(line);
        if (request.discards or request.trailers) return;
        switch (line.kind) {
            .cookie => {
                if (request.cookie == null) request.cookie = request.head.field_count - 1;
                request.crumbs += 1;
            },
            .content_length => request.addLength(),
            .expect => if (semantics.expectation(line.value())) |found| {
                if (found) request.head.expects_continue = true;
            } else |_| request.answer(.expectation_failed),
            // The last field counts as the last member of a list does.
            .priority => request.priority = .parse(line.value()),
            else => {},
        }
    }

    /// The whole head is read all the same: it may be malformed as well.
    fn answer(request: *RequestHead, reason: syntax.Error) void {
        if (request.refusal == null) request.refusal = reason;
    }

    fn addHost(request: *RequestHead, line: Line) void {
        if (request.host != null) return request.fail();
        if (request.authority) |authority| {
            // Section 8.3.1: it may be there, but must not name another one; HTTP/1.1 has one only.
            if (!std.ascii.eqlIgnoreCase(authority, line.value())) return request.fail();
            request.host = authority;
            return;
        }
        request.host = request.mutable(line.value());
        request.length += line.bytes.len;
        request.append(line);
    }

    fn addLength(request: *RequestHead) void {
        const value = &request.head.fields[request.head.field_count - 1].value;
        request.lengths += 1;
        if (semantics.contentLength(request.head, request.declared, value.slice())) |text| {
            // A list of equal members is handed on as the one that it means.
            value.* = .from(text);
            request.declared = text;
        } else |err| switch (err) {
            error.ContentTooLarge => request.answer(.content_too_large),
            else => request.fail(),
        }
    }

    /// Each cookie field becomes a part of the first one (section 8.2.3). What stands behind that is copied to the spare room, and
    /// back in its new order: in one pass, however many there are.
    fn joinCookies(request: *RequestHead, first: u32) void {
        const head = request.head;
        const base = @intFromPtr(request.scratch.ptr);
        const cookie = &head.fields[first].value;
        const value_begin = @intFromPtr(cookie.ptr) - base;
        var at = value_begin + cookie.len;
        const moved = at;
        const copied = request.scratch[request.length..][0 .. request.length - moved];
        @memcpy(copied, request.scratch[moved..request.length]);
        const fields = head.fields[first + 1 .. head.field_count];
        for (fields) |each| {
            if (!isCookie(copied[@intFromPtr(each.name.ptr) - base - moved ..][0..each.name.len])) continue;
            const crumb = copied[@intFromPtr(each.value.ptr) - base - moved ..][0..each.value.len];
            request.scratch[at..][0.."; ".len].* = "; ".*;
            @memcpy(request.scratch[at + "; ".len ..][0..crumb.len], crumb);
            at += "; ".len + crumb.len;
        }
        cookie.len = at - value_begin;
        request.scratch[at..][0..field.end.len].* = field.end.*;
        at += field.end.len;
        var count = first + 1;
        for (fields, 1..) |each, next| {
            const line_begin = @intFromPtr(each.name.ptr) - base;
            if (isCookie(copied[line_begin - moved ..][0..each.name.len])) continue;
            const line_end = if (next < fields.len) @intFromPtr(fields[next].name.ptr) - base else request.length;
            const line = request.scratch[at..][0 .. line_end - line_begin];
            @memcpy(line, copied[line_begin - moved ..][0..line.len]);
            // Not behind its own place: later fields are read before they are written.
            head.fields[count] = .{
                .name = .{ .ptr = line.ptr, .len = each.name.len },
                .value = .{ .ptr = line.ptr + (@intFromPtr(each.value.ptr) - base - line_begin), .len = each.value.len },
            };
            count += 1;
            for ([_]*?[]u8{ &request.declared, &request.host }) |place| {
                const text = place.* orelse continue;
                const text_begin = @intFromPtr(text.ptr) - base;
                if (text_begin >= line_begin and text_begin < line_end) place.* = line[text_begin - line_begin ..][0..text.len];
            }
            at += line.len;
        }
        head.field_count = count;
        request.length = at;
    }

    /// `ends` says that no content follows.
    pub fn finish(request: *RequestHead, ends: bool) Outcome {
        const head = request.head;
        if (!request.fields_begun and !request.discards) request.beginFields();
        if (request.crumbs > 1 and !request.discards) request.joinCookies(request.cookie.?);
        head.field_lines = .from(request.scratch[@min(request.fields_begin, request.length)..request.length]);
        if (request.malformed) return .malformed;
        if (request.refusal == .header_fields_too_large) return .{ .refused = .header_fields_too_large };
        if (request.trailers) {
            const too_large = head.field_lines.len > request.limits.max_trailer_bytes;
            return if (too_large) .{ .refused = .header_fields_too_large } else .good;
        }
        if (!request.interpret()) return .malformed;
        if (request.lengths > 1) semantics.keepFirstLength(head);
        if (ends and head.has_length and head.content_length > 0) return .malformed;
        if (ends) head.expects_continue = false;
        head.chunked = !ends and !head.has_length;
        if (head.field_lines.len > request.limits.max_header_bytes) return .{ .refused = .header_fields_too_large };
        if (request.refusal) |reason| return .{ .refused = reason };
        if (head.target.len > request.limits.max_target_bytes) return .{ .refused = .uri_too_long };
        if (head.content_length > request.limits.max_body) return .{ .refused = .content_too_large };
        return .good;
    }

    /// Section 8.3.1, section 8.5 and RFC 8441 section 4; false where the request is malformed.
    fn interpret(request: *RequestHead) bool {
        const head = request.head;
        const method = request.method orelse return false;
        if (!isToken(method) or method.len > method_max) return false;
        head.method = .from(method);
        const connects = std.mem.eql(u8, method, "CONNECT");
        const host: []u8 = request.authority orelse request.host orelse return false;
        head.host = .from(host);
        if (connects and request.protocol == null) {
            if (request.path != null or request.scheme != null) return false;
            const authority = request.authority orelse return false;
            head.target = .from(authority);
            return authority_syntax.isValid(authority, .required);
        }
        if (request.protocol) |protocol| {
            if (!connects or !request.limits.enable_connect_protocol or !isToken(protocol)) return false;
            if (request.authority == null) return false;
        }
        if (!isScheme(request.scheme orelse return false)) return false;
        const path = request.path orelse return false;
        head.target = .from(path);
        if (!authority_syntax.isValid(host, .optional)) return false;
        if (std.mem.eql(u8, path, "*")) return std.mem.eql(u8, method, "OPTIONS");
        return path.len > 0 and path[0] == '/' and scan.targetEnd(path, 0) == path.len;
    }
};

fn isCookie(name: []const u8) bool {
    return std.mem.eql(u8, name, "cookie");
}

fn isToken(text: []const u8) bool {
    for (text) |c| {
        if (!syntax.token_table[c]) return false;
    }
    return text.len > 0;
}

/// RFC 3986 section 3.1.
fn isScheme(text: []const u8) bool {
    if (text.len == 0 or !std.ascii.isAlphabetic(text[0])) return false;
    for (text) |c| {
        if (!std.ascii.isAlphanumeric(c) and c != '+' and c != '-' and c != '.') return false;
    }
    return true;
}
