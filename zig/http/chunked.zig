//! The chunked transfer coding (RFC 9112 section 7.1), byte by byte where it is syntax and in one piece where it is data.
const std = @import("std");
const assert = std.debug.assert;
const syntax = @import("syntax.zig");
const Limits = @import("head.zig").Limits;
const Text = @import("head.zig").Text;

/// Hexadecimal digits of a chunk size that count: 60 bits cannot overflow the sum.
const size_digits_max = 15;
/// All of them, with the zeros that some peers write in front to have a size of constant width.
const size_line_digits_max = 64;
/// From here on another digit would be one too many.
const size_before_last_digit: u64 = 1 << (4 * (size_digits_max - 1));

const State = enum(u8) {
    size_first,
    size,
    // RFC 9112 section 7.1.1: what stands behind a chunk's size, and is ignored.
    extension_begin,
    extension_name_begin,
    extension_name,
    extension_assign,
    extension_value_begin,
    extension_value,
    extension_quoted,
    extension_escaped,
    extension_end,
    size_lf,
    data,
    data_cr,
    data_lf,
    line_first,
    trailer_name,
    trailer,
    trailer_lf,
    last_lf,
};

pub const Decoder = extern struct {
    remaining: u64 = 0,
    total: u64 = 0,
    /// Bytes of extensions or trailers so far.
    bounded: u32 = 0,
    digits: u8 = 0,
    state: State = .size_first,

    fn sizeByte(decoder: *Decoder, c: u8, limits: *const Limits) Refusal!void {
        if (decoder.state == .size_first) {
            decoder.remaining = 0;
            decoder.digits = 0;
            decoder.bounded = 0;
        }
        if (std.fmt.charToDigit(c, 16)) |digit| {
            decoder.digits += 1;
            if (decoder.digits > size_line_digits_max or decoder.remaining >= size_before_last_digit) return error.BadRequest;
            decoder.remaining = decoder.remaining * 16 + digit;
            decoder.state = .size;
            return;
        } else |_| {}
        if (decoder.state == .size_first) return error.BadRequest;
        decoder.total +|= decoder.remaining;
        if (decoder.total > limits.max_body) return error.ContentTooLarge;
        decoder.state = .extension_end;
        try decoder.extensionByte(c, limits);
    }

    fn extensionByte(decoder: *Decoder, c: u8, limits: *const Limits) Refusal!void {
        const blank = c == ' ' or c == '\t';
        const token = syntax.token_table[c];
        decoder.state = switch (decoder.state) {
            .extension_begin => if (blank) .extension_begin else if (c == ';') .extension_name_begin else return error.BadRequest,
            .extension_name_begin => if (blank) .extension_name_begin else if (token) .extension_name else return error.BadRequest,
            .extension_name => if (token) .extension_name else if (blank) .extension_assign else try afterName(c),
            .extension_assign => if (blank) .extension_assign else switch (c) {
                '=' => .extension_value_begin,
                ';' => .extension_name_begin,
                else => return error.BadRequest,
            },
            .extension_value_begin => if (blank)
                .extension_value_begin
            else if (c == '"') .extension_quoted else if (token) .extension_value else return error.BadRequest,
            .extension_value => if (token) .extension_value else try afterValue(c),
            .extension_quoted => switch (c) {
                '"' => .extension_end,
                '\\' => .extension_escaped,
                else => .extension_quoted,
            },
            .extension_escaped => .extension_quoted,
            .extension_end => try afterValue(c),
            else => unreachable,
        };
        if (decoder.state != .size_lf) try decoder.countByte(c, limits.max_chunk_extension_bytes);
    }

    fn afterName(c: u8) Refusal!State {
        return if (c == '=') .extension_value_begin else afterValue(c);
    }

    fn afterValue(c: u8) Refusal!State {
        return switch (c) {
            '\r' => .size_lf,
            ';' => .extension_name_begin,
            ' ', '\t' => .extension_begin,
            else => error.BadRequest,
        };
    }

    fn countByte(decoder: *Decoder, c: u8, max: u32) Refusal!void {
        if (!syntax.isFieldByte(c)) return error.BadRequest;
        decoder.bounded += 1;
        if (decoder.bounded > max) return error.FieldsTooLarge;
    }
};

/// What a step found.
pub const Step = enum(i32) { more = 0, data = 1, end = 2 };

const Refusal = error{ BadRequest, ContentTooLarge, FieldsTooLarge };

/// Takes from `input` up to the next piece of data, which is put into `out`.
pub fn step(decoder: *Decoder, input: *Text, limits: *const Limits, out: *Text) Refusal!Step {
    while (input.len > 0) {
        if (decoder.state == .data) {
            const count = @min(decoder.remaining, input.len);
            out.* = .{ .ptr = input.ptr, .len = count };
            take(input, count);
            decoder.remaining -= count;
            if (decoder.remaining == 0) decoder.state = .data_cr;
            return .data;
        }
        const c = input.ptr[0];
        take(input, 1);
        switch (decoder.state) {
            .size_first, .size => try decoder.sizeByte(c, limits),
            .extension_begin,
            .extension_name_begin,
            .extension_name,
            .extension_assign,
            .extension_value_begin,
            .extension_value,
            .extension_quoted,
            .extension_escaped,
            .extension_end,
            => try decoder.extensionByte(c, limits),
            .size_lf => {
                if (c != '\n') return error.BadRequest;
                // The trailer section has a bound of its own.
                decoder.bounded = 0;
                decoder.state = if (decoder.remaining == 0) .line_first else .data;
            },
            .data => unreachable,
            .data_cr => {
                if (c != '\r') return error.BadRequest;
                decoder.state = .data_lf;
            },
            .data_lf => {
                if (c != '\n') return error.BadRequest;
                decoder.state = .size_first;
            },
            .line_first => {
                if (c == '\r') {
                    decoder.state = .last_lf;
                } else {
                    // Trailer fields are checked for their syntax and dropped: nothing here gives them a meaning.
                    if (!syntax.token_table[c]) return error.BadRequest;
                    decoder.state = .trailer_name;
                    try decoder.countByte(c, limits.max_trailer_bytes);
                }
            },
            .trailer_name => {
                if (c == ':') {
                    decoder.state = .trailer;
                } else if (!syntax.token_table[c]) return error.BadRequest;
                try decoder.countByte(c, limits.max_trailer_bytes);
            },
            .trailer => {
                if (c == '\r') {
                    decoder.state = .trailer_lf;
                } else try decoder.countByte(c, limits.max_trailer_bytes);
            },
            .trailer_lf => {
                if (c != '\n') return error.BadRequest;
                decoder.state = .line_first;
            },
            .last_lf => {
                if (c != '\n') return error.BadRequest;
                decoder.* = .{};
                return .end;
            },
        }
    }
    return .more;
}

fn take(input: *Text, count: usize) void {
    assert(count <= input.len);
    input.ptr += count;
    input.len -= count;
}

/// A `Step`, or a negated `Error`.
export fn http_chunk_step(decoder: *Decoder, input: *Text, limits: *const Limits, out: *Text) i32 {
    const found = step(decoder, input, limits, out) catch |err| return -@backingInt(switch (err) {
        error.BadRequest => syntax.Error.bad_request,
        error.ContentTooLarge => .content_too_large,
        error.FieldsTooLarge => .header_fields_too_large,
    });
    return @backingInt(found);
}
