//! The static table of RFC 7541 appendix A.
const std = @import("std");

pub const Entry = struct { name: []const u8, value: []const u8 = "" };

pub const count = entries.len;

/// An index of 0 is none.
pub fn at(index: usize) Entry {
    return entries[index - 1];
}

const entries = [_]Entry{
    .{ .name = ":authority" },
    .{ .name = ":method", .value = "GET" },
    .{ .name = ":method", .value = "POST" },
    .{ .name = ":path", .value = "/" },
    .{ .name = ":path", .value = "/index.html" },
    .{ .name = ":scheme", .value = "http" },
    .{ .name = ":scheme", .value = "https" },
    .{ .name = ":status", .value = "200" },
    .{ .name = ":status", .value = "204" },
    .{ .name = ":status", .value = "206" },
    .{ .name = ":status", .value = "304" },
    .{ .name = ":status", .value = "400" },
    .{ .name = ":status", .value = "404" },
    .{ .name = ":status", .value = "500" },
    .{ .name = "accept-charset" },
    .{ .name = "accept-encoding", .value = "gzip, deflate" },
    .{ .name = "accept-language" },
    .{ .name = "accept-ranges" },
    .{ .name = "accept" },
    .{ .name = "access-control-allow-origin" },
    .{ .name = "age" },
    .{ .name = "allow" },
    .{ .name = "authorization" },
    .{ .name = "cache-control" },
    .{ .name = "content-disposition" },
    .{ .name = "content-encoding" },
    .{ .name = "content-language" },
    .{ .name = "content-length" },
    .{ .name = "content-location" },
    .{ .name = "content-range" },
    .{ .name = "content-type" },
    .{ .name = "cookie" },
    .{ .name = "date" },
    .{ .name = "etag" },
    .{ .name = "expect" },
    .{ .name = "expires" },
    .{ .name = "from" },
    .{ .name = "host" },
    .{ .name = "if-match" },
    .{ .name = "if-modified-since" },
    .{ .name = "if-none-match" },
    .{ .name = "if-range" },
    .{ .name = "if-unmodified-since" },
    .{ .name = "last-modified" },
    .{ .name = "link" },
    .{ .name = "location" },
    .{ .name = "max-forwards" },
    .{ .name = "proxy-authenticate" },
    .{ .name = "proxy-authorization" },
    .{ .name = "range" },
    .{ .name = "referer" },
    .{ .name = "refresh" },
    .{ .name = "retry-after" },
    .{ .name = "server" },
    .{ .name = "set-cookie" },
    .{ .name = "strict-transport-security" },
    .{ .name = "transfer-encoding" },
    .{ .name = "user-agent" },
    .{ .name = "vary" },
    .{ .name = "via" },
    .{ .name = "www-authenticate" },
};

/// Of the entry that has this status, or 0.
pub fn ofStatus(status: u16) u8 {
    return switch (status) {
        200 => 8,
        204 => 9,
        206 => 10,
        304 => 11,
        400 => 12,
        404 => 13,
        500 => 14,
        else => 0,
    };
}

pub const status_index = 8;

/// Indexes of names with the same hash.
const Bucket = [2]u8;
const bucket_count = 64;
const buckets: [bucket_count]Bucket = build: {
    @setEvalBranchQuota(100_000);
    var table: [bucket_count]Bucket = @splat(@splat(0));
    for (entries, 1..) |entry, index| {
        if (entry.name[0] == ':') continue;
        const bucket = &table[bucketOf(entry.name)];
        for (bucket) |*slot| {
            if (slot.* != 0) continue;
            slot.* = index;
            break;
        } else @compileError("a bucket is too small");
    }
    break :build table;
};

fn bucketOf(name: []const u8) usize {
    return (name.len +% 2 * @as(usize, name[0]) +% 7 * @as(usize, name[name.len - 1])) % bucket_count;
}

/// The index of a field's name in lower case, no pseudo-header field; 0 where it is not in the table.
pub fn ofName(name: []const u8) u8 {
    for (buckets[bucketOf(name)]) |index| {
        if (index == 0) return 0;
        if (std.mem.eql(u8, at(index).name, name)) return index;
    }
    return 0;
}

test "every name is found, and no other" {
    for (entries, 1..) |entry, index| {
        if (entry.name[0] == ':') continue;
        try std.testing.expectEqual(index, ofName(entry.name));
    }
    for ([_][]const u8{ "x", "datf", "content-lengtg", "te", "" ++ "priority" }) |name|
        try std.testing.expectEqual(@as(u8, 0), ofName(name));
    try std.testing.expectEqual(@as(usize, 61), count);
}
