//! Properties of any input. Run as ordinary tests they see seeded conversations; `zig build fuzz --fuzz` searches.
const std = @import("std");
const assert = std.debug.assert;
const codes = @import("codes.zig");
const connection_module = @import("connection.zig");
const reference = @import("reference.zig");
const Allocator = std.mem.Allocator;
const Connection = connection_module.Connection;
const Context = connection_module.Context;
const Decoder = @import("decoder.zig").Decoder;
const Event = @import("event.zig").Event;
const FrameType = codes.FrameType;
const Header = @import("frame.zig").Header;
const Limits = @import("limits.zig").Limits;
const Lines = @import("hpack_tests.zig").Lines;
const RequestHead = @import("request_head.zig").RequestHead;
const Stream = @import("streams.zig").Stream;
const Text = @import("../http/head.zig").Text;

const input_max = 2048;
const conversations = 1_500;
const blocks = 10_000;

/// Small, so that random input reaches every one of them.
const limits: Limits = .{
    .max_target_bytes = 48,
    .max_header_list_bytes = 300,
    .max_header_count = 6,
    .max_continuation_frames = 3,
    .max_table_bytes = 300,
    .max_concurrent_streams = 4,
    .stream_window = 300,
    .max_resets_per_s = 8,
    .max_pings_per_s = 5,
    .max_settings_per_s = 6,
    .max_empty_frames_per_s = 4,
    .max_ignored_frames_per_s = 12,
    .max_answer_bytes = 400,
    .max_body = 200,
};

const good_blocks = [_][]const u8{
    "\x82\x86\x84\x41\x01a",
    "\x82\x86\x84\xbe",
    "\x83\x86\x84\x41\x01a\x5c\x015",
    "\x83\x86\x44\x02/b\x41\x01a\x40\x01x\x01y\x40\x06cookie\x03a=b\xbe",
    "\x82\x87\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff\x58\x86\xa8\xeb\x10\x64\x9c\xbf",
    "\x20\x82\x86\x84\x01\x01a\x60\x01b\x60\x01c\x40\x08priority\x05u=1,i",
    "\x02\x07CONNECT\x01\x03a:1",
    "\x02\x07CONNECT\x00\x09:protocol\x09websocket\x86\x84\x01\x01a",
    "\x40\x01t\x01v",
    "\x3f\xcd\x01\x82\x86\x84\x66\x01a\x40\x02te\x08trailers",
};

/// One that answers at once, by the number of the stream alone, so that it does the same in every fragmentation.
const Owner = struct {
    connection: *Connection,
    arena: Allocator,
    streams: std.ArrayList(*Stream) = .empty,
    told: std.ArrayList(u8) = .empty,
    content_of: u32 = 0,

    fn tell(owner: *Owner, comptime format: []const u8, arguments: anytype) !void {
        try owner.told.print(owner.arena, format, arguments);
    }

    fn handle(owner: *Owner, event: *const Event) !void {
        const id = if (event.stream) |stream| stream.id else 0;
        // Content may arrive in other pieces.
        if (event.kind == .data and event.data.len > 0 and owner.content_of != id) try owner.tell("\ndata {d}: ", .{id});
        if (event.kind == .data) {
            owner.content_of = id;
            try owner.tell("{s}{s}", .{ event.data, if (event.ends) "." else "" });
        } else {
            owner.content_of = 0;
            try owner.tell("\n{t} {d} {d} {any}", .{ event.kind, id, @backingInt(event.code), event.ends });
        }
        if (event.head) |head| {
            try owner.tell(" {s} {s} {s}", .{ head.method.slice(), head.target.slice(), head.field_lines.slice() });
        }
        const stream = event.stream orelse return;
        if (event.begins) {
            try owner.streams.append(owner.arena, stream);
            try owner.answer(stream);
        }
        if (event.kind == .data and id % 3 != 0) owner.connection.consumed(stream, event.data.len);
        // Released by some at once, by others at the end.
        if (event.kind == .reset and id % 4 == 1) owner.release(stream);
    }

    fn answer(owner: *Owner, stream: *Stream) !void {
        const connection = owner.connection;
        if (stream.id % 7 == 3) return connection.reset(stream, .cancel);
        if (stream.id % 5 == 1) return;
        connection.beginHead(stream, if (stream.id % 3 == 0) 404 else 200) catch return;
        connection.field("Content-Type", "text/plain");
        connection.field("x-id", if (stream.id % 4 == 1) "one" else "three");
        connection.finishHead(stream.id % 4 == 3) catch return;
        if (stream.flags.over) return;
        _ = connection.data(stream, &.{ "hello", "world" }, stream.id % 8 == 1) catch return;
    }

    fn release(owner: *Owner, stream: *Stream) void {
        for (owner.streams.items, 0..) |each, index| {
            if (each != stream) continue;
            _ = owner.streams.swapRemove(index);
            return owner.connection.release(stream);
        }
        unreachable;
    }
};

/// What holds between any two calls.
fn checkInvariants(connection: *const Connection, owner: *const Owner) !void {
    if (connection.phase == .failed) return;
    const under_way = connection.payload.content * @intFromBool(connection.payload.stream != null);
    const window = @as(i64, connection.receive_window) + connection.owed + under_way;
    try std.testing.expectEqual(@as(i64, connection.context.limits.connection_window), window);
    var unread: u64 = 0;
    var live: u32 = 0;
    for (owner.streams.items) |stream| {
        unread += stream.unread;
        try std.testing.expectEqual(stream.flags.over, connection.streams.find(stream.id) != stream);
        live += @intFromBool(!stream.flags.over);
        assert(!(stream.flags.over and (stream.flags.ready or stream.flags.waiting)));
        assert(!stream.flags.ready or (stream.flags.waiting and stream.send_window > 0));
        assert(stream.unread + stream.taken <= connection.context.limits.stream_window + codes.window_usual);
    }
    try std.testing.expectEqual(unread, connection.unread);
    try std.testing.expectEqual(live, connection.streams.count);
    try std.testing.expectEqual(owner.streams.items.len, connection.held);
}

/// Whole frames that a peer may get; those that tell of windows go with the pieces, and are left out.
fn checkOutput(output: []const u8, failed: bool, kept: *std.ArrayList(u8), arena: Allocator) !void {
    var rest = output;
    var last: FrameType = .settings;
    while (rest.len > 0) {
        const header: Header = .read(rest[0..codes.frame_header_bytes]);
        const frame = rest[0 .. codes.frame_header_bytes + header.length];
        assert(header.length <= codes.frame_payload_usual);
        rest = rest[frame.len..];
        last = header.type;
        if (header.type != .window_update) try kept.appendSlice(arena, frame);
    }
    if (failed) try std.testing.expectEqual(FrameType.goaway, last);
}

fn converse(arena: Allocator, text: []const u8, piece_max: usize) ![]const u8 {
    const context = try Context.create(std.testing.allocator, limits);
    defer context.destroy();
    const connection = try Connection.create(context, 1000);
    defer connection.destroy();
    var owner: Owner = .{ .connection = connection, .arena = arena };
    defer while (owner.streams.items.len > 0) owner.release(owner.streams.items[0]);
    var rest = text;
    while (rest.len > 0) {
        // As from a socket: overwritten afterwards.
        const piece = try arena.dupe(u8, rest[0..@min(rest.len, piece_max)]);
        rest = rest[piece.len..];
        var input: Text = .from(piece);
        var event: Event = .{};
        while (connection.step(&input, 1000, &event)) {
            try owner.handle(&event);
            try checkInvariants(connection, &owner);
        }
        assert(input.len == 0);
        try checkInvariants(connection, &owner);
        @memset(piece, 0xaa);
    }
    while (connection.nextWritable()) |stream| {
        _ = connection.data(stream, &.{"more"}, true) catch {};
        try checkInvariants(connection, &owner);
    }
    try checkOutput(connection.waiting(), connection.phase == .failed, &owner.told, arena);
    return owner.told.items;
}

fn checkConversation(text: []const u8) !void {
    var arena: std.heap.ArenaAllocator = .init(std.testing.allocator);
    defer arena.deinit();
    const whole = try converse(arena.allocator(), text, input_max);
    for ([_]usize{ 1, 2, 7 }) |piece_max|
        try std.testing.expectEqualStrings(whole, try converse(arena.allocator(), text, piece_max));
}

/// The decoder and its reference, with the table that a first block leaves; and what the fields are as a request, or as trailers.
fn checkBlocks(first: []const u8, second: []const u8) !void {
    var arena_state: std.heap.ArenaAllocator = .init(std.testing.allocator);
    defer arena_state.deinit();
    const arena = arena_state.allocator();
    const generous: Limits = .{ .max_table_bytes = 300 };
    const context = try Context.create(std.testing.allocator, generous);
    defer context.destroy();
    var decoder: Decoder = .init(4096, 300);
    var lines_decoder: Decoder = .init(4096, 300);
    defer decoder.deinit(std.testing.allocator);
    defer lines_decoder.deinit(std.testing.allocator);
    var slow: reference.Decoder = .{ .arena = arena, .limit = 300, .size_max = 300 };
    for ([_][]const u8{ first, second }) |block| {
        const sink = try arena.create(Lines);
        sink.length = 0;
        const request = &context.request;
        request.begin(false);
        const outcome = decoder.decode(std.testing.allocator, block, request);
        const lines_outcome = lines_decoder.decode(std.testing.allocator, block, sink);
        const fields = slow.decode(block) catch |err| switch (err) {
            error.OutOfMemory => return err,
            error.Refused => {
                try std.testing.expectError(error.Compression, outcome);
                try std.testing.expectError(error.Compression, lines_outcome);
                return;
            },
        };
        try outcome;
        try lines_outcome;
        var expected: std.ArrayList(u8) = .empty;
        for (fields) |field| try expected.print(arena, "{s}: {s}\r\n", .{ field.name, field.value });
        try std.testing.expectEqualStrings(expected.items, sink.slice());
        try std.testing.expectEqual(slow.table.items.len, decoder.table.count);
        try compareRequest(fields, request);
        request.begin(true);
        var again: Decoder = .init(4096, 300);
        defer again.deinit(std.testing.allocator);
        again.decode(std.testing.allocator, block, request) catch continue;
        try std.testing.expectEqual(reference.trailersAreValid(fields), request.finish(true) == .good);
    }
}

fn compareRequest(fields: []const reference.Field, request: *RequestHead) !void {
    const found = request.finish(true);
    const valid = reference.requestIsValid(fields);
    if (found == .good) try std.testing.expect(valid);
    if (found != .good or !valid) return;
    const head = request.head;
    var count: usize = 0;
    var cookies: usize = 0;
    for (fields) |field| {
        if (std.mem.eql(u8, field.name, "cookie")) cookies += 1;
        if (field.name[0] != ':' and !std.mem.eql(u8, field.name, "host")) count += 1;
        if (std.mem.eql(u8, field.name, ":method")) try std.testing.expectEqualStrings(field.value, head.method.slice());
        if (std.mem.eql(u8, field.name, ":path")) try std.testing.expectEqualStrings(field.value, head.target.slice());
        if (std.mem.eql(u8, field.name, ":authority")) try std.testing.expectEqualStrings(field.value, head.host.slice());
    }
    if (!head.has_length) try std.testing.expectEqual(count + 1 - (cookies -| 1), head.field_count);
    var lines: usize = 0;
    for (head.fields[0..head.field_count]) |field| {
        const line = head.field_lines.slice();
        lines += field.name.len + field.value.len + 4;
        const begin = @intFromPtr(field.name.ptr) - @intFromPtr(line.ptr);
        try std.testing.expectEqualStrings(": ", line[begin + field.name.len ..][0..2]);
        try std.testing.expectEqualStrings(field.value.slice(), line[begin + field.name.len + 2 ..][0..field.value.len]);
    }
    if (!head.has_length) try std.testing.expectEqual(lines, head.field_lines.len);
}

fn fuzzConversation(_: void, smith: *std.testing.Smith) !void {
    var buffer: [input_max]u8 = undefined;
    const begin = codes.preface ++ "\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    @memcpy(buffer[0..begin.len], begin);
    const length = smith.slice(buffer[begin.len..]);
    try checkConversation(buffer[0 .. begin.len + length]);
}

fn fuzzBlocks(_: void, smith: *std.testing.Smith) !void {
    var first: [256]u8 = undefined;
    var second: [256]u8 = undefined;
    const length = smith.slice(&first);
    try checkBlocks(first[0..length], second[0..smith.slice(&second)]);
}

test "fuzz: any frames keep the invariants in every fragmentation" {
    try std.testing.fuzz({}, fuzzConversation, .{});
}

test "fuzz: any blocks are decoded and judged as the reference does" {
    try std.testing.fuzz({}, fuzzBlocks, .{ .corpus = &good_blocks });
}

test "seeded mutations of blocks are decoded and judged as the reference does" {
    var prng: std.Random.DefaultPrng = .init(0x7541);
    const random = prng.random();
    for (good_blocks) |block| try checkBlocks(block, block);
    for (0..blocks) |_| {
        var pair: [2][256]u8 = undefined;
        var lengths: [2]usize = undefined;
        for (&pair, &lengths) |*buffer, *length| {
            length.* = 0;
            for (0..random.intRangeAtMost(usize, 1, 3)) |_| {
                const block = good_blocks[random.uintLessThan(usize, good_blocks.len)];
                if (random.boolean() or length.* == 0) {
                    @memcpy(buffer[length.*..][0..block.len], block);
                    length.* += block.len;
                }
            }
            for (0..random.uintAtMost(usize, 2)) |_| buffer[random.uintLessThan(usize, length.*)] = random.int(u8);
        }
        try checkBlocks(pair[0][0..lengths[0]], pair[1][0..lengths[1]]);
    }
}

fn putFrame(buffer: []u8, header: Header, payload: []const u8) usize {
    header.write(buffer[0..codes.frame_header_bytes]);
    @memcpy(buffer[codes.frame_header_bytes..][0..payload.len], payload);
    return codes.frame_header_bytes + payload.len;
}

const usual_types = [_]FrameType{
    .headers, .headers,       .headers,       .data,            .data, .data, .priority, .rst_stream, .settings,
    .ping,    .window_update, .window_update, .priority_update,
};
const fatal_types = [_]FrameType{ .goaway, .continuation, .push_promise, @fromBackingInt(0x55), .settings, .data };

/// One of so many.
fn seldom(random: std.Random, of: u8) bool {
    return random.uintLessThan(u8, of) == 0;
}

/// Frames as a client might send them, and some that it should not.
fn randomFrame(random: std.Random, buffer: []u8, last: *u32) usize {
    const wrong = seldom(random, 20);
    const types: []const FrameType = if (wrong) &fatal_types else &usual_types;
    var payload: [128]u8 = undefined;
    var length: usize = random.uintAtMost(usize, 12);
    random.bytes(&payload);
    var header: Header = .{ .length = 0, .type = types[random.uintLessThan(usize, types.len)], .flags = 0, .stream = 0 };
    // Nothing but a request can be on a stream that is not open.
    if (last.* == 0) header.type = .headers;
    const open: u32 = if (last.* == 0) 1 else 2 * random.uintLessThan(u32, (last.* + 1) / 2) + 1;
    switch (header.type) {
        .headers, .continuation => {
            const block = good_blocks[random.uintLessThan(usize, good_blocks.len)];
            length = if (wrong) random.uintLessThan(usize, block.len) else block.len;
            @memcpy(payload[0..length], block[0..length]);
            header.flags = codes.Flag.end_headers;
            if (random.boolean()) header.flags |= codes.Flag.end_stream;
            header.stream = open;
            if (header.type == .headers and !seldom(random, 4)) {
                last.* += if (last.* == 0) 1 else 2;
                header.stream = last.*;
            }
            if (header.type == .headers and seldom(random, 4)) {
                header.flags &= ~codes.Flag.end_headers;
                const begin = random.uintAtMost(usize, length);
                header.length = @intCast(begin);
                const written = putFrame(buffer, header, payload[0..begin]);
                header = .{ .length = @intCast(length - begin), .type = .continuation, .flags = 4, .stream = header.stream };
                return written + putFrame(buffer[written..], header, payload[begin..length]);
            }
        },
        .data => {
            header.stream = open;
            length = random.intRangeAtMost(usize, 1, 100);
            if (seldom(random, 3)) header.flags |= codes.Flag.end_stream;
            if (seldom(random, 4)) {
                header.flags |= codes.Flag.padded;
                payload[0] = random.uintAtMost(u8, @intCast(length - 1));
            }
        },
        .priority => {
            header.stream = open;
            length = 5;
        },
        .rst_stream => {
            header.stream = open;
            length = 4;
        },
        .settings => {
            length = 6 * random.uintAtMost(usize, 2);
            for (0..length / 6) |index| {
                const settings = [_]u16{ 1, 3, 4, 6, 0x77 };
                const setting = if (wrong) random.intRangeAtMost(u16, 1, 9) else settings[random.uintLessThan(usize, settings.len)];
                std.mem.writeInt(u16, payload[6 * index ..][0..2], setting, .big);
                std.mem.writeInt(u32, payload[6 * index + 2 ..][0..4], random.uintAtMost(u32, 400), .big);
            }
            if (wrong and random.boolean()) {
                header.flags = codes.Flag.ack;
                length = 0;
            }
        },
        .ping, .goaway => {
            header.flags = random.uintAtMost(u8, 1);
            length = 8;
        },
        .window_update => {
            if (random.boolean()) header.stream = open;
            length = 4;
            std.mem.writeInt(u32, payload[0..4], random.intRangeAtMost(u32, @intFromBool(!wrong), 2000), .big);
        },
        .priority_update => {
            std.mem.writeInt(u32, payload[0..4], last.* + 2 * random.uintLessThan(u32, 3), .big);
            @memcpy(payload[4..10], "u=1, i");
            length = 10;
        },
        else => {},
    }
    header.length = @intCast(length);
    return putFrame(buffer, header, payload[0..length]);
}

test "seeded conversations keep the invariants in every fragmentation" {
    var prng: std.Random.DefaultPrng = .init(0x9113);
    const random = prng.random();
    for (0..conversations) |_| {
        var buffer: [input_max]u8 = undefined;
        @memcpy(buffer[0..codes.preface.len], codes.preface);
        var length: usize = codes.preface.len;
        length += putFrame(buffer[length..], .{ .length = 0, .type = .settings, .flags = 0, .stream = 0 }, "");
        var last: u32 = 0;
        for (0..random.uintAtMost(usize, 15)) |_| length += randomFrame(random, buffer[length..], &last);
        if (seldom(random, 5)) buffer[random.uintLessThan(usize, length)] = random.int(u8);
        try checkConversation(buffer[0..length]);
    }
}
