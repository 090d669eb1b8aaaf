//! Asks a HTTP server at a steady pace and measures how long the answers take.
//!
//!     paced_load PORT PATH CONNECTIONS RATE MILLISECONDS
//!
//! RATE requests a second are due at even distances, whatever the server does; a request that finds no idle connection waits
//! for one. Latency counts from when a request was due, so that a server that stalls pays for all who waited (no coordinated
//! omission). The client spins, for it must not be what is late. Says "ready", waits for a line, and prints the number of
//! answers and percentiles as JSON.
const std = @import("std");
const sys = @import("sys");
const client = @import("client.zig");

const Failure = client.Failure;

const connections_max = 4096;
const answer_bytes_max = 16 * 1024;
const events_max = 512;
const request_format = "GET {s} HTTP/1.1\r\nHost: 127.0.0.1:{d}\r\n\r\n";
/// How long answers may take that are still missing at the end.
const drain_ns = 2 * std.time.ns_per_s;

const Settings = struct {
    port: u16,
    path: [:0]const u8,
    connections: usize,
    rate: u64,
    milliseconds: u64,

    fn parse(args: std.process.Args) Failure!Settings {
        var words: client.Words = .init(args);
        const settings: Settings = .{
            .port = try words.port(),
            .path = try words.text(),
            .connections = try words.number(usize, 1, connections_max),
            .rate = try words.number(u64, 1, 10_000_000),
            .milliseconds = try words.number(u64, 1, 3600 * 1000),
        };
        try words.end();
        return settings;
    }

    fn requests(settings: Settings) usize {
        return @intCast(@max(settings.rate * settings.milliseconds / 1000, 1));
    }
};

const Connection = struct {
    fd: c_int,
    due_ns: u64 = 0,
    filled: usize = 0,
    buffer: [answer_bytes_max]u8 = undefined,

    /// Whether the buffer holds the whole answer.
    fn complete(connection: *const Connection) Failure!bool {
        const received = connection.buffer[0..connection.filled];
        const end = std.mem.indexOf(u8, received, "\r\n\r\n") orelse return false;
        const head = received[0 .. end + 2];
        const body = received[end + 4 ..];
        if (!std.mem.startsWith(u8, head, "HTTP/1.1 200 ")) return error.UnexpectedAnswer;
        if (fieldValue(head, "content-length")) |text| {
            const bytes = std.fmt.parseInt(usize, text, 10) catch return error.UnexpectedAnswer;
            if (body.len > bytes) return error.UnexpectedAnswer;
            return body.len == bytes;
        }
        if (fieldValue(head, "transfer-encoding") == null) return error.UnexpectedAnswer;
        return std.mem.endsWith(u8, body, "0\r\n\r\n");
    }
};

fn fieldValue(head: []const u8, name: []const u8) ?[]const u8 {
    var lines = std.mem.splitSequence(u8, head, "\r\n");
    while (lines.next()) |line| {
        if (line.len <= name.len or line[name.len] != ':') continue;
        if (!std.ascii.eqlIgnoreCase(line[0..name.len], name)) continue;
        return std.mem.trim(u8, line[name.len + 1 ..], " \t");
    }
    return null;
}

/// The connections that wait for a request, longest first: all of them take part.
const Idle = struct {
    ring: []*Connection,
    first: usize = 0,
    count: usize = 0,

    fn put(idle: *Idle, connection: *Connection) void {
        idle.ring[(idle.first + idle.count) % idle.ring.len] = connection;
        idle.count += 1;
        std.debug.assert(idle.count <= idle.ring.len);
    }

    fn take(idle: *Idle) ?*Connection {
        if (idle.count == 0) return null;
        defer {
            idle.first = (idle.first + 1) % idle.ring.len;
            idle.count -= 1;
        }
        return idle.ring[idle.first];
    }
};

const Load = struct {
    settings: Settings,
    epoll_fd: c_int,
    request: []const u8,
    idle: Idle,
    /// Nanoseconds from due to answered; as many as there were answers.
    latencies: []u32,
    answered: usize = 0,
    sent: usize = 0,

    fn dueNs(load: *const Load, begin: u64, index: usize) u64 {
        return begin + @as(u64, index) * std.time.ns_per_s / load.settings.rate;
    }

    fn run(load: *Load) Failure!u64 {
        const begin = client.nowNs();
        const end = begin + load.settings.milliseconds * std.time.ns_per_ms + drain_ns;
        var events: [events_max]sys.system.EpollEvent = undefined;
        while (load.answered < load.latencies.len) {
            const now = client.nowNs();
            if (now > end) break;
            while (load.sent < load.latencies.len and load.dueNs(begin, load.sent) <= now) {
                const connection = load.idle.take() orelse break;
                connection.due_ns = load.dueNs(begin, load.sent);
                try load.ask(connection);
            }
            const count = sys.system.epoll_wait(load.epoll_fd, &events, events_max, 0);
            if (count < 0) continue;
            for (events[0..@intCast(count)]) |event| try load.receive(@ptrFromInt(event.data.ptr));
        }
        return client.nowNs() - begin;
    }

    fn ask(load: *Load, connection: *Connection) Failure!void {
        const written = sys.send(connection.fd, load.request.ptr, load.request.len, sys.msg_nosignal);
        // A request is far smaller than the room of a connection on which nothing is under way.
        if (written != load.request.len) return error.ConnectionLost;
        load.sent += 1;
    }

    fn receive(load: *Load, connection: *Connection) Failure!void {
        const room = connection.buffer[connection.filled..];
        if (room.len == 0) return error.UnexpectedAnswer;
        const bytes = sys.recv(connection.fd, room.ptr, room.len, 0);
        if (bytes < 0 and sys.errno() == .AGAIN) return;
        if (bytes <= 0) return error.ConnectionLost;
        connection.filled += @intCast(bytes);
        if (!try connection.complete()) return;
        connection.filled = 0;
        load.latencies[load.answered] = std.math.lossyCast(u32, client.nowNs() - connection.due_ns);
        load.answered += 1;
        load.idle.put(connection);
    }

    fn percentileUs(load: *const Load, share: f64) f64 {
        const measured = load.latencies[0..load.answered];
        const index: usize = @trunc(share * @as(f64, @floatFromInt(measured.len - 1)));
        return @as(f64, @floatFromInt(measured[index])) / 1000;
    }
};

fn measure(init: std.process.Init) Failure!void {
    const settings = try Settings.parse(init.minimal.args);
    const gpa = init.arena.allocator();
    const epoll_fd = try client.newSet();
    const connections = gpa.alloc(Connection, settings.connections) catch return error.NoMemory;
    var load: Load = .{
        .settings = settings,
        .epoll_fd = epoll_fd,
        .request = std.fmt.allocPrint(gpa, request_format, .{ settings.path, settings.port }) catch
            return error.NoMemory,
        .idle = .{ .ring = gpa.alloc(*Connection, settings.connections) catch return error.NoMemory },
        .latencies = gpa.alloc(u32, settings.requests()) catch return error.NoMemory,
    };
    for (connections) |*connection| {
        connection.* = .{ .fd = try client.connect(settings.port) };
        try client.join(epoll_fd, connection.fd, connection);
        load.idle.put(connection);
    }
    client.awaitStart();
    const elapsed_ns = try load.run();
    if (load.answered == 0) return error.UnexpectedAnswer;
    std.sort.pdq(u32, load.latencies[0..load.answered], {}, std.sort.asc(u32));
    var line: [512]u8 = undefined;
    client.finish(std.fmt.bufPrint(&line, "{{\"requests\": {d}, \"missing\": {d}, \"microseconds\": {d}, " ++
        "\"latency_p50_us\": {d:.1}, \"latency_p99_us\": {d:.1}, \"latency_p999_us\": {d:.1}}}\n", .{
        load.answered,
        load.latencies.len - load.answered,
        elapsed_ns / std.time.ns_per_us,
        load.percentileUs(0.5),
        load.percentileUs(0.99),
        load.percentileUs(0.999),
    }) catch unreachable);
}

pub fn main(init: std.process.Init) u8 {
    measure(init) catch |failure| return client.fail("paced_load", failure, "PORT PATH CONNECTIONS RATE MILLISECONDS");
    return 0;
}
