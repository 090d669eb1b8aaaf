//! Numbers of the protocol: error codes, frame types, flags, settings (RFC 9113, RFC 8441, RFC 9218).
const std = @import("std");

/// RFC 9113 section 7.
pub const ErrorCode = enum(u32) {
    no_error = 0x0,
    protocol_error = 0x1,
    internal_error = 0x2,
    flow_control_error = 0x3,
    settings_timeout = 0x4,
    stream_closed = 0x5,
    frame_size_error = 0x6,
    refused_stream = 0x7,
    cancel = 0x8,
    compression_error = 0x9,
    connect_error = 0xa,
    enhance_your_calm = 0xb,
    inadequate_security = 0xc,
    http_1_1_required = 0xd,
    /// RFC 9113 section 7: codes that are not known have no meaning of their own.
    _,
};

/// RFC 9113 section 6; PRIORITY_UPDATE is of RFC 9218 section 7.1.
pub const FrameType = enum(u8) {
    data = 0x0,
    headers = 0x1,
    priority = 0x2,
    rst_stream = 0x3,
    settings = 0x4,
    push_promise = 0x5,
    ping = 0x6,
    goaway = 0x7,
    window_update = 0x8,
    continuation = 0x9,
    priority_update = 0x10,
    _,
};

pub const Flag = struct {
    pub const ack: u8 = 0x1;
    pub const end_stream: u8 = 0x1;
    pub const end_headers: u8 = 0x4;
    pub const padded: u8 = 0x8;
    pub const priority: u8 = 0x20;
};

/// RFC 9113 section 6.5.2, RFC 8441 section 3, RFC 9218 section 2.1.
pub const Setting = enum(u16) {
    header_table_size = 0x1,
    enable_push = 0x2,
    max_concurrent_streams = 0x3,
    initial_window_size = 0x4,
    max_frame_size = 0x5,
    max_header_list_size = 0x6,
    enable_connect_protocol = 0x8,
    no_rfc7540_priorities = 0x9,
    _,
};

pub const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const frame_header_bytes = 9;
/// What both sides accept until a setting says otherwise, and what we accept always.
pub const frame_payload_usual = 1 << 14;
pub const frame_payload_max = (1 << 24) - 1;
pub const window_usual = 65_535;
pub const window_max = std.math.maxInt(i32);
pub const stream_id_max = std.math.maxInt(i32);
pub const table_bytes_usual = 4096;

/// What is over when a rule is broken.
pub const Scope = enum { stream, connection };

pub const Violation = struct {
    scope: Scope,
    code: ErrorCode,

    pub fn ofStream(code: ErrorCode) Violation {
        return .{ .scope = .stream, .code = code };
    }

    pub fn ofConnection(code: ErrorCode) Violation {
        return .{ .scope = .connection, .code = code };
    }
};
