//! Frames: their header, what is allowed before the payload is looked at, and those that we write (RFC 9113 sections 4 and 6).
const std = @import("std");
const assert = std.debug.assert;
const codes = @import("codes.zig");
const FrameType = codes.FrameType;
const Flag = codes.Flag;
const Violation = codes.Violation;

pub const Header = struct {
    length: u32,
    type: FrameType,
    flags: u8,
    stream: u32,

    pub fn read(bytes: *const [codes.frame_header_bytes]u8) Header {
        return .{
            .length = std.mem.readInt(u24, bytes[0..3], .big),
            .type = @fromBackingInt(bytes[3]),
            .flags = bytes[4],
            // The reserved bit has no meaning.
            .stream = std.mem.readInt(u32, bytes[5..9], .big) & codes.stream_id_max,
        };
    }

    pub fn write(header: Header, out: *[codes.frame_header_bytes]u8) void {
        std.mem.writeInt(u24, out[0..3], @intCast(header.length), .big);
        out[3] = @backingInt(header.type);
        out[4] = header.flags;
        std.mem.writeInt(u32, out[5..9], header.stream, .big);
    }

    pub fn has(header: Header, flag: u8) bool {
        return header.flags & flag != 0;
    }

    /// Of PADDED and PRIORITY: what stands before the content.
    pub fn prefixBytes(header: Header) u32 {
        const padding: u32 = @intFromBool(header.has(Flag.padded));
        return switch (header.type) {
            .data => padding,
            .headers => padding + if (header.has(Flag.priority)) @as(u32, 5) else 0,
            else => 0,
        };
    }
};

/// Frames of other types are ignored (section 5.5).
pub fn isKnown(kind: FrameType) bool {
    return switch (kind) {
        .data,
        .headers,
        .priority,
        .rst_stream,
        .settings,
        .push_promise,
        .ping,
        .goaway,
        .window_update,
        .continuation,
        .priority_update,
        => true,
        else => false,
    };
}

/// What a header alone decides: sizes (section 4.2) and stream identifiers (each type's section).
pub fn check(header: Header) ?Violation {
    if (header.length > codes.frame_payload_usual) {
        // What may change the state of the connection ends it; DATA has a stream to blame, and nothing of it is looked at.
        if (header.type == .data and header.stream != 0) return .ofStream(.frame_size_error);
        return .ofConnection(.frame_size_error);
    }
    if (!isKnown(header.type)) return null;
    const needs_stream = switch (header.type) {
        .data, .headers, .priority, .rst_stream, .continuation, .push_promise => true,
        else => false,
    };
    const forbids_stream = switch (header.type) {
        .settings, .ping, .goaway, .priority_update => true,
        else => false,
    };
    if (needs_stream and header.stream == 0) return .ofConnection(.protocol_error);
    if (forbids_stream and header.stream != 0) return .ofConnection(.protocol_error);
    switch (header.type) {
        .data, .headers => if (header.length < header.prefixBytes()) return .ofConnection(.frame_size_error),
        .priority => if (header.length != 5) return .ofStream(.frame_size_error),
        .rst_stream, .window_update => if (header.length != 4) return .ofConnection(.frame_size_error),
        .settings => {
            if (header.has(Flag.ack) and header.length != 0) return .ofConnection(.frame_size_error);
            if (header.length % 6 != 0) return .ofConnection(.frame_size_error);
        },
        .ping => if (header.length != 8) return .ofConnection(.frame_size_error),
        .goaway => if (header.length < 8) return .ofConnection(.frame_size_error),
        .priority_update => if (header.length < 4) return .ofConnection(.frame_size_error),
        // A client cannot push (section 8.4).
        .push_promise => return .ofConnection(.protocol_error),
        else => {},
    }
    return null;
}

/// The content of a padded payload; null where the padding is longer than what is there (sections 6.1 and 6.2).
pub fn content(header: Header, payload: []u8) ?[]u8 {
    const prefix = header.prefixBytes();
    assert(payload.len >= prefix);
    const padding: usize = if (header.has(Flag.padded)) payload[0] else 0;
    if (padding > payload.len - prefix) return null;
    return payload[prefix .. payload.len - padding];
}

/// Frames of a fixed size, for the caller to append.
pub const Small = struct {
    bytes: [codes.frame_header_bytes + 8]u8,
    length: u8,

    pub fn slice(small: *const Small) []const u8 {
        return small.bytes[0..small.length];
    }

    fn begin(kind: FrameType, flags: u8, stream: u32, length: u8) Small {
        var small: Small = .{ .bytes = undefined, .length = codes.frame_header_bytes + length };
        const header: Header = .{ .length = length, .type = kind, .flags = flags, .stream = stream };
        header.write(small.bytes[0..codes.frame_header_bytes]);
        return small;
    }

    fn number(small: *Small, at: usize, value: u32) void {
        std.mem.writeInt(u32, small.bytes[codes.frame_header_bytes + at ..][0..4], value, .big);
    }

    pub fn resetStream(stream: u32, code: codes.ErrorCode) Small {
        var small = begin(.rst_stream, 0, stream, 4);
        small.number(0, @backingInt(code));
        return small;
    }

    pub fn windowUpdate(stream: u32, increment: u32) Small {
        assert(increment > 0 and increment <= codes.window_max);
        var small = begin(.window_update, 0, stream, 4);
        small.number(0, increment);
        return small;
    }

    pub fn ping(flags: u8, payload: *const [8]u8) Small {
        var small = begin(.ping, flags, 0, 8);
        small.bytes[codes.frame_header_bytes..][0..8].* = payload.*;
        return small;
    }

    pub fn settingsAcknowledgement() Small {
        return begin(.settings, Flag.ack, 0, 0);
    }

    pub fn goaway(last_stream: u32, code: codes.ErrorCode) Small {
        var small = begin(.goaway, 0, 0, 8);
        small.number(0, last_stream);
        small.number(4, @backingInt(code));
        return small;
    }
};

test "a header survives being written and read, without its reserved bit" {
    var bytes: [codes.frame_header_bytes]u8 = undefined;
    const header: Header = .{ .length = 0x123456, .type = .headers, .flags = 0x25, .stream = 0x7fffffff };
    header.write(&bytes);
    try std.testing.expectEqual(header, Header.read(&bytes));
    bytes[5] |= 0x80;
    try std.testing.expectEqual(header, Header.read(&bytes));
}

test "padding may take everything behind the prefix, and nothing more" {
    var payload = [_]u8{ 2, 'a', 0, 0 };
    const header: Header = .{ .length = 4, .type = .data, .flags = Flag.padded, .stream = 1 };
    try std.testing.expectEqualStrings("a", content(header, &payload).?);
    payload[0] = 3;
    try std.testing.expectEqualStrings("", content(header, &payload).?);
    payload[0] = 4;
    try std.testing.expectEqual(@as(?[]u8, null), content(header, &payload));
}
