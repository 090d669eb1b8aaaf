//! Loads a websocket server and counts the messages that come back.
//!
//!     websocket_load PORT PATH echo|broadcast CONNECTIONS BYTES IN_FLIGHT MILLISECONDS
//!
//! echo: every connection keeps IN_FLIGHT messages of BYTES on their way and sends one more for each that returns.
//! broadcast: the first connection sends IN_FLIGHT messages, each of which shall reach every connection; the next ones
//! follow when all have arrived. Says "ready", waits for a line, and prints the number of messages received and the time as JSON.
const std = @import("std");
const sys = @import("sys");
const client = @import("client.zig");

const Failure = client.Failure;

const connections_max = 20_000;
const message_bytes_max = 1024 * 1024;
const handshake_bytes_max = 4096;
const events_max = 512;
const receive_bytes = 512 * 1024;
/// Masks must be there and may be anything (RFC 6455 section 5.3); this one is as good for a load as a random one.
const mask = [4]u8{ 0x5a, 0xc3, 0x17, 0x9e };
const opcode_binary_final: u8 = 0x82;

const Mode = enum { echo, broadcast };

const Settings = struct {
    port: u16,
    path: [:0]const u8,
    mode: Mode,
    connections: usize,
    message_bytes: usize,
    in_flight: usize,
    milliseconds: usize,

    fn parse(args: std.process.Args) Failure!Settings {
        var words: client.Words = .init(args);
        const settings: Settings = .{
            .port = try words.port(),
            .path = try words.text(),
            .mode = std.meta.stringToEnum(Mode, try words.text()) orelse return error.Usage,
            .connections = try words.number(usize, 1, connections_max),
            .message_bytes = try words.number(usize, 1, message_bytes_max),
            .in_flight = try words.number(usize, 1, 1024),
            .milliseconds = try words.number(usize, 1, 3600 * 1000),
        };
        try words.end();
        return settings;
    }
};

/// Cuts what a server sends into frames, of which it keeps only the lengths.
const Frames = struct {
    header: [10]u8 = undefined,
    header_bytes: u8 = 0,
    payload_left: usize = 0,
    expected_bytes: usize,

    /// How many messages end in these bytes.
    fn take(frames: *Frames, received: []const u8) Failure!usize {
        var rest = received;
        var complete: usize = 0;
        while (rest.len > 0) {
            if (frames.payload_left > 0) {
                const part = @min(rest.len, frames.payload_left);
                frames.payload_left -= part;
                rest = rest[part..];
                if (frames.payload_left == 0) complete += 1;
                continue;
            }
            frames.header[frames.header_bytes] = rest[0];
            frames.header_bytes += 1;
            rest = rest[1..];
            if (frames.payloadBytes()) |bytes| {
                if (frames.header[0] != opcode_binary_final or bytes != frames.expected_bytes) return error.UnexpectedFrame;
                frames.header_bytes = 0;
                frames.payload_left = bytes;
            }
        }
        return complete;
    }

    fn payloadBytes(frames: *const Frames) ?usize {
        if (frames.header_bytes < 2) return null;
        const short = frames.header[1];
        if (short < 126 and frames.header_bytes == 2) return short;
        if (short == 126 and frames.header_bytes == 4) return std.mem.readInt(u16, frames.header[2..4], .big);
        if (short == 127 and frames.header_bytes == 10) return std.mem.readInt(u64, frames.header[2..10], .big);
        return null;
    }
};

const Connection = struct {
    fd: c_int,
    frames: Frames,
    /// Bytes of frames that are still to be written; the last of them ends a frame.
    unsent_bytes: usize = 0,
    waits_for_room: bool = false,
};

const Load = struct {
    settings: Settings,
    epoll_fd: c_int,
    connections: []Connection,
    /// As many equal frames as one write takes.
    frames: []const u8,
    frame_bytes: usize,
    received: usize = 0,
    /// Of a broadcast: what has not reached its receivers yet.
    undelivered: usize = 0,

    fn send(load: *Load, connection: *Connection, messages: usize) Failure!void {
        connection.unsent_bytes += messages * load.frame_bytes;
        try load.flush(connection);
    }

    fn flush(load: *Load, connection: *Connection) Failure!void {
        while (connection.unsent_bytes > 0) {
            // Where the frame that was cut goes on.
            const begun = (load.frame_bytes - connection.unsent_bytes % load.frame_bytes) % load.frame_bytes;
            const part = load.frames[begun..];
            const written = sys.send(connection.fd, part.ptr, @min(part.len, connection.unsent_bytes), sys.msg_nosignal);
            if (written < 0) {
                if (sys.errno() != .AGAIN) return error.ConnectionLost;
                break;
            }
            connection.unsent_bytes -= @intCast(written);
        }
        const waits = connection.unsent_bytes > 0;
        if (waits == connection.waits_for_room) return;
        connection.waits_for_room = waits;
        const events = client.readable | if (waits) client.writable else 0;
        try client.watch(load.epoll_fd, sys.system.epoll_ctl_mod, connection.fd, events, connection);
    }

    fn receive(load: *Load, connection: *Connection, buffer: []u8) Failure!void {
        const bytes = sys.recv(connection.fd, buffer.ptr, buffer.len, 0);
        if (bytes < 0 and sys.errno() == .AGAIN) return;
        if (bytes <= 0) return error.ConnectionLost;
        const messages = try connection.frames.take(buffer[0..@intCast(bytes)]);
        load.received += messages;
        if (messages == 0) return;
        switch (load.settings.mode) {
            .echo => try load.send(connection, messages),
            .broadcast => {
                load.undelivered -= messages;
                if (load.undelivered == 0) try load.publish();
            },
        }
    }

    fn publish(load: *Load) Failure!void {
        load.undelivered = load.connections.len * load.settings.in_flight;
        try load.send(&load.connections[0], load.settings.in_flight);
    }

    fn run(load: *Load, buffer: []u8) Failure!u64 {
        const begin = client.nowNs();
        const end = begin + load.settings.milliseconds * std.time.ns_per_ms;
        switch (load.settings.mode) {
            .echo => for (load.connections) |*connection| try load.send(connection, load.settings.in_flight),
            .broadcast => try load.publish(),
        }
        var events: [events_max]sys.system.EpollEvent = undefined;
        while (client.nowNs() < end) {
            const count = sys.system.epoll_wait(load.epoll_fd, &events, events_max, 100);
            if (count < 0) continue;
            for (events[0..@intCast(count)]) |event| {
                const connection: *Connection = @ptrFromInt(event.data.ptr);
                if (event.events & client.writable != 0) try load.flush(connection);
                if (event.events & ~client.writable != 0) try load.receive(connection, buffer);
            }
        }
        return client.nowNs() - begin;
    }
};

/// Connects and shakes hands, waiting for the answer.
fn shakeHands(settings: Settings) Failure!c_int {
    const fd = try client.connect(settings.port);
    var buffer: [handshake_bytes_max]u8 = undefined;
    const request = std.fmt.bufPrint(&buffer, "GET {s} HTTP/1.1\r\nHost: 127.0.0.1:{d}\r\nConnection: Upgrade\r\n" ++
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" ++
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", .{ settings.path, settings.port }) catch return error.Usage;
    if (sys.send(fd, request.ptr, request.len, sys.msg_nosignal) != request.len) return error.ConnectionLost;
    var filled: usize = 0;
    while (std.mem.indexOf(u8, buffer[0..filled], "\r\n\r\n") == null) {
        if (filled == buffer.len) return error.HandshakeRefused;
        // The server speaks only when spoken to: nothing follows the head.
        const bytes = sys.recv(fd, buffer[filled..].ptr, buffer.len - filled, 0);
        if (bytes <= 0) return error.ConnectionLost;
        filled += @intCast(bytes);
    }
    if (!std.mem.startsWith(u8, buffer[0..filled], "HTTP/1.1 101 ")) return error.HandshakeRefused;
    return fd;
}

/// Several equal masked frames of a binary message, one behind the other.
fn makeFrames(gpa: std.mem.Allocator, message_bytes: usize, count: usize) Failure!struct { []const u8, usize } {
    var header: [14]u8 = undefined;
    header[0] = opcode_binary_final;
    var header_bytes: usize = 2;
    if (message_bytes < 126) {
        header[1] = @intCast(0x80 | message_bytes);
    } else if (message_bytes <= std.math.maxInt(u16)) {
        header[1] = 0x80 | 126;
        std.mem.writeInt(u16, header[2..4], @intCast(message_bytes), .big);
        header_bytes = 4;
    } else {
        header[1] = 0x80 | 127;
        std.mem.writeInt(u64, header[2..10], message_bytes, .big);
        header_bytes = 10;
    }
    @memcpy(header[header_bytes..][0..4], &mask);
    header_bytes += 4;
    const frame_bytes = header_bytes + message_bytes;
    const frames = gpa.alloc(u8, frame_bytes * count) catch return error.NoMemory;
    for (0..count) |index| {
        const frame = frames[index * frame_bytes ..][0..frame_bytes];
        @memcpy(frame[0..header_bytes], header[0..header_bytes]);
        for (frame[header_bytes..], 0..) |*byte, offset| byte.* = @as(u8, @truncate(offset)) ^ mask[offset % 4];
    }
    return .{ frames, frame_bytes };
}

fn measure(init: std.process.Init) Failure!void {
    const settings = try Settings.parse(init.minimal.args);
    const gpa = init.arena.allocator();
    const epoll_fd = try client.newSet();
    const connections = gpa.alloc(Connection, settings.connections) catch return error.NoMemory;
    for (connections) |*connection| {
        connection.* = .{ .fd = try shakeHands(settings), .frames = .{ .expected_bytes = settings.message_bytes } };
        try client.join(epoll_fd, connection.fd, connection);
    }
    const frames, const frame_bytes = try makeFrames(gpa, settings.message_bytes, settings.in_flight);
    const buffer = gpa.alloc(u8, receive_bytes) catch return error.NoMemory;
    var load: Load = .{
        .settings = settings,
        .epoll_fd = epoll_fd,
        .connections = connections,
        .frames = frames,
        .frame_bytes = frame_bytes,
    };
    client.awaitStart();
    const elapsed_ns = try load.run(buffer);
    var line: [128]u8 = undefined;
    const elapsed_us = elapsed_ns / std.time.ns_per_us;
    const format = "{{\"messages\": {d}, \"microseconds\": {d}}}\n";
    client.finish(std.fmt.bufPrint(&line, format, .{ load.received, elapsed_us }) catch unreachable);
}

pub fn main(init: std.process.Init) u8 {
    const usage = "PORT PATH echo|broadcast CONNECTIONS BYTES IN_FLIGHT MILLISECONDS";
    measure(init) catch |failure| return client.fail("websocket_load", failure, usage);
    return 0;
}
