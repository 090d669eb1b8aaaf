//! Properties of any input. Run as ordinary tests they see seeded mutations; `zig build fuzz --fuzz` searches.
const std = @import("std");
const assert = std.debug.assert;
const head_module = @import("head.zig");
const chunked = @import("chunked.zig");
const reference = @import("reference.zig");
const Head = head_module.Head;
const Text = head_module.Text;

const input_max = 512;
const mutations = 20_000;

/// Small, so that random input reaches every one of them.
const limits: head_module.Limits = .{
    .max_request_line = 48,
    .max_header_bytes = 160,
    .max_header_count = 6,
    .max_chunk_extension_bytes = 12,
    .max_trailer_bytes = 24,
    .proxy_mode = 0,
    .max_body = 4096,
};

const heads = [_][]const u8{
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "\r\nPOST /a?b HTTP/1.0\r\nContent-Length: 5, 5\r\nConnection: keep-alive\r\n\r\nhello",
    "POST http://b:80?x HTTP/1.1\r\nHost: [::1]:8\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost:\r\nX-Long-Name: \tsome value of more than sixteen bytes \r\n\r\n",
    "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /" ++ @as([60]u8, @splat('a')) ++ " HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: " ++ @as([145]u8, @splat('b')) ++ "\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: " ++ @as([146]u8, @splat('b')) ++ "\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: " ++ @as([147]u8, @splat('b')) ++ "\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n1:\r\n2:\r\n3:\r\n4:\r\n5:\r\n6:\r\n\r\n",
    &@as([80]u8, @splat('M')),
};

const bodies = [_][]const u8{
    "5;ext=\"v\"\r\nhello\r\n00B\r\n, the world\r\n0\r\nTrailer: x\r\n\r\nGET /",
    "0\r\n\r\n",
    "1\r\nx\r\n0;a\r\nA:\r\nB: c\r\n\r\n",
    "ffff\r\n",
    "0;a00;a\r\nA:\r\nBA:abcdq\r\nA:\\a\r\nA:\r\nB: c\r\n\r\n",
    "1;a=b ; c=\"d\\\"e\" ;f\r\nx\r\n0\r\n\r\n",
    "2 ;a\t=\t\"\"\r\nxy\r\n0;b\r\nA: b\r\n\r\n",
};

fn inside(buffer: []const u8, text: Text) bool {
    const begin = @intFromPtr(buffer.ptr);
    const at = @intFromPtr(text.ptr);
    return at >= begin and at + text.len <= begin + buffer.len;
}

/// The outcome is decided by the shortest prefix that decides it: no split of the input can give another.
fn checkHead(text: []const u8) !void {
    var whole: [input_max]u8 = undefined;
    @memcpy(whole[0..text.len], text);
    var head: Head = undefined;
    const outcome = head_module.parse(whole[0..text.len], &limits, &head);
    if (outcome > 0) {
        const length: usize = @intCast(outcome);
        assert(length <= text.len);
        assert(inside(whole[0..length], head.method) and inside(whole[0..length], head.target));
        assert(inside(whole[0..length], head.host) and inside(whole[0..length], head.origin));
        assert(inside(whole[0..length], head.field_lines));
        assert(head.target.len > 0 and head.field_count <= limits.max_header_count);
        assert(!(head.chunked and head.has_length));
        for (head.fields[0..head.field_count]) |field| {
            assert(inside(whole[0..length], field.name) and inside(whole[0..length], field.value));
        }
    }
    try compareHead(text, outcome, &head);
    var grown: [input_max]u8 = undefined;
    @memcpy(grown[0..text.len], text);
    for (0..text.len + 1) |length| {
        const early = head_module.parse(grown[0..length], &limits, &head);
        if (early == 0) continue;
        try std.testing.expectEqual(outcome, early);
        return;
    }
    try std.testing.expectEqual(@as(i32, 0), outcome);
}

/// The reference judges complete heads; what is not complete may be refused already.
fn compareHead(text: []const u8, outcome: i32, head: *const Head) !void {
    const result = reference.parseHead(text, &limits) catch {
        try std.testing.expect(outcome < 0);
        return;
    };
    const expected = result orelse {
        try std.testing.expect(outcome <= 0);
        return;
    };
    try std.testing.expectEqual(@as(i32, @intCast(expected.length)), outcome);
    try std.testing.expectEqualStrings(expected.method, head.method.slice());
    try std.testing.expectEqual(expected.chunked, head.chunked);
    try std.testing.expectEqual(expected.close, head.close);
    try std.testing.expectEqual(expected.content_length orelse 0, head.content_length);
    try std.testing.expectEqual(expected.content_length != null, head.has_length);
    if (expected.target[0] == '/') try std.testing.expectEqualStrings(expected.target, head.target.slice());
    var sent: [input_max]u8 = undefined;
    const path = head.target.slice()[@intFromBool(head.slash_added)..];
    const target = try std.fmt.bufPrint(&sent, "{s}{s}", .{ head.origin.slice(), path });
    try std.testing.expectEqualStrings(expected.target, target);
    const lines = text[expected.length - 2 - head.field_lines.len .. expected.length - 2];
    try std.testing.expect(std.ascii.eqlIgnoreCase(lines, head.field_lines.slice()));
    try std.testing.expectEqual(expected.field_count, std.mem.count(u8, lines, "\r\n"));
    try std.testing.expectEqual(expected.field_count, head.field_count);
    for (expected.fields[0..expected.field_count], head.fields[0..head.field_count]) |wanted, found| {
        try std.testing.expect(std.ascii.eqlIgnoreCase(wanted.name, found.name.slice()));
        for (found.name.slice()) |c| try std.testing.expect(!std.ascii.isUpper(c));
        // The authority of an absolute target takes the place of Host.
        if (expected.target[0] == '/') try std.testing.expectEqualStrings(wanted.value, found.value.slice());
    }
}

const Decoded = struct {
    body: [input_max]u8 = undefined,
    length: usize = 0,
    taken: usize = 0,
    failure: ?anyerror = null,
    ended: bool = false,

    fn run(text: []const u8, piece_max: usize) Decoded {
        var result: Decoded = .{};
        var decoder: chunked.Decoder = .{};
        var buffer: [input_max]u8 = undefined;
        @memcpy(buffer[0..text.len], text);
        while (result.taken < text.len) {
            const piece = buffer[result.taken..@min(text.len, result.taken + piece_max)];
            var input: Text = .from(piece);
            while (input.len > 0) {
                const before = input.len;
                var out: Text = undefined;
                const found = chunked.step(&decoder, &input, &limits, &out) catch |err| {
                    result.failure = err;
                    return result;
                };
                assert(input.len < before);
                result.taken += before - input.len;
                if (found == .end) {
                    result.ended = true;
                    return result;
                }
                if (found != .data) continue;
                assert(out.len > 0 and inside(piece, out));
                @memcpy(result.body[result.length..][0..out.len], out.slice());
                result.length += out.len;
            }
        }
        return result;
    }
};

fn checkBody(text: []const u8) !void {
    const whole: Decoded = .run(text, input_max);
    for ([_]usize{ 1, 2, 7 }) |piece_max| {
        const pieces: Decoded = .run(text, piece_max);
        try std.testing.expectEqual(whole.failure, pieces.failure);
        try std.testing.expectEqual(whole.ended, pieces.ended);
        try std.testing.expectEqualStrings(whole.body[0..whole.length], pieces.body[0..pieces.length]);
        if (whole.failure == null) try std.testing.expectEqual(whole.taken, pieces.taken);
    }
    const expected = reference.decodeChunked(text, &limits) catch {
        try std.testing.expect(!whole.ended);
        return;
    };
    try std.testing.expectEqual(expected != null, whole.ended);
    if (expected) |body| {
        try std.testing.expectEqualStrings(body.bytes[0..body.length], whole.body[0..whole.length]);
        try std.testing.expectEqual(body.taken, whole.taken);
    }
}

fn check(text: []const u8) !void {
    try checkHead(text);
    try checkBody(text);
}

fn fuzzOne(_: void, smith: *std.testing.Smith) !void {
    var buffer: [input_max]u8 = undefined;
    const length = smith.slice(&buffer);
    try check(buffer[0..length]);
}

test "fuzz: any input keeps the invariants in every fragmentation" {
    try std.testing.fuzz({}, fuzzOne, .{ .corpus = &(heads ++ bodies) });
}

test "seeded mutations keep the invariants in every fragmentation" {
    const corpus = heads ++ bodies;
    for (corpus) |text| try check(text);
    var prng: std.Random.DefaultPrng = .init(0x9112);
    const random = prng.random();
    const interesting = "\r\n\t :;,0\x00\x7f\x80#*[";
    for (0..mutations) |_| {
        const text = corpus[random.uintLessThan(usize, corpus.len)];
        var buffer: [input_max]u8 = undefined;
        @memcpy(buffer[0..text.len], text);
        for (0..random.uintAtMost(usize, 3)) |_| {
            const at = random.uintLessThan(usize, text.len);
            buffer[at] = if (random.boolean()) random.int(u8) else interesting[random.uintLessThan(usize, interesting.len)];
        }
        try check(buffer[0..text.len]);
    }
}
