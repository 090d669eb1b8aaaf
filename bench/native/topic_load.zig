//! Publishes to websockets that are subscribed to topics, and measures how many get it and how long that takes.
//!
//!     topic_load PORTS SUBSCRIBERS TOPICS PUBLISHERS BYTES IN_FLIGHT RATE MILLISECONDS
//!
//! PORTS has commas between. An equal share of the SUBSCRIBERS connects to each port, with the path `/N` of the topic that each
//! subscribes to, from 0 to TOPICS - 1 by turns; so does one of PUBLISHERS after the other, with the path `/`. A message is binary,
//! of BYTES, and begins with the time (8 bytes) and the topic (4 digits). With a RATE of 0 as many messages are published as keep
//! IN_FLIGHT times the mean number of subscribers of a topic under way; else RATE messages a second are due at even distances,
//! whatever the server does, and latency counts from when each was due, to every subscriber. Topics and publishers are drawn by
//! chance, always the same. Says "ready", waits for a line, and prints the figures as JSON.
const std = @import("std");
const sys = @import("sys");
const client = @import("client.zig");

const Failure = client.Failure;

const ports_max = 16;
const handshake_bytes_max = 4096;
const events_max = 512;
const receive_bytes = 512 * 1024;
const latencies_max = 8 * 1024 * 1024;
const prefix_bytes = 12;
const opcode_binary_final: u8 = 0x82;
/// How long messages may take that are still missing at the end.
const drain_ns = 2 * std.time.ns_per_s;

const Settings = struct {
    ports: []const u16,
    subscribers: usize,
    topics: usize,
    publishers: usize,
    message_bytes: usize,
    in_flight: usize,
    rate: u64,
    milliseconds: u64,

    fn parse(args: std.process.Args, gpa: std.mem.Allocator) Failure!Settings {
        var words: client.Words = .init(args);
        const ports = gpa.alloc(u16, ports_max) catch return error.NoMemory;
        var count: usize = 0;
        var parts = std.mem.splitScalar(u8, try words.text(), ',');
        while (parts.next()) |part| : (count += 1) {
            if (count == ports_max) return error.Usage;
            ports[count] = std.fmt.parseInt(u16, part, 10) catch return error.Usage;
        }
        const settings: Settings = .{
            .ports = ports[0..count],
            .subscribers = try words.number(usize, 1, 20_000),
            .topics = try words.number(usize, 1, 10_000),
            .publishers = try words.number(usize, 1, 1000),
            .message_bytes = try words.number(usize, prefix_bytes, std.math.maxInt(u16)),
            .in_flight = try words.number(usize, 1, 100_000),
            .rate = try words.number(u64, 0, 10_000_000),
            .milliseconds = try words.number(u64, 1, 3600 * 1000),
        };
        try words.end();
        return settings;
    }

    fn headerBytes(settings: Settings) usize {
        return if (settings.message_bytes < 126) 2 else 4;
    }

    fn subscribersOf(settings: Settings, topic: usize) usize {
        return (settings.subscribers + settings.topics - 1 - topic) / settings.topics;
    }
};

const Subscriber = struct {
    fd: c_int,
    /// The begin of the frame that arrives: its header, and the time in it.
    begin: [4 + 8]u8 = undefined,
    filled: usize = 0,
};

/// A connection that publishes; frames wait here until the kernel takes them.
const Publisher = struct {
    fd: c_int,
    buffer: []u8,
    filled: usize = 0,
    sent: usize = 0,
};

const Load = struct {
    settings: Settings,
    epoll_fd: c_int,
    subscribers: []Subscriber,
    publishers: []Publisher,
    random: std.Random.DefaultPrng,
    latencies: []u32,
    measured: usize = 0,
    published: usize = 0,
    delivered: usize = 0,
    expected: usize = 0,

    /// Puts a message into the buffer of a publisher; false when that is full.
    fn publish(load: *Load, due_ns: u64) bool {
        const settings = load.settings;
        const random = load.random.random();
        const publisher = &load.publishers[random.uintLessThan(usize, load.publishers.len)];
        const header_bytes = settings.headerBytes() + 4;
        const frame_bytes = header_bytes + settings.message_bytes;
        if (publisher.buffer.len - publisher.filled < frame_bytes) return false;
        const frame = publisher.buffer[publisher.filled..][0..frame_bytes];
        publisher.filled += frame_bytes;
        frame[0] = opcode_binary_final;
        if (settings.message_bytes < 126) {
            frame[1] = @intCast(0x80 | settings.message_bytes);
        } else {
            frame[1] = 0x80 | 126;
            std.mem.writeInt(u16, frame[2..4], @intCast(settings.message_bytes), .big);
        }
        // A mask of zeros changes nothing (RFC 6455 section 5.3).
        @memset(frame[header_bytes - 4 ..][0..4], 0);
        const message = frame[header_bytes..];
        const topic = random.uintLessThan(usize, settings.topics);
        std.mem.writeInt(u64, message[0..8], due_ns, .little);
        _ = std.fmt.bufPrint(message[8..12], "{d:0>4}", .{topic}) catch unreachable;
        @memset(message[12..], 'x');
        load.published += 1;
        load.expected += settings.subscribersOf(topic);
        return true;
    }

    fn flush(load: *Load) Failure!void {
        for (load.publishers) |*publisher| {
            if (publisher.sent == publisher.filled) continue;
            const part = publisher.buffer[publisher.sent..publisher.filled];
            const written = sys.send(publisher.fd, part.ptr, part.len, sys.msg_nosignal);
            if (written < 0) {
                if (sys.errno() != .AGAIN) return error.ConnectionLost;
                continue;
            }
            publisher.sent += @intCast(written);
            if (publisher.sent == publisher.filled) {
                publisher.sent = 0;
                publisher.filled = 0;
            }
        }
    }

    fn receive(load: *Load, subscriber: *Subscriber, buffer: []u8) Failure!void {
        const bytes = sys.recv(subscriber.fd, buffer.ptr, buffer.len, 0);
        if (bytes < 0 and sys.errno() == .AGAIN) return;
        if (bytes <= 0) return error.ConnectionLost;
        const now = client.nowNs();
        const header_bytes = load.settings.headerBytes();
        const begin_bytes = header_bytes + 8;
        const frame_bytes = header_bytes + load.settings.message_bytes;
        var rest: []const u8 = buffer[0..@intCast(bytes)];
        while (rest.len > 0) {
            if (subscriber.filled < begin_bytes) {
                const part = @min(rest.len, begin_bytes - subscriber.filled);
                @memcpy(subscriber.begin[subscriber.filled..][0..part], rest[0..part]);
                subscriber.filled += part;
                rest = rest[part..];
                continue;
            }
            const part = @min(rest.len, frame_bytes - subscriber.filled);
            subscriber.filled += part;
            rest = rest[part..];
            if (subscriber.filled < frame_bytes) continue;
            const length = subscriber.begin[1];
            if (subscriber.begin[0] != opcode_binary_final) return error.UnexpectedFrame;
            if (length != @min(load.settings.message_bytes, 126)) return error.UnexpectedFrame;
            const due_ns = std.mem.readInt(u64, subscriber.begin[header_bytes..][0..8], .little);
            if (load.measured < load.latencies.len) {
                load.latencies[load.measured] = std.math.lossyCast(u32, now -| due_ns);
                load.measured += 1;
            }
            load.delivered += 1;
            subscriber.filled = 0;
        }
    }

    fn run(load: *Load, buffer: []u8) Failure!u64 {
        const settings = load.settings;
        const begin = client.nowNs();
        const end = begin + settings.milliseconds * std.time.ns_per_ms;
        const limit = settings.in_flight * @max(settings.subscribers / settings.topics, 1);
        var events: [events_max]sys.system.EpollEvent = undefined;
        var stopped: u64 = 0;
        while (true) {
            const now = client.nowNs();
            if (now < end) {
                if (settings.rate == 0) {
                    while (load.expected - load.delivered < limit and load.publish(now)) {}
                } else {
                    while (true) {
                        const due = begin + @as(u64, load.published) * std.time.ns_per_s / settings.rate;
                        if (due > now or !load.publish(due)) break;
                    }
                }
            } else {
                if (stopped == 0) stopped = now;
                if (load.delivered >= load.expected or now > end + drain_ns) break;
            }
            try load.flush();
            const count = sys.system.epoll_wait(load.epoll_fd, &events, events_max, 0);
            if (count < 0) continue;
            for (events[0..@intCast(count)]) |event| try load.receive(@ptrFromInt(event.data.ptr), buffer);
        }
        return stopped - begin;
    }

    fn percentileUs(load: *const Load, share: f64) f64 {
        if (load.measured == 0) return 0;
        const index: usize = @trunc(share * @as(f64, @floatFromInt(load.measured - 1)));
        return @as(f64, @floatFromInt(load.latencies[index])) / 1000;
    }
};

/// Connects and shakes hands, waiting for the answer.
fn shakeHands(port: u16, topic: ?usize) Failure!c_int {
    const fd = try client.connect(port);
    var buffer: [handshake_bytes_max]u8 = undefined;
    var digits: [8]u8 = undefined;
    const name = if (topic) |number| std.fmt.bufPrint(&digits, "{d:0>4}", .{number}) catch unreachable else "";
    const request = std.fmt.bufPrint(&buffer, "GET /{s} HTTP/1.1\r\nHost: 127.0.0.1:{d}\r\nConnection: Upgrade\r\n" ++
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" ++
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", .{ name, port }) catch return error.Usage;
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

fn measure(init: std.process.Init) Failure!void {
    const gpa = init.arena.allocator();
    const settings = try Settings.parse(init.minimal.args, gpa);
    const epoll_fd = try client.newSet();
    const subscribers = gpa.alloc(Subscriber, settings.subscribers) catch return error.NoMemory;
    for (subscribers, 0..) |*subscriber, index| {
        const port = settings.ports[index * settings.ports.len / subscribers.len];
        subscriber.* = .{ .fd = try shakeHands(port, index % settings.topics) };
        try client.join(epoll_fd, subscriber.fd, subscriber);
    }
    const publishers = gpa.alloc(Publisher, settings.publishers) catch return error.NoMemory;
    // Nobody waits for them: what they have to send is tried again in every turn.
    const idle_fd = try client.newSet();
    for (publishers, 0..) |*publisher, index| {
        publisher.* = .{
            .fd = try shakeHands(settings.ports[index % settings.ports.len], null),
            .buffer = gpa.alloc(u8, 1024 * 1024) catch return error.NoMemory,
        };
        try client.join(idle_fd, publisher.fd, publisher);
    }
    var load: Load = .{
        .settings = settings,
        .epoll_fd = epoll_fd,
        .subscribers = subscribers,
        .publishers = publishers,
        .random = .init(1),
        .latencies = gpa.alloc(u32, latencies_max) catch return error.NoMemory,
    };
    const buffer = gpa.alloc(u8, receive_bytes) catch return error.NoMemory;
    client.awaitStart();
    const elapsed_ns = try load.run(buffer);
    std.sort.pdq(u32, load.latencies[0..load.measured], {}, std.sort.asc(u32));
    var line: [512]u8 = undefined;
    client.finish(std.fmt.bufPrint(&line, "{{\"published\": {d}, \"delivered\": {d}, \"missing\": {d}, " ++
        "\"microseconds\": {d}, \"latency_p50_us\": {d:.1}, \"latency_p99_us\": {d:.1}, \"latency_p999_us\": {d:.1}}}\n", .{
        load.published,
        load.delivered,
        load.expected - load.delivered,
        elapsed_ns / std.time.ns_per_us,
        load.percentileUs(0.5),
        load.percentileUs(0.99),
        load.percentileUs(0.999),
    }) catch unreachable);
}

pub fn main(init: std.process.Init) u8 {
    const usage = "PORTS SUBSCRIBERS TOPICS PUBLISHERS BYTES IN_FLIGHT RATE MILLISECONDS";
    measure(init) catch |failure| return client.fail("topic_load", failure, usage);
    return 0;
}
