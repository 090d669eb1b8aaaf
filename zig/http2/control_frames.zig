//! Frames that carry no message: SETTINGS, PING, WINDOW_UPDATE, RST_STREAM, GOAWAY, priorities (RFC 9113 section 6, RFC 9218).
const std = @import("std");
const codes = @import("codes.zig");
const connection_module = @import("connection.zig");
const lifetime = @import("lifetime.zig");
const limits_module = @import("limits.zig");
const Connection = connection_module.Connection;
const ErrorCode = codes.ErrorCode;
const Event = @import("event.zig").Event;
const Flag = codes.Flag;
const Header = @import("frame.zig").Header;
const Priority = @import("priority.zig").Priority;
const Rate = limits_module.Rate;
const Setting = codes.Setting;

fn failed(connection: *Connection, code: ErrorCode) bool {
    lifetime.fail(connection, code);
    return false;
}

fn number(payload: *const [4]u8) u32 {
    return std.mem.readInt(u32, payload, .big);
}

/// Whether the connection ended for it.
fn count(connection: *Connection, rate: *Rate, max: u32) bool {
    if (!rate.exceeds(max, connection.now_ms)) return false;
    lifetime.fail(connection, .enhance_your_calm);
    return true;
}

/// A frame without any effect.
pub fn ignore(connection: *Connection) void {
    _ = count(connection, &connection.ignored, connection.context.limits.max_ignored_frames_per_s);
}

/// Section 6.4.
pub fn resetStream(connection: *Connection, header: Header, payload: *const [4]u8, event: *Event) bool {
    if (connection.isIdle(header.stream)) return failed(connection, .protocol_error);
    const stream = connection.streams.find(header.stream) orelse {
        ignore(connection);
        return false;
    };
    if (lifetime.isTooMany(connection)) return false;
    event.* = .{ .kind = .reset, .stream = stream, .code = @fromBackingInt(number(payload)) };
    lifetime.close(connection, stream, true);
    return true;
}

/// Section 6.5.
pub fn settings(connection: *Connection, header: Header, payload: []const u8, event: *Event) bool {
    if (count(connection, &connection.settings, connection.context.limits.max_settings_per_s)) return false;
    if (header.has(Flag.ack)) {
        // We announce once.
        if (connection.settings_acknowledged) return failed(connection, .protocol_error);
        connection.settingsAcknowledged();
        event.* = .{ .kind = .settings_acknowledged };
        return true;
    }
    var at: usize = 0;
    while (at < payload.len) : (at += 6) {
        const setting: Setting = @fromBackingInt(std.mem.readInt(u16, payload[at..][0..2], .big));
        apply(connection, setting, number(payload[at + 2 ..][0..4]));
        if (connection.phase == .failed) return false;
    }
    // A client that never says it has the older scheme, or none.
    if (connection.peer_no_priorities == null) connection.peer_no_priorities = false;
    lifetime.answer(connection, .settingsAcknowledgement());
    return false;
}

/// In the order in which they stand (section 6.5.3).
fn apply(connection: *Connection, setting: Setting, value: u32) void {
    switch (setting) {
        .header_table_size => connection.encoder.setLimit(value),
        // Nothing is pushed (section 8.4).
        .enable_push, .enable_connect_protocol => if (value > 1) lifetime.fail(connection, .protocol_error),
        .max_concurrent_streams, .max_header_list_size => {},
        .initial_window_size => if (value > codes.window_max)
            lifetime.fail(connection, .flow_control_error)
        else
            setInitialWindow(connection, @intCast(value)),
        // Ours are never longer than what everybody takes, so that streams take turns.
        .max_frame_size => if (value < codes.frame_payload_usual or value > codes.frame_payload_max)
            lifetime.fail(connection, .protocol_error),
        .no_rfc7540_priorities => {
            // RFC 9218 section 2.1: of the first frame, and not to be changed.
            const before = connection.peer_no_priorities orelse (value == 1);
            if (value > 1 or before != (value == 1)) return lifetime.fail(connection, .protocol_error);
            connection.peer_no_priorities = value == 1;
        },
        else => {},
    }
}

/// Section 6.9.2: the windows of all streams change with it, below zero as well.
fn setInitialWindow(connection: *Connection, value: i32) void {
    const change = @as(i64, value) - connection.peer_initial_window;
    connection.peer_initial_window = value;
    for (connection.streams.places) |place| {
        const stream = place orelse continue;
        const window = stream.send_window + change;
        if (window > codes.window_max) return lifetime.fail(connection, .flow_control_error);
        stream.send_window = @intCast(window);
        connection.schedule(stream);
    }
}

/// Section 6.7.
pub fn ping(connection: *Connection, header: Header, payload: *[8]u8, event: *Event) bool {
    if (count(connection, &connection.pings, connection.context.limits.max_pings_per_s)) return false;
    if (!header.has(Flag.ack)) {
        lifetime.answer(connection, .ping(Flag.ack, payload));
        return false;
    }
    if (connection.shutdown_phase == .announced and std.mem.eql(u8, payload, &connection_module.shutdown_ping)) {
        lifetime.finishShutdown(connection);
        return false;
    }
    event.* = .{ .kind = .pong, .data = payload };
    return true;
}

/// Section 6.8.
pub fn goaway(connection: *Connection, payload: []const u8, event: *Event) bool {
    ignore(connection);
    if (connection.phase == .failed) return false;
    connection.peer_goaway = true;
    event.* = .{ .kind = .goaway, .code = @fromBackingInt(number(payload[4..8])) };
    return true;
}

/// Section 6.9.
pub fn windowUpdate(connection: *Connection, header: Header, payload: *const [4]u8, event: *Event) bool {
    if (count(connection, &connection.window_updates, connection.context.limits.max_window_updates_per_s)) return false;
    const increment: i64 = number(payload) & codes.window_max;
    if (header.stream == 0) {
        if (increment == 0) return failed(connection, .protocol_error);
        const window = connection.send_window + increment;
        if (window > codes.window_max) return failed(connection, .flow_control_error);
        connection.send_window = @intCast(window);
        return false;
    }
    if (connection.isIdle(header.stream)) return failed(connection, .protocol_error);
    const stream = connection.streams.find(header.stream) orelse return false;
    if (increment == 0) return lifetime.fault(connection, stream, .protocol_error, event);
    const window = stream.send_window + increment;
    if (window > codes.window_max) return lifetime.fault(connection, stream, .flow_control_error, event);
    stream.send_window = @intCast(window);
    connection.schedule(stream);
    return false;
}

/// RFC 9218 section 7.1.
pub fn priorityUpdate(connection: *Connection, payload: []const u8) void {
    ignore(connection);
    if (connection.phase == .failed) return;
    const id = number(payload[0..4]) & codes.stream_id_max;
    // We push nothing: an even one is idle.
    if (id % 2 == 0) return lifetime.fail(connection, .protocol_error);
    const priority: Priority = .parse(payload[4..]);
    if (connection.streams.find(id)) |stream| return connection.setPriority(stream, priority);
    if (!connection.isIdle(id)) return;
    for (&connection.early) |*early| {
        if (early.stream == id) {
            early.priority = priority;
            return;
        }
    }
    connection.early[connection.early_next % connection.early.len] = .{ .stream = id, .priority = priority };
    connection.early_next +%= 1;
}
