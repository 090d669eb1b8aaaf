//! What layer 2 makes of heads and chunked bodies, message by message.
const std = @import("std");
const head_module = @import("head.zig");
const chunked = @import("chunked.zig");
const Head = head_module.Head;
const Limits = head_module.Limits;
const Text = head_module.Text;
const expectEqual = std.testing.expectEqual;
const expectEqualStrings = std.testing.expectEqualStrings;

const limits: Limits = .{
    .max_request_line = 8192,
    .max_header_bytes = 16384,
    .max_header_count = 100,
    .max_chunk_extension_bytes = 64,
    .max_trailer_bytes = 64,
    .proxy_mode = 0,
    .max_body = 1 << 30,
};

fn parse(buffer: []u8, text: []const u8, head: *Head) i32 {
    @memcpy(buffer[0..text.len], text);
    return head_module.parse(buffer[0..text.len], &limits, head);
}

fn outcome(text: []const u8) i32 {
    var buffer: [32768]u8 = undefined;
    var head: Head = undefined;
    return parse(&buffer, text, &head);
}

test "a request's parts are found and trimmed, and names are lowered" {
    var buffer: [512]u8 = undefined;
    var head: Head = undefined;
    const text = "GET /a/b?c=d HTTP/1.1\r\nHost: example.org\r\nX-Name: \t value here \r\nConnection: Keep-Alive, close\r\n\r\n";
    try expectEqual(@as(i32, text.len), parse(&buffer, text ++ "rest", &head));
    try expectEqualStrings("GET", head.method.slice());
    try expectEqualStrings("/a/b?c=d", head.target.slice());
    try expectEqualStrings("x-name", head.fields[1].name.slice());
    try expectEqualStrings("value here", head.fields[1].value.slice());
    try expectEqual(true, head.close);
}

const refused = [_]struct { code: i32, text: []const u8 }{
    .{ .code = 1, .text = "GET / HTTP/1.1\r\n\r\n" },
    .{ .code = 1, .text = "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n" },
    .{ .code = 1, .text = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n" },
    .{ .code = 1, .text = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n" },
    .{ .code = 1, .text = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n" },
    .{ .code = 1, .text = "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n" },
    .{ .code = 5, .text = "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n" },
    .{ .code = 5, .text = "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n" },
    .{ .code = 1, .text = "GET / HTTP/1.1\r\nHost: a\r\nName : value\r\n\r\n" },
    .{ .code = 1, .text = "GET / HTTP/1.1\r\nHost: a\r\nName: value\r\n folded\r\n\r\n" },
    .{ .code = 1, .text = "GET / HTTP/1.1\r\nHost: a\r\n: value\r\n\r\n" },
    .{ .code = 1, .text = "GET / HTTP/1.1\r\nHost: a\r\nNa(me: value\r\n\r\n" },
    .{ .code = 1, .text = "GET / HTTP/1.1\r\nHost: a\r\nName: va\x00lue\r\n\r\n" },
    .{ .code = 1, .text = "GET / HTTP/1.1\nHost: a\n\n" },
    .{ .code = 1, .text = "GET  / HTTP/1.1\r\nHost: a\r\n\r\n" },
    .{ .code = 1, .text = "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n" },
    .{ .code = 1, .text = "GET * HTTP/1.1\r\nHost: a\r\n\r\n" },
    .{ .code = 1, .text = "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n" },
    .{ .code = 1, .text = "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n" },
    .{ .code = 1, .text = "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n" },
    // A method that never ends must not be kept for ever.
    .{ .code = 1, .text = &@as([64]u8, @splat('A')) },
    .{ .code = 6, .text = "GET / HTTP/2.0\r\nHost: a\r\n\r\n" },
    .{ .code = 1, .text = "GET / HTTP/1.1\r\nHost: [::g]\r\n\r\n" },
    .{ .code = 1, .text = "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n" },
    .{ .code = 1, .text = "CONNECT a: HTTP/1.1\r\nHost: a\r\n\r\n" },
    .{ .code = 1, .text = "CONNECT * HTTP/1.1\r\nHost: a\r\n\r\n" },
    .{ .code = 1, .text = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 05\r\n\r\n" },
    .{ .code = 1, .text = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5,\r\n\r\n" },
    .{ .code = 7, .text = "GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n" },
    .{ .code = 7, .text = "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, tea\r\n\r\n" },
    .{ .code = 4, .text = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n" },
    .{ .code = 3, .text = "GET /" ++ @as([9000]u8, @splat('a')) ++ " HTTP/1.1\r\nHost: a\r\n\r\n" },
    .{ .code = 2, .text = "GET / HTTP/1.1\r\nHost: a\r\nX: " ++ @as([17000]u8, @splat('a')) ++ "\r\n\r\n" },
};

test "what RFC 9112 forbids is refused with its status" {
    for (refused) |each| {
        expectEqual(-each.code, outcome(each.text)) catch |err| {
            std.debug.print("{s}\n", .{each.text[0..@min(each.text.len, 100)]});
            return err;
        };
    }
}

test "valid requests of every form are accepted" {
    for ([_][]const u8{
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        "PURGE / HTTP/1.1\r\nHost:\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n",
        "POST / HTTP/1.0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: [::1]\r\nExpect:\r\n\r\n",
    }) |text| try expectEqual(@as(i32, @intCast(text.len)), outcome(text));
}

test "lengths that say the same are handed on as one" {
    for ([_][]const u8{
        "Content-Length: 9, 9\r\nA: b\r\n",
        "Content-Length: 9\r\nA: b\r\nContent-Length: 9\r\n",
        "Content-Length: 9 ,9\r\nContent-Length: 9\r\nA: b\r\nContent-Length:9,9\r\n",
    }) |lines| {
        var buffer: [512]u8 = undefined;
        var text: [256]u8 = undefined;
        var head: Head = undefined;
        const request = try std.fmt.bufPrint(&text, "POST / HTTP/1.1\r\nHost: a\r\n{s}\r\n", .{lines});
        try expectEqual(@as(i32, @intCast(request.len)), parse(&buffer, request, &head));
        try expectEqual(@as(u64, 9), head.content_length);
        try expectEqual(@as(u32, 3), head.field_count);
        try expectEqualStrings("9", head.fields[1].value.slice());
        try expectEqualStrings("a", head.fields[2].name.slice());
    }
}

test "absolute-form gives the path and replaces Host" {
    var buffer: [512]u8 = undefined;
    var head: Head = undefined;
    for ([_][2][]const u8{ .{ "http://b:80/x?y", "/x?y" }, .{ "http://b:80", "/" }, .{ "http://b:80?y", "/?y" } }) |each| {
        var text: [256]u8 = undefined;
        const request = try std.fmt.bufPrint(&text, "GET {s} HTTP/1.1\r\nHost: a\r\n\r\n", .{each[0]});
        try expectEqual(@as(i32, @intCast(request.len)), parse(&buffer, request, &head));
        try expectEqualStrings(each[1], head.target.slice());
        try expectEqualStrings("b:80", head.fields[0].value.slice());
        try expectEqualStrings("http://b:80", head.origin.slice());
        try expectEqual(each[0].len != "http://b:80/x?y".len, head.slash_added);
        try expectEqualStrings("host: a\r\n", head.field_lines.slice());
    }
}

test "every proper prefix of a valid head is incomplete" {
    const text = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n";
    for (0..text.len) |length| try expectEqual(@as(i32, 0), outcome(text[0..length]));
    try expectEqual(@as(i32, text.len), outcome(text));
}

fn decode(pieces: []const []const u8, out: []u8) !?[]u8 {
    var decoder: chunked.Decoder = .{};
    var length: usize = 0;
    for (pieces) |piece| {
        var copy: [512]u8 = undefined;
        @memcpy(copy[0..piece.len], piece);
        var input: Text = .from(copy[0..piece.len]);
        while (true) {
            var data: Text = undefined;
            switch (try chunked.step(&decoder, &input, &limits, &data)) {
                .more => break,
                .end => return out[0..length],
                .data => {
                    @memcpy(out[length..][0..data.len], data.slice());
                    length += data.len;
                },
            }
        }
    }
    return null;
}

test "a chunked body is the same in every fragmentation" {
    const text = "5;ext=\"v\"\r\nhello\r\n0000000000000000000B\r\n, the world\r\n0\r\nTrailer: x\r\n\r\n";
    var out: [64]u8 = undefined;
    for (0..text.len) |split| {
        const body = try decode(&.{ text[0..split], text[split..] }, &out);
        try expectEqualStrings("hello, the world", body.?);
    }
}

test "malformed chunks are refused" {
    var out: [64]u8 = undefined;
    for ([_][]const u8{
        "5\nhello\r\n0\r\n\r\n", "5\r\nhelloX\r\n0\r\n\r\n", "x\r\n",            "\r\n",
        "-1\r\n",                "5\r\nhello\n0\r\n\r\n",    "0\r\n bad\r\n",    "fffffffffffffffff\r\n",
        "1000000000000000\r\n",  &@as([65]u8, @splat('0')),  "0x5\r\nhello\r\n", "0\r\nno colon\r\n\r\n",
        "0\r\nnocolon\r\n",
    }) |text| try std.testing.expectError(error.BadRequest, decode(&.{text}, &out));
}
