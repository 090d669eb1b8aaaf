//! What of TLS needs no OpenSSL.
const std = @import("std");
const builtin = @import("builtin");
const sys = @import("sys.zig");
const chooseProtocol = @import("tls_server.zig").chooseProtocol;
const Protocols = @import("context.zig").Protocols;
const hostName = @import("tls_server.zig").hostName;
const name_bytes_max = @import("tls_server.zig").name_bytes_max;
const Pending = @import("pending.zig").Pending;
const pending_max = @import("tls_session.zig").pending_max;
const library = @import("tls_library.zig");
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const expectEqualStrings = std.testing.expectEqualStrings;

test "the name in a server_name extension" {
    var buffer: [name_bytes_max]u8 = undefined;
    try expectEqualStrings("a.example.org", hostName("\x00\x10\x00\x00\x0dA.Example.ORG", &buffer).?);
    try expectEqualStrings("a.b", hostName("\x00\x07\x00\x00\x04a.b.", &buffer).?);
    const short = [_][]const u8{ "", "\x00", "\x00\x03\x00\x00\x00" };
    const wrong = [_][]const u8{ "\x00\x04\x01\x00\x01a", "\x00\x04\x00\x00\x02a", "\x00\x04\x00\xff\xffa" };
    for (short ++ wrong) |bad|
        try expect(hostName(bad, &buffer) == null);
    var too_long: [5 + 254]u8 = @splat('a');
    @memcpy(too_long[0..5], "\x01\x01\x00\x00\xfe");
    try expect(hostName(&too_long, &buffer) == null);
    too_long[4] = 0xfd;
    try expectEqual(@as(usize, 253), hostName(&too_long, &buffer).?.len);
}

test "the protocol that is chosen" {
    const longest: [256]u8 = @splat(255);
    const both: Protocols = .{ .http_2 = true };
    try expectEqualStrings("http/1.1", chooseProtocol("\x02h2\x08http/1.1", .{}).?);
    try expectEqualStrings("h2", chooseProtocol("\x02h2\x08http/1.1", both).?);
    try expectEqualStrings("h2", chooseProtocol("\x08http/1.1\x02h2", both).?);
    try expectEqualStrings("http/1.1", chooseProtocol("\x03h2c\x08http/1.1", both).?);
    try expectEqualStrings("http/1.1", chooseProtocol(longest ++ "\x08http/1.1", .{}).?);
    try expect(chooseProtocol("\x08http/1.1", .{ .http_1_1 = false, .http_2 = true }) == null);
    for ([_][]const u8{ "", "\x00", "\x02h2", "\x09http/1.1", "\x08http/1.0", &longest, longest[0..255], "\xff" }) |other|
        try expect(chooseProtocol(other, .{}) == null);
}

test "no library, and one that is none" {
    try expectEqual(library.LoadResult.absent, library.load("/nowhere/libssl.so.3"));
    // A program that is linked whole can load nothing.
    const result: library.LoadResult = if (builtin.link_mode == .static) .absent else .too_old;
    try expectEqual(result, library.load(if (sys.is_linux) "libc.so.6" else "libSystem.B.dylib"));
    try expect(!library.isLoaded());
}

extern "c" fn socketpair(family: c_int, kind: c_int, protocol: c_int, fds: *[2]c_int) c_int;

test "ciphertext that waits leaves in order, and a broken connection is reported" {
    var fds: [2]c_int = undefined;
    try expectEqual(@as(c_int, 0), socketpair(sys.af_unix, sys.sock_stream, 0, &fds));
    for (fds) |fd| _ = sys.fcntl(fd, sys.f_setfl, sys.nonblock);
    var pending: Pending = .{};
    defer pending.free();
    try pending.append("one ");
    try pending.append("two");
    try expect(pending.flush(fds[0]));
    try expect(pending.isEmpty());
    var buffer: [16]u8 = undefined;
    try expectEqual(@as(isize, 7), sys.recv(fds[1], &buffer, buffer.len, 0));
    try expectEqualStrings("one two", buffer[0..7]);
    const big: [pending_max]u8 = @splat('x');
    // Until the kernel has no room.
    while (pending.isEmpty()) {
        try pending.appendWithin(&big, pending_max);
        try expect(pending.flush(fds[0]));
    }
    try std.testing.expectError(error.TooMuch, pending.appendWithin(&big, pending_max));
    _ = sys.close(fds[1]);
    try expect(!pending.flush(fds[0]));
    _ = sys.close(fds[0]);
}
