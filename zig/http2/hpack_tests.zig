//! HPACK as a whole: the examples of RFC 7541 appendix C, what has to be refused, and both directions against each other.
const std = @import("std");
const Decoder = @import("decoder.zig").Decoder;
const Encoder = @import("encoder.zig").Encoder;
const Line = @import("field.zig").Line;

/// A sink that writes lines down.
pub const Lines = struct {
    bytes: [1 << 16]u8 = undefined,
    length: usize = 0,

    pub fn room(lines: *Lines) []u8 {
        return lines.bytes[lines.length..];
    }

    pub fn accept(lines: *Lines, line: Line) void {
        lines.length += line.bytes.len;
    }

    pub fn copy(lines: *Lines, line: Line) void {
        @memcpy(lines.bytes[lines.length..][0..line.bytes.len], line.bytes);
        lines.length += line.bytes.len;
    }

    pub fn slice(lines: *const Lines) []const u8 {
        return lines.bytes[0..lines.length];
    }
};

const Example = struct { block: []const u8, lines: []const u8, size: u32, count: u32 };

/// C.3 and C.4: requests, without and with Huffman coding.
const requests = [_][]const u8{
    ":method: GET\r\n:scheme: http\r\n:path: /\r\n:authority: www.example.com\r\n",
    ":method: GET\r\n:scheme: http\r\n:path: /\r\n:authority: www.example.com\r\ncache-control: no-cache\r\n",
    ":method: GET\r\n:scheme: https\r\n:path: /index.html\r\n:authority: www.example.com\r\ncustom-key: custom-value\r\n",
};
const request_sizes = [_][2]u32{ .{ 57, 1 }, .{ 110, 2 }, .{ 164, 3 } };

/// C.5 and C.6: responses, with a table of 256 bytes.
const responses = [_][]const u8{
    ":status: 302\r\ncache-control: private\r\ndate: Mon, 21 Oct 2013 20:13:21 GMT\r\nlocation: https://www.example.com\r\n",
    ":status: 307\r\ncache-control: private\r\ndate: Mon, 21 Oct 2013 20:13:21 GMT\r\nlocation: https://www.example.com\r\n",
    ":status: 200\r\ncache-control: private\r\ndate: Mon, 21 Oct 2013 20:13:22 GMT\r\nlocation: https://www.example.com\r\n" ++
        "content-encoding: gzip\r\nset-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1\r\n",
};
const response_sizes = [_][2]u32{ .{ 222, 4 }, .{ 222, 4 }, .{ 215, 3 } };

const plain_requests = [_][]const u8{
    "828684410f7777772e6578616d706c652e636f6d",
    "828684be58086e6f2d6361636865",
    "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
};
const coded_requests = [_][]const u8{
    "828684418cf1e3c2e5f23a6ba0ab90f4ff",
    "828684be5886a8eb10649cbf",
    "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
};
const plain_responses = [_][]const u8{
    "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e17" ++
        "68747470733a2f2f7777772e6578616d706c652e636f6d",
    "4803333037c1c0bf",
    "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d41" ++
        "53444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b207665727369" ++ "6f6e3d31",
};
const coded_responses = [_][]const u8{
    "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
    "4883640effc1c0bf",
    "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b" ++
        "3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
};

fn unhex(out: []u8, text: []const u8) []const u8 {
    return std.fmt.hexToBytes(out, text) catch unreachable;
}

fn examples(size: u32, blocks: []const []const u8, lines: []const []const u8, sizes: []const [2]u32) !void {
    var decoder: Decoder = .init(4096, size);
    defer decoder.deinit(std.testing.allocator);
    for (blocks, lines, sizes) |block, expected, state| {
        var bytes: [512]u8 = undefined;
        var sink: Lines = .{};
        try decoder.decode(std.testing.allocator, unhex(&bytes, block), &sink);
        try std.testing.expectEqualStrings(expected, sink.slice());
        try std.testing.expectEqual(state[0], decoder.table.size);
        try std.testing.expectEqual(state[1], decoder.table.count);
    }
}

test "the examples of RFC 7541 appendices C.3 to C.6" {
    try examples(4096, &plain_requests, &requests, &request_sizes);
    try examples(4096, &coded_requests, &requests, &request_sizes);
    try examples(256, &plain_responses, &responses, &response_sizes);
    try examples(256, &coded_responses, &responses, &response_sizes);
}

test "the examples of RFC 7541 appendix C.2" {
    var bytes: [64]u8 = undefined;
    for ([_]Example{
        .{
            .block = "400a637573746f6d2d6b65790d637573746f6d2d686561646572",
            .lines = "custom-key: custom-header\r\n",
            .size = 55,
            .count = 1,
        },
        .{ .block = "040c2f73616d706c652f70617468", .lines = ":path: /sample/path\r\n", .size = 0, .count = 0 },
        .{ .block = "100870617373776f726406736563726574", .lines = "password: secret\r\n", .size = 0, .count = 0 },
        .{ .block = "82", .lines = ":method: GET\r\n", .size = 0, .count = 0 },
    }) |each| {
        var decoder: Decoder = .init(4096, 4096);
        defer decoder.deinit(std.testing.allocator);
        var sink: Lines = .{};
        try decoder.decode(std.testing.allocator, unhex(&bytes, each.block), &sink);
        try std.testing.expectEqualStrings(each.lines, sink.slice());
        try std.testing.expectEqual(each.size, decoder.table.size);
        try std.testing.expectEqual(each.count, decoder.table.count);
    }
}

test "what RFC 7541 forbids is refused" {
    var bytes: [64]u8 = undefined;
    for ([_][]const u8{
        "80", // index 0
        "be", // no such entry
        "ff0f", "ff", // an integer without end, a cut one
        "ffffffffffff0f", "ff8080808080808000", // too large, too long
        "00", "0001", "000161", "00016101", "0005616263", // cut literals
        "7e0161", // the name of no entry
        "3fe21f", // a table of 4097 bytes
        "823f00", "8220", // an update that is not the first
        "0081ff01ff", // a padding of eight bits
        "008107ff61", "000161841fffffff", "0001618400000000" ++ "ff", // Huffman: EOS as padding, and a rest that is no block
        "00016181ff", "000161817e", // padding alone, padding with a zero
    }) |text| {
        var decoder: Decoder = .init(4096, 4096);
        defer decoder.deinit(std.testing.allocator);
        var sink: Lines = .{};
        const outcome = decoder.decode(std.testing.allocator, unhex(&bytes, text), &sink);
        std.testing.expectError(error.Compression, outcome) catch |err| {
            std.debug.print("{s}\n", .{text});
            return err;
        };
    }
}

test "a smaller table has to be announced by the next block" {
    var decoder: Decoder = .init(4096, 4096);
    defer decoder.deinit(std.testing.allocator);
    var sink: Lines = .{};
    decoder.setLimit(100);
    try std.testing.expectError(error.Compression, decoder.decode(std.testing.allocator, &.{0x82}, &sink));
    try std.testing.expectError(error.Compression, decoder.decode(std.testing.allocator, &.{ 0x3f, 0x46, 0x82 }, &sink));
    try decoder.decode(std.testing.allocator, &.{ 0x20, 0x3f, 0x45, 0x82 }, &sink);
    try decoder.decode(std.testing.allocator, &.{0x82}, &sink);
    try std.testing.expectEqual(@as(u32, 100), decoder.table.size_max);
}

test "what is written is read again, with every size of the table" {
    const allocator = std.testing.allocator;
    var prng: std.Random.DefaultPrng = .init(7541);
    const random = prng.random();
    const long_name = "X-" ++ @as([70]u8, @splat('n'));
    const names = [_][]const u8{ "date", "Server", "x-a", "content-length", "set-cookie", "content-type", "vary", long_name };
    for ([_]u32{ 0, 40, 256, 4096 }) |capacity| {
        var encoder: Encoder = .init(capacity);
        defer encoder.deinit(allocator);
        var decoder: Decoder = .init(4096, 4096);
        defer decoder.deinit(allocator);
        encoder.beginAt(4096);
        for (0..500) |_| {
            if (random.uintLessThan(u8, 10) == 0) {
                const limit = random.uintAtMost(u32, 4096);
                encoder.setLimit(limit);
                decoder.setLimit(limit);
            }
            var block: [8192]u8 = undefined;
            var expected: Lines = .{};
            const status = random.intRangeAtMost(u16, 200, 599);
            var length = encoder.begin(&block, status);
            expected.length += (try std.fmt.bufPrint(expected.room(), ":status: {d}\r\n", .{status})).len;
            for (0..random.uintAtMost(usize, 8)) |_| {
                const name = names[random.uintLessThan(usize, names.len)];
                var text: [700]u8 = undefined;
                const value = text[0..if (random.boolean()) random.uintAtMost(usize, 8) else random.uintAtMost(usize, text.len)];
                if (random.boolean()) random.bytes(value) else @memset(value, 'v');
                length += encoder.add(allocator, block[length..], name, value);
                const line = try std.fmt.bufPrint(expected.room(), "{s}: {s}\r\n", .{ name, value });
                for (line[0..name.len]) |*c| c.* = std.ascii.toLower(c.*);
                expected.length += line.len;
            }
            var sink: Lines = .{};
            try decoder.decode(allocator, block[0..length], &sink);
            try std.testing.expectEqualSlices(u8, expected.slice(), sink.slice());
            try std.testing.expectEqual(encoder.table.size, decoder.table.size);
        }
    }
}

test "what repeats is one byte, and secrets are never indexed" {
    const allocator = std.testing.allocator;
    var encoder: Encoder = .init(4096);
    defer encoder.deinit(allocator);
    var out: [256]u8 = undefined;
    for ([_]usize{ 12, 1, 1 }) |bytes| {
        const length = encoder.add(allocator, &out, "content-type", "text/plain; x");
        try std.testing.expect(length <= bytes);
    }
    _ = encoder.add(allocator, &out, "set-cookie", "a=b");
    try std.testing.expectEqual(@as(u8, 0x1f), out[0]);
    _ = encoder.add(allocator, &out, "content-length", "5");
    try std.testing.expectEqual(@as(u8, 0x0f), out[0]);
}
