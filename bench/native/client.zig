//! What the load clients share: words of the command line, connections, the clock.
const std = @import("std");
const sys = @import("sys");
const linux = sys.system;

/// EPOLLIN and EPOLLOUT.
pub const readable: u32 = 0x1;
pub const writable: u32 = 0x4;

pub const Failure = error{
    Usage,
    CannotConnect,
    HandshakeRefused,
    ConnectionLost,
    UnexpectedAnswer,
    UnexpectedFrame,
    NoMemory,
    NoDescriptor,
};

/// The words of the command line behind the program's name.
pub const Words = struct {
    rest: std.process.Args.Iterator,

    pub fn init(args: std.process.Args) Words {
        var rest = args.iterate();
        _ = rest.skip();
        return .{ .rest = rest };
    }

    pub fn text(words: *Words) Failure![:0]const u8 {
        return words.rest.next() orelse error.Usage;
    }

    /// A decimal number within its limits.
    pub fn number(words: *Words, comptime T: type, least: T, most: T) Failure!T {
        const value = std.fmt.parseInt(T, try words.text(), 10) catch return error.Usage;
        if (value < least or value > most) return error.Usage;
        return value;
    }

    pub fn port(words: *Words) Failure!u16 {
        return words.number(u16, 1, std.math.maxInt(u16));
    }

    pub fn end(words: *Words) Failure!void {
        if (words.rest.next() != null) return error.Usage;
    }
};

/// An epoll set.
pub fn newSet() Failure!c_int {
    const fd = linux.epoll_create1(linux.cloexec);
    return if (fd < 0) error.NoDescriptor else fd;
}

/// A blocking connection to this machine, without Nagle's delay.
pub fn connect(port: u16) Failure!c_int {
    const fd = sys.openBlockingSocket(sys.af_inet, sys.sock_stream);
    if (fd < 0) return error.NoDescriptor;
    const Address = extern struct { family: u16, port: u16, address: [4]u8, zero: [8]u8 = @splat(0) };
    const address: Address = .{
        .family = sys.af_inet,
        .port = std.mem.nativeToBig(u16, port),
        .address = .{ 127, 0, 0, 1 },
    };
    if (sys.connect(fd, &address, @sizeOf(Address)) != 0) return error.CannotConnect;
    const on: c_int = 1;
    _ = sys.setsockopt(fd, sys.ipproto_tcp, sys.tcp_nodelay, &on, @sizeOf(c_int));
    return fd;
}

/// From now on nothing waits for the connection but the epoll set; its events carry the pointer.
pub fn join(epoll_fd: c_int, fd: c_int, pointer: *anyopaque) Failure!void {
    const set_flags = 4;
    if (sys.fcntl(fd, set_flags, sys.nonblock) != 0) return error.NoDescriptor;
    try watch(epoll_fd, linux.epoll_ctl_add, fd, readable, pointer);
}

/// Adds or modifies what an epoll set waits for; the events carry the pointer.
pub fn watch(epoll_fd: c_int, operation: c_int, fd: c_int, events: u32, pointer: *anyopaque) Failure!void {
    var event: linux.EpollEvent = .{ .events = events, .data = .{ .ptr = @intFromPtr(pointer) } };
    if (linux.epoll_ctl(epoll_fd, operation, fd, &event) != 0) return error.NoDescriptor;
}

pub fn nowNs() u64 {
    var now: sys.Timespec = undefined;
    std.debug.assert(sys.clock_gettime(linux.clock_monotonic, &now) == 0);
    return @as(u64, @intCast(now.sec)) * std.time.ns_per_s + @as(u64, @intCast(now.nsec));
}

pub fn say(fd: c_int, text: []const u8) void {
    _ = sys.write(fd, text.ptr, text.len);
}

/// Says that all is connected, and waits until the harness has noted what the server had cost before.
pub fn awaitStart() void {
    say(1, "ready\n");
    awaitLine();
}

/// Says the result, and keeps the connections until the harness has noted what the server has cost.
pub fn finish(result: []const u8) void {
    say(1, result);
    awaitLine();
}

/// Waits for a line, or the end, of the standard input.
fn awaitLine() void {
    var byte: [1]u8 = undefined;
    while (sys.read(0, &byte, 1) == 1) if (byte[0] == '\n') return;
}

/// Tells what went wrong and how the program is used; returns its exit status.
pub fn fail(comptime name: []const u8, failure: Failure, comptime usage: []const u8) u8 {
    say(2, name ++ ": ");
    say(2, @errorName(failure));
    say(2, "\nusage: " ++ name ++ " " ++ usage ++ "\n");
    return 1;
}
