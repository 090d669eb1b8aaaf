//! What a request costs in the HTTP/2 state machine alone, in nanoseconds: 32 streams in each turn, heads of a browser that come
//! from the table after the first, a short answer with four fields.
const std = @import("std");
const http2 = @import("http2").http2;

const turn = 32;
const turns = 20_000;

const fields = [_][2][]const u8{
    .{ "user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0" },
    .{ "accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8" },
    .{ "accept-language", "en-US,en;q=0.5" },
    .{ "accept-encoding", "gzip, deflate, br, zstd" },
    .{ "cookie", "session=0123456789abcdef0123456789abcdef; theme=dark" },
    .{ "upgrade-insecure-requests", "1" },
    .{ "sec-fetch-dest", "document" },
    .{ "sec-fetch-mode", "navigate" },
    .{ "sec-fetch-site", "none" },
    .{ "priority", "u=0, i" },
};

fn putFrame(out: *std.ArrayList(u8), kind: u8, flags: u8, stream: u32, payload: []const u8) void {
    var header: [9]u8 = undefined;
    std.mem.writeInt(u24, header[0..3], @intCast(payload.len), .big);
    header[3] = kind;
    header[4] = flags;
    std.mem.writeInt(u32, header[5..9], stream, .big);
    out.appendSliceAssumeCapacity(&header);
    out.appendSliceAssumeCapacity(payload);
}

fn now() u64 {
    var time: std.c.timespec = undefined;
    _ = std.c.clock_gettime(.PROCESS_CPUTIME_ID, &time);
    return @as(u64, @intCast(time.sec)) * std.time.ns_per_s + @as(u64, @intCast(time.nsec));
}

fn run(with_fields: bool) !u64 {
    const allocator = std.heap.c_allocator;
    const context = try http2.Context.create(allocator, .{});
    const connection = try http2.Connection.create(context, 0);
    var buffer: [1 << 16]u8 = undefined;
    var input: std.ArrayList(u8) = .initBuffer(&buffer);
    input.appendSliceAssumeCapacity("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    putFrame(&input, 4, 0, 0, "");
    putFrame(&input, 4, 1, 0, "");
    putFrame(&input, 8, 0, 0, &.{ 0x7f, 0, 0, 0 });
    var block: [4096]u8 = undefined;
    var first: std.ArrayList(u8) = .initBuffer(&block);
    first.appendSliceAssumeCapacity("\x82\x86\x84\x41\x0bexample.com");
    const count: u8 = if (with_fields) fields.len else 0;
    for (fields[0..count]) |field| {
        first.appendSliceAssumeCapacity(&.{ 0x40, @intCast(field[0].len) });
        first.appendSliceAssumeCapacity(field[0]);
        first.appendSliceAssumeCapacity(&.{@intCast(field[1].len)});
        first.appendSliceAssumeCapacity(field[1]);
    }
    var later: [4 + fields.len]u8 = undefined;
    @memcpy(later[0..3], "\x82\x86\x84");
    for (later[3 .. 4 + count], 0..) |*index, age| index.* = 0x80 | @as(u8, @intCast(62 + count - age));
    var stream: u32 = 1;
    var began: u64 = 0;
    var answered: usize = 0;
    for (0..turns + 1) |round| {
        for (0..turn) |_| {
            putFrame(&input, 1, 5, stream, if (stream == 1) first.items else later[0 .. 4 + count]);
            stream += 2;
        }
        if (round == 1) began = now();
        var text: @FieldType(http2.Head, "target") = .from(input.items);
        var event: http2.Event = .{};
        while (connection.step(&text, 0, &event)) {
            if (event.kind != .request) continue;
            const open = event.stream.?;
            try connection.beginHead(open, 200);
            connection.field("Content-Type", "text/plain; charset=utf-8");
            connection.field("Date", "Thu, 01 Jan 2026 00:00:00 GMT");
            connection.field("Server", "socketify");
            connection.field("Content-Length", "13");
            try connection.finishHead(false);
            answered += try connection.data(open, &.{"Hello, World!"}, true);
            connection.release(open);
        }
        connection.sent(connection.waiting().len);
        input.clearRetainingCapacity();
        putFrame(&input, 8, 0, 0, &.{ 0, 0, 1, 160 });
    }
    const spent = now() - began;
    std.debug.assert(answered == 13 * turn * (turns + 1));
    return spent / (turn * turns);
}

pub fn main() !void {
    for (0..3) |_| std.debug.print("hello {d} ns, a browser's head {d} ns a request\n", .{ try run(false), try run(true) });
}
