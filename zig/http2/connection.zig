//! One connection of a client, without IO: what every part of it needs, and what its owner calls. receive.zig takes frames in,
//! send.zig writes them, lifetime.zig ends streams and the connection. All connections of a context belong to one thread.
//!
//! A turn of the owner:
//!
//!     while (connection.step(&input, now_ms, &event)) { ... } // the calls below may be made for any stream meanwhile
//!     while (connection.nextWritable()) |stream| { ... }      // more of its output, with `data`
//!     connection.waiting() is sent, as far as it goes: connection.sent(length)
//!     connection.isFinished(), and nothing waits: it is closed
const std = @import("std");
const assert = std.debug.assert;
const Allocator = std.mem.Allocator;
const codes = @import("codes.zig");
const lifetime = @import("lifetime.zig");
const receive = @import("receive.zig");
const send = @import("send.zig");
const http_head = @import("../http/head.zig");
const Closed = @import("streams.zig").Closed;
const Decoder = @import("decoder.zig").Decoder;
const Encoder = @import("encoder.zig").Encoder;
const Header = @import("frame.zig").Header;
const Small = @import("frame.zig").Small;
const Limits = @import("limits.zig").Limits;
const Out = @import("out.zig").Out;
const Priority = @import("priority.zig").Priority;
const Rate = @import("limits.zig").Rate;
const Ready = @import("ready.zig").Ready;
const RequestHead = @import("request_head.zig").RequestHead;
const Stall = @import("limits.zig").Stall;
const Spare = @import("streams.zig").Spare;
const Stream = @import("streams.zig").Stream;
const Streams = @import("streams.zig").Streams;

/// What connections of one thread share: their limits, and the room where a head is decoded.
pub const Context = struct {
    allocator: Allocator,
    limits: Limits,
    head: http_head.Head,
    request: RequestHead,
    spare: Spare = .{},

    pub fn create(allocator: Allocator, limits: Limits) Allocator.Error!*Context {
        const context = try allocator.create(Context);
        errdefer allocator.destroy(context);
        context.allocator = allocator;
        context.limits = withinBounds(limits);
        context.spare = .{};
        context.request = .{
            .scratch = try allocator.alloc(u8, RequestHead.scratchBytes(&context.limits)),
            .head = &context.head,
            .limits = &context.limits,
        };
        return context;
    }

    pub fn destroy(context: *Context) void {
        context.spare.deinit(context.allocator);
        context.allocator.free(context.request.scratch);
        context.allocator.destroy(context);
    }

    /// What the code can hold, and the protocol can say.
    fn withinBounds(given: Limits) Limits {
        var limits = given;
        const table_max = @import("dynamic_table.zig").bytes_max;
        limits.max_table_bytes = @min(limits.max_table_bytes, table_max);
        limits.max_encoder_table_bytes = @min(limits.max_encoder_table_bytes, table_max);
        limits.max_header_list_bytes = @min(limits.max_header_list_bytes, 1 << 24);
        limits.stream_window = std.math.clamp(limits.stream_window, 1, codes.window_max);
        // Nothing makes the window of a connection smaller than it is at first (RFC 9113 section 6.9.2).
        limits.connection_window = std.math.clamp(limits.connection_window, codes.window_usual, codes.window_max);
        limits.max_concurrent_streams = @min(limits.max_concurrent_streams, 1 << 16);
        return limits;
    }
};

pub const Phase = enum { preface, settings, open, failed };

/// A graceful stop has two steps (RFC 9113 section 6.8): no new streams please, then none at all.
pub const Shutdown = enum { no, announced, final };

/// Priorities of streams that are not open yet (RFC 9218 section 7.1).
pub const Early = struct { stream: u32 = 0, priority: Priority = .{} };

/// The payload of the ping that goes with the first GOAWAY.
pub const shutdown_ping = "shutdown".*;

pub const Connection = struct {
    context: *Context,
    now_ms: u64,
    phase: Phase = .preface,
    /// Bytes of the preface that have arrived.
    preface_bytes: u8 = 0,
    /// The beginning of a frame whose rest has not arrived.
    stash: std.ArrayList(u8) = .empty,
    stash_ms: u64 = 0,
    /// The payload under way, piece by piece: DATA, and what is skipped.
    payload: Payload = .{},
    /// Of a field block without its end: RFC 9113 section 4.3.
    block: std.ArrayList(u8) = .empty,
    block_stream: u32 = 0,
    block_frames: u32 = 0,
    block_ends: bool = false,
    block_ms: u64 = 0,

    /// Those that are not over, and how many of them all the owner has.
    streams: Streams = .{},
    held: u32 = 0,
    ready: Ready = .{},
    /// Whose turn it is to write.
    turn: ?*Stream = null,
    closed: Closed = .{},
    /// The greatest identifier that the peer used, and the greatest one of a stream that was opened.
    last_seen: u32 = 0,
    last_opened: u32 = 0,
    /// The stream whose content was looked at before the frame is read that has all of it.
    foreseen: u32 = 0,
    early: [8]Early = @splat(.{}),
    early_next: u8 = 0,

    decoder: Decoder,
    encoder: Encoder,
    out: Out = .{},
    /// The field block that is being written.
    head: ?send.Head = null,

    send_window: i32 = codes.window_usual,
    receive_window: i32,
    /// Bytes that applications were given and have not taken, and those that the peer may send again but was not told of.
    unread: u64 = 0,
    owed: u32 = 0,
    peer_initial_window: i32 = codes.window_usual,
    /// What the peer goes by, until it has acknowledged what we announced.
    own_initial_window: i32 = codes.window_usual,

    settings_sent_ms: u64,
    settings_acknowledged: bool = false,
    shutdown_phase: Shutdown = .no,
    shutdown_ms: u64 = 0,
    /// What the last GOAWAY of ours says.
    goaway_stream: u32 = codes.stream_id_max,
    peer_goaway: bool = false,
    peer_no_priorities: ?bool = null,
    failure: codes.ErrorCode = .no_error,
    failure_told: bool = false,
    stall: Stall = .{},

    resets: Rate = .{},
    pings: Rate = .{},
    settings: Rate = .{},
    empty_frames: Rate = .{},
    window_updates: Rate = .{},
    ignored: Rate = .{},

    pub const Payload = struct {
        /// Null: what is left is nobody's.
        stream: ?*Stream = null,
        /// Bytes of content, then of padding.
        content: u32 = 0,
        padding: u32 = 0,
        ends: bool = false,
        active: bool = false,
    };

    pub const step = receive.step;
    pub const bodyHere = receive.bodyHere;
    pub const tick = lifetime.tick;
    pub const consumed = lifetime.consumed;
    pub const reset = lifetime.resetByOwner;
    pub const release = lifetime.release;
    pub const ping = lifetime.ping;
    pub const shutdown = lifetime.shutdown;
    pub const finishShutdown = lifetime.finishShutdown;
    pub const fail = lifetime.failByOwner;
    pub const beginHead = send.beginHead;
    pub const beginTrailers = send.beginTrailers;
    pub const field = send.field;
    pub const finishHead = send.finishHead;
    pub const data = send.data;
    pub const finish = send.finish;
    pub const wait = send.wait;
    pub const nextWritable = send.nextWritable;
    pub const isFull = send.isFull;

    pub fn create(context: *Context, now_ms: u64) Allocator.Error!*Connection {
        const limits = &context.limits;
        const connection = try context.allocator.create(Connection);
        errdefer context.allocator.destroy(connection);
        connection.* = .{
            .context = context,
            .now_ms = now_ms,
            // The table may be as large as the peer believes before it knows better.
            .decoder = .init(@max(limits.max_table_bytes, codes.table_bytes_usual), codes.table_bytes_usual),
            .encoder = .init(limits.max_encoder_table_bytes),
            .receive_window = @intCast(limits.connection_window),
            .settings_sent_ms = now_ms,
        };
        connection.encoder.beginAt(codes.table_bytes_usual);
        errdefer connection.out.deinit(context.allocator);
        try connection.announce();
        return connection;
    }

    /// All streams were released.
    pub fn destroy(connection: *Connection) void {
        assert(connection.held == 0);
        const allocator = connection.context.allocator;
        connection.stash.deinit(allocator);
        connection.block.deinit(allocator);
        connection.streams.deinit(allocator);
        connection.decoder.deinit(allocator);
        connection.encoder.deinit(allocator);
        connection.out.deinit(allocator);
        allocator.destroy(connection);
    }

    /// Our SETTINGS, and the window of the connection.
    fn announce(connection: *Connection) Allocator.Error!void {
        const limits = &connection.context.limits;
        const values = [_]struct { codes.Setting, u32, u32 }{
            .{ .header_table_size, limits.max_table_bytes, codes.table_bytes_usual },
            .{ .max_concurrent_streams, limits.max_concurrent_streams, std.math.maxInt(u32) },
            .{ .initial_window_size, limits.stream_window, codes.window_usual },
            .{ .max_header_list_size, limits.max_header_list_bytes, std.math.maxInt(u32) },
            .{ .enable_connect_protocol, @intFromBool(limits.enable_connect_protocol), 0 },
            .{ .no_rfc7540_priorities, 1, 0 },
        };
        const allocator = connection.context.allocator;
        const frame = try connection.out.room(allocator, codes.frame_header_bytes + 6 * values.len);
        var at: usize = codes.frame_header_bytes;
        for (values) |setting| {
            if (setting[1] == setting[2]) continue;
            std.mem.writeInt(u16, frame[at..][0..2], @backingInt(setting[0]), .big);
            std.mem.writeInt(u32, frame[at + 2 ..][0..4], setting[1], .big);
            at += 6;
        }
        const header: Header = .{ .length = @intCast(at - codes.frame_header_bytes), .type = .settings, .flags = 0, .stream = 0 };
        header.write(frame[0..codes.frame_header_bytes]);
        connection.out.add(at);
        const more = limits.connection_window - codes.window_usual;
        if (more == 0) return;
        const update = Small.windowUpdate(0, more);
        @memcpy((try connection.out.room(allocator, update.length))[0..update.length], update.slice());
        connection.out.add(update.length);
    }

    /// The peer has acknowledged them: from now on they bind it.
    pub fn settingsAcknowledged(connection: *Connection) void {
        const limits = &connection.context.limits;
        connection.settings_acknowledged = true;
        connection.decoder.setLimit(limits.max_table_bytes);
        const window: i32 = @intCast(limits.stream_window);
        const change = window - connection.own_initial_window;
        connection.own_initial_window = window;
        // A window may become negative (RFC 9113 section 6.9.2), but not too large: nothing was announced for it before.
        for (connection.streams.places) |place| {
            if (place) |stream| stream.receive_window += change;
        }
    }

    /// An identifier that was never used: RFC 9113 section 5.1, idle. We open none ourselves.
    pub fn isIdle(connection: *const Connection, id: u32) bool {
        return id % 2 == 0 or id > connection.last_seen;
    }

    /// Since when the peer owes the rest of a frame, of a field block, or of what a connection begins with.
    pub fn owesSince(connection: *const Connection) ?u64 {
        if (connection.phase == .failed) return null;
        // Settings are sent when the connection begins.
        if (connection.phase != .open) return connection.settings_sent_ms;
        if (connection.block_stream != 0) return connection.block_ms;
        return if (connection.stash.items.len > 0) connection.stash_ms else null;
    }

    /// Nothing more is to be received or sent but what waits.
    pub fn isFinished(connection: *const Connection) bool {
        if (connection.phase == .failed) return true;
        const ends = connection.shutdown_phase == .final or connection.peer_goaway;
        return ends and connection.streams.count == 0 and connection.block_stream == 0;
    }

    /// What is to be sent, in this order.
    pub fn waiting(connection: *const Connection) []const u8 {
        return connection.out.waiting();
    }

    /// So many bytes of it were sent.
    pub fn sent(connection: *Connection, length: usize) void {
        connection.out.sent(length);
    }

    /// The streams that are not over, in any order: `place` begins with 0. Null behind the last.
    pub fn each(connection: *const Connection, place: *usize) ?*Stream {
        while (place.* < connection.streams.places.len) {
            place.* += 1;
            if (connection.streams.places[place.* - 1]) |stream| return stream;
        }
        return null;
    }

    /// Where the stream stands in the queue, after its windows or its wishes have changed.
    pub fn schedule(connection: *Connection, stream: *Stream) void {
        if (stream.flags.waiting and stream.send_window > 0) {
            connection.ready.add(stream);
        } else connection.ready.remove(stream);
    }

    pub fn setPriority(connection: *Connection, stream: *Stream, priority: Priority) void {
        connection.ready.remove(stream);
        stream.priority = priority;
        connection.schedule(stream);
    }
};
