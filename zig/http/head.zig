//! The head of a request: request line and fields, checked and found in place. Field names are lowered where they stand.
const std = @import("std");
const syntax = @import("syntax.zig");
const scan = @import("scan.zig");
const semantics = @import("semantics.zig");
const Error = syntax.Error;

/// Fields that a head can hold at most, whatever the limits say.
pub const fields_max = 128;
const method_max = 32;

pub const Limits = extern struct {
    max_request_line: u32,
    max_header_bytes: u32,
    max_header_count: u32,
    max_chunk_extension_bytes: u32,
    max_trailer_bytes: u32,
    /// Of who reads what connections begin with.
    proxy_mode: u8,
    max_body: u64,
};

pub const Text = extern struct {
    ptr: [*]u8,
    len: usize,

    pub fn from(text: []u8) Text {
        return .{ .ptr = text.ptr, .len = text.len };
    }

    pub fn slice(text: Text) []u8 {
        return text.ptr[0..text.len];
    }
};

pub const Field = extern struct { name: Text, value: Text };

pub const Head = extern struct {
    method: Text,
    /// Path and query, "*", or the authority of CONNECT.
    target: Text,
    host: Text,
    /// Scheme and authority of absolute-form, as they were sent; empty for the other forms.
    origin: Text,
    /// All field lines, with the CR LF of the last; names are lowered, and nothing else of them is changed.
    field_lines: Text,
    content_length: u64,
    field_count: u32,
    ancient: bool,
    close: bool,
    chunked: bool,
    expects_continue: bool,
    has_length: bool,
    /// The target begins with a slash that absolute-form did not have.
    slash_added: bool,
    fields: [fields_max]Field,
};

const Failure = error{ Incomplete, Refused };

/// One pass over a buffer that may end anywhere.
const Parser = struct {
    data: []u8,
    at: usize = 0,
    limits: *const Limits,
    head: *Head,
    reason: Error = .bad_request,

    fn refuse(parser: *Parser, reason: Error) Failure {
        parser.reason = reason;
        return error.Refused;
    }

    fn peek(parser: *Parser) Failure!u8 {
        if (parser.at == parser.data.len) return error.Incomplete;
        return parser.data[parser.at];
    }

    fn expect(parser: *Parser, byte: u8) Failure!void {
        if (try parser.peek() != byte) return error.Refused;
        parser.at += 1;
    }

    fn endOfLine(parser: *Parser) Failure!void {
        if (parser.data.len - parser.at >= 2 and std.mem.eql(u8, parser.data[parser.at..][0..2], "\r\n")) {
            parser.at += 2;
            return;
        }
        try parser.expect('\r');
        try parser.expect('\n');
    }

    fn method(parser: *Parser) Failure!void {
        const begin = parser.at;
        // Nothing else bounds what is kept of a request line that has no space.
        const window = parser.data[0..@min(parser.data.len, begin + method_max + 1)];
        while (parser.at < window.len and syntax.token_table[window[parser.at]]) parser.at += 1;
        if (parser.at - begin > method_max) return error.Refused;
        const text = parser.data[begin..parser.at];
        if (try parser.peek() != ' ' or text.len == 0) return error.Refused;
        parser.at += 1;
        parser.head.method = .from(text);
    }

    fn target(parser: *Parser) Failure!void {
        const begin = parser.at;
        const window = parser.data[0..@min(parser.data.len, begin +| parser.limits.max_request_line +| 1)];
        parser.at = scan.targetEnd(window, begin);
        if (parser.at - begin > parser.limits.max_request_line) return parser.refuse(.uri_too_long);
        const text = parser.data[begin..parser.at];
        if (try parser.peek() != ' ' or text.len == 0) return error.Refused;
        parser.at += 1;
        parser.head.target = .from(text);
    }

    fn version(parser: *Parser) Failure!void {
        const usual = "HTTP/1.1\r\n";
        if (std.mem.startsWith(u8, parser.data[parser.at..], usual)) {
            parser.at += usual.len;
            parser.head.ancient = false;
            return;
        }
        for ("HTTP/") |c| try parser.expect(c);
        const major = try parser.digit();
        try parser.expect('.');
        const minor = try parser.digit();
        if (major != 1) return parser.refuse(.version_not_supported);
        parser.head.ancient = minor == 0;
        try parser.endOfLine();
    }

    fn digit(parser: *Parser) Failure!u8 {
        const c = try parser.peek();
        if (c < '0' or c > '9') return error.Refused;
        parser.at += 1;
        return c - '0';
    }

    fn value(parser: *Parser) Failure![]u8 {
        const begin = parser.at;
        parser.at = scan.valueEnd(parser.data, begin);
        const text = parser.data[begin..parser.at];
        try parser.endOfLine();
        return syntax.trim(text);
    }

    fn fields(parser: *Parser) Failure!void {
        const begin = parser.at;
        parser.head.field_count = 0;
        const count_max = @min(parser.limits.max_header_count, fields_max);
        // Bytes beyond the limit are never looked at, so that the outcome is the same however they arrive.
        const window_max = @as(usize, parser.limits.max_header_bytes) + "\r\n".len;
        const whole = parser.data;
        defer parser.data = whole;
        parser.data = whole[0..@min(whole.len, begin + window_max)];
        while (true) {
            const more = parser.field(count_max) catch |err| {
                if (err == error.Incomplete and parser.data.len - begin == window_max)
                    return parser.refuse(.header_fields_too_large);
                return err;
            };
            if (!more) break;
        }
        parser.head.field_lines = .from(whole[begin .. parser.at - "\r\n".len]);
    }

    /// False at the empty line.
    fn field(parser: *Parser, count_max: u32) Failure!bool {
        if (try parser.peek() == '\r') {
            try parser.endOfLine();
            return false;
        }
        const begin = parser.at;
        parser.at = scan.lowerTokenEnd(parser.data, begin);
        const name = parser.data[begin..parser.at];
        if (try parser.peek() != ':' or name.len == 0) return error.Refused;
        parser.at += 1;
        const text = try parser.value();
        const head = parser.head;
        if (head.field_count == count_max) return parser.refuse(.header_fields_too_large);
        head.fields[head.field_count] = .{ .name = .from(name), .value = .from(text) };
        head.field_count += 1;
        return true;
    }

    fn run(parser: *Parser) Failure!void {
        // RFC 9112 section 2.2: one empty line before a request is tolerated.
        if (try parser.peek() == '\r') try parser.endOfLine();
        try parser.method();
        try parser.target();
        try parser.version();
        try parser.fields();
    }
};

/// Bytes of the head, 0 when it is not complete yet, or a negated `Error`.
pub fn parse(data: []u8, limits: *const Limits, head: *Head) i32 {
    var parser: Parser = .{ .data = data, .limits = limits, .head = head };
    parser.run() catch |err| return switch (err) {
        error.Incomplete => 0,
        error.Refused => -@backingInt(parser.reason),
    };
    semantics.interpret(head, limits) catch |err| return -@backingInt(semantics.codeOf(err));
    return @intCast(parser.at);
}

export fn http_parse_head(data: [*]u8, length: usize, limits: *const Limits, head: *Head) i32 {
    return parse(data[0..length], limits, head);
}
