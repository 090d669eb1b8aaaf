//! What a peer may ask for, by name. Each ends in the error code that its comment says.
const std = @import("std");
const codes = @import("codes.zig");

pub const Limits = struct {
    /// Bytes of a target. The request is answered with 414.
    max_target_bytes: u32 = 8192,
    /// Of all fields, as RFC 9113 section 6.5.2 counts them; announced. The request is answered with 431.
    max_header_list_bytes: u32 = 32768,
    /// Of the lines that the fields are in HTTP/1.1, and of those of trailers. The request is answered with 431.
    max_header_bytes: u32 = std.math.maxInt(u32),
    max_trailer_bytes: u32 = std.math.maxInt(u32),
    /// Fields without pseudo-header fields. The request is answered with 431.
    max_header_count: u32 = 100,
    /// CONTINUATION frames of one block. The connection ends with ENHANCE_YOUR_CALM.
    max_continuation_frames: u32 = 16,
    /// Of the dynamic table that requests are read with; announced. COMPRESSION_ERROR.
    max_table_bytes: u32 = codes.table_bytes_usual,
    /// Of the dynamic table that responses are written with, whatever the peer offers.
    max_encoder_table_bytes: u32 = codes.table_bytes_usual,
    /// Announced. REFUSED_STREAM.
    max_concurrent_streams: u32 = 100,
    /// Bytes of content that wait for the application, of a stream; announced. FLOW_CONTROL_ERROR.
    stream_window: u32 = 128 * 1024,
    /// The same of all streams of a connection: beyond them, its window opens only as they are read. At most as many are on
    /// their way besides. FLOW_CONTROL_ERROR.
    connection_window: u32 = 2 * 1024 * 1024,
    /// Of output that waits to be sent, when more content is taken.
    max_output_bytes: u32 = 64 * 1024,
    /// Streams that end before their time by the peer's doing: RST_STREAM, and the errors that it provokes. From here on, more
    /// than these in a second end the connection with ENHANCE_YOUR_CALM.
    max_resets_per_s: u32 = 200,
    max_pings_per_s: u32 = 1000,
    max_settings_per_s: u32 = 20,
    /// DATA and parts of field blocks with nothing in them and no end.
    max_empty_frames_per_s: u32 = 100,
    max_window_updates_per_s: u32 = 100_000,
    /// PRIORITY, PRIORITY_UPDATE, frames of unknown types and of closed streams.
    max_ignored_frames_per_s: u32 = 10_000,
    /// Answers to the peer's frames that it does not read. ENHANCE_YOUR_CALM.
    max_answer_bytes: u32 = 64 * 1024,
    /// Of output that waits for the peer's windows; 0 for no limit. The stream ends with ENHANCE_YOUR_CALM; the connection, where
    /// it is its window.
    stall_timeout_ms: u32 = 30_000,
    /// Of a frame or field block that has begun, until its end, and of the preface; 0 for no limit. ENHANCE_YOUR_CALM.
    header_timeout_ms: u32 = 0,
    /// Until the peer acknowledges our settings. SETTINGS_TIMEOUT.
    settings_timeout_ms: u32 = 10_000,
    /// Between both GOAWAY frames of a graceful stop, where the peer does not answer the PING that goes with the first.
    shutdown_timeout_ms: u32 = 1_000,
    /// Extended CONNECT (RFC 8441) is offered.
    enable_connect_protocol: bool = true,
    /// Bytes of a request's content. The request is answered with 413.
    max_body: u64 = std.math.maxInt(u64),

    pub fn maxBlockBytes(limits: *const Limits) usize {
        // A list that is a little too long still gets an answer.
        return 2 * @as(usize, limits.max_header_list_bytes) + 1024;
    }
};

/// Output that waits for a window of the peer. A few bytes do not set its clock back.
pub const Stall = struct {
    waits: bool = false,
    /// What has left since.
    sent: u32 = 0,
    /// When it was first seen to wait by who knows the time, which may be later; 0 before.
    since_ms: u64 = 0,

    /// Output of less than this is no progress.
    const progress_bytes_min = 1024;

    pub fn begin(stall: *Stall, window: i32) void {
        if (window <= 0 and !stall.waits) stall.* = .{ .waits = true };
    }

    pub fn count(stall: *Stall, length: u32) void {
        stall.sent +|= length;
        if (stall.sent >= progress_bytes_min) stall.waits = false;
    }

    /// Asked from time to time: whether output waits, and has for too long.
    pub fn isOver(stall: *Stall, has_output: bool, window: i32, timeout_ms: u32, now_ms: u64) bool {
        if (!has_output or timeout_ms == 0) {
            stall.waits = false;
            return false;
        }
        stall.begin(window);
        if (!stall.waits) return false;
        if (stall.since_ms == 0) stall.since_ms = now_ms;
        // It may be open, and output wait for other streams.
        return window < progress_bytes_min and now_ms -% stall.since_ms >= timeout_ms;
    }
};

/// Counts events of one kind in the present second.
pub const Rate = struct {
    count: u32 = 0,
    began_ms: u64 = 0,

    /// Whether there are more than `max` now.
    pub fn exceeds(rate: *Rate, max: u32, now_ms: u64) bool {
        if (now_ms -% rate.began_ms >= std.time.ms_per_s) rate.* = .{ .began_ms = now_ms };
        rate.count += 1;
        return rate.count > max;
    }
};

test "a window that opens byte by byte stalls output, and one that opens for more does not" {
    var stall: Stall = .{};
    stall.begin(5);
    try std.testing.expect(!stall.isOver(true, 5, 10, 100));
    stall.begin(0);
    for ([_]u64{ 200, 205 }) |now_ms| {
        stall.count(1);
        try std.testing.expect(!stall.isOver(true, 1, 10, now_ms));
    }
    try std.testing.expect(stall.isOver(true, 1, 10, 210));
    try std.testing.expect(!stall.isOver(true, 1024, 10, 210));
    stall.count(1022);
    try std.testing.expect(!stall.isOver(true, 0, 10, 220));
    try std.testing.expect(!stall.isOver(false, 0, 10, 230));
    try std.testing.expect(!stall.isOver(true, 0, 10, 240));
    try std.testing.expect(!stall.isOver(true, 0, 0, 1000));
}

test "a rate is counted anew each second" {
    var rate: Rate = .{};
    for (0..3) |_| try std.testing.expect(!rate.exceeds(3, 5000));
    try std.testing.expect(rate.exceeds(3, 5999));
    try std.testing.expect(!rate.exceeds(3, 6000));
}
