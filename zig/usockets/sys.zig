//! The system calls of this layer, through libc: errors are read from errno by the caller that can act on them.
//!
//! What systems have in common stands here, by its names; what they do not is in sys_linux.zig and sys_darwin.zig. What only a
//! backend uses is not repeated.
const std = @import("std");
const builtin = @import("builtin");

pub const is_linux = builtin.os.tag == .linux;

/// What this system has of its own.
pub const system = switch (builtin.os.tag) {
    .linux => @import("sys_linux.zig"),
    .macos => @import("sys_darwin.zig"),
    else => @compileError("there is no backend for this system"),
};

pub const Errno = system.Errno;

pub const af_unix: c_int = 1;
pub const af_inet: c_int = 2;
pub const af_inet6 = system.af_inet6;
pub const sock_stream: c_int = 1;
pub const sock_dgram: c_int = 2;
pub const sol_socket = system.sol_socket;
pub const so_reuseaddr = system.so_reuseaddr;
pub const so_reuseport = system.so_reuseport;
pub const so_acceptconn = system.so_acceptconn;
pub const so_keepalive = system.so_keepalive;
pub const so_sndbuf = system.so_sndbuf;
pub const so_rcvbuf = system.so_rcvbuf;
pub const ipproto_tcp: c_int = 6;
pub const tcp_keepidle = system.tcp_keepidle;
pub const tcp_keepintvl = system.tcp_keepintvl;
pub const tcp_keepcnt = system.tcp_keepcnt;
pub const tcp_nodelay: c_int = 1;
pub const ipproto_ipv6: c_int = 41;
pub const ipv6_v6only = system.ipv6_v6only;
pub const ai_passive: c_int = 1;

pub const msg_nosignal = system.msg_nosignal;
pub const msg_more = system.msg_more;
pub const msg_dontwait = system.msg_dontwait;
pub const msg_peek: c_int = 2;
pub const msg_waitall = system.msg_waitall;

pub const nonblock = system.nonblock;
pub const f_getfl: c_int = 3;
pub const f_setfl: c_int = 4;
pub const f_dupfd_cloexec = system.f_dupfd_cloexec;
pub const rlimit_nofile = system.rlimit_nofile;
/// Of a Unix-domain socket, without the NUL behind it.
pub const unix_path_max = system.unix_path_max;

/// How many bytes can be read.
pub const fionread = system.fionread;

pub const shut_rd: c_int = 0;
pub const shut_wr: c_int = 1;
pub const shut_rdwr: c_int = 2;

pub const pollin: c_short = 1;

pub const Pollfd = extern struct { fd: c_int, events: c_short, revents: c_short = 0 };
const NumberOfPolls = if (is_linux) c_ulong else c_uint;
pub const Timespec = system.Timespec;
pub const Iovec = extern struct { base: [*]const u8, len: usize };
pub const Msghdr = system.Msghdr;
pub const Addrinfo = system.Addrinfo;

/// Large enough for every address family this layer uses.
pub const SockaddrStorage = extern struct {
    begin: system.Family align(8) = .of(0),
    data: [126]u8 = @splat(0),

    pub fn of(address_family: c_int) SockaddrStorage {
        return .{ .begin = .of(address_family) };
    }

    pub fn family(storage: *const SockaddrStorage) c_int {
        return storage.begin.family;
    }
};

pub extern "c" fn getpid() c_int;
pub extern "c" fn poll(fds: [*]Pollfd, count: NumberOfPolls, timeout_ms: c_int) c_int;
pub extern "c" fn clock_gettime(clock: c_int, time: *Timespec) c_int;
pub extern "c" fn read(fd: c_int, data: [*]u8, len: usize) isize;
pub extern "c" fn write(fd: c_int, data: [*]const u8, len: usize) isize;
pub extern "c" fn recv(fd: c_int, data: ?[*]u8, len: usize, flags: c_int) isize;
pub extern "c" fn send(fd: c_int, data: [*]const u8, len: usize, flags: c_int) isize;
pub extern "c" fn sendmsg(fd: c_int, message: *const Msghdr, flags: c_int) isize;
pub extern "c" fn bind(fd: c_int, address: *const anyopaque, len: u32) c_int;
pub extern "c" fn listen(fd: c_int, backlog: c_int) c_int;
pub extern "c" fn connect(fd: c_int, address: *const anyopaque, len: u32) c_int;
pub extern "c" fn setsockopt(fd: c_int, level: c_int, name: c_int, value: *const anyopaque, len: u32) c_int;
pub extern "c" fn getsockopt(fd: c_int, level: c_int, name: c_int, value: *anyopaque, len: *u32) c_int;
pub extern "c" fn getsockname(fd: c_int, address: *anyopaque, len: *u32) c_int;
pub extern "c" fn getpeername(fd: c_int, address: *anyopaque, len: *u32) c_int;
pub extern "c" fn getaddrinfo(host: ?[*:0]const u8, service: ?[*:0]const u8, hints: *const Addrinfo, out: *?*Addrinfo) c_int;
pub extern "c" fn freeaddrinfo(list: *Addrinfo) void;
pub extern "c" fn shutdown(fd: c_int, how: c_int) c_int;
pub extern "c" fn close(fd: c_int) c_int;
/// Variadic, as its arguments are passed in another way on Apple's arm64.
pub extern "c" fn ioctl(fd: c_int, request: c_ulong, ...) c_int;
pub extern "c" fn fcntl(fd: c_int, command: c_int, ...) c_int;
pub extern "c" fn unlink(path: [*:0]const u8) c_int;
pub extern "c" fn getenv(name: [*:0]const u8) ?[*:0]const u8;
pub extern "c" fn calloc(count: usize, size: usize) ?*anyopaque;
pub extern "c" fn free(memory: ?*anyopaque) void;

/// That does not block, is not inherited by programs, and raises no signal.
pub const openSocket = system.openSocket;
/// As clients of tests have them.
pub const openBlockingSocket = system.openBlockingSocket;
/// The next connection of a listener, as `openSocket` makes sockets.
pub const acceptSocket = system.acceptSocket;
pub const backlogOf = system.backlogOf;

/// What getaddrinfo found, as a number below 0: some systems have EAI_* above it, as errno is.
pub fn resolverError(code: c_int) c_int {
    return -@as(c_int, @intCast(@abs(code)));
}

/// Whether something can be read within so many milliseconds.
pub fn isReadable(fd: c_int, timeout_ms: c_int) bool {
    var fds = [_]Pollfd{.{ .fd = fd, .events = pollin }};
    return poll(&fds, 1, timeout_ms) > 0;
}

pub fn sleepMs(ms: c_int) void {
    var none: [0]Pollfd = .{};
    _ = poll(&none, 0, ms);
}

pub fn errno() Errno {
    return @fromBackingInt(@intCast(std.c._errno().*));
}

pub fn errnoValue() c_int {
    return std.c._errno().*;
}

pub fn setErrno(code: c_int) void {
    std.c._errno().* = code;
}

/// Zeroed memory for a struct and `extra` bytes behind it, aligned to 16 as every extension must be.
pub fn create(comptime T: type, extra: usize) ?*T {
    const memory = calloc(1, extOffset(T) + extra) orelse return null;
    return @ptrCast(@alignCast(memory));
}

pub fn extOffset(comptime T: type) usize {
    return std.mem.alignForward(usize, @sizeOf(T), 16);
}

/// What lies behind a struct that `create` made.
pub fn extOf(comptime T: type, object: *T) *anyopaque {
    return @ptrFromInt(@intFromPtr(object) + extOffset(T));
}

/// Seconds of the monotonic clock, plus one so that no tick is zero.
pub fn monotonicTick() u32 {
    var now: Timespec = undefined;
    std.debug.assert(clock_gettime(system.quick_clock, &now) == 0);
    return @intCast(now.sec + 1);
}

pub fn monotonicMs() i64 {
    var now: Timespec = undefined;
    std.debug.assert(clock_gettime(system.quick_clock, &now) == 0);
    return @as(i64, now.sec) * 1000 + @divTrunc(now.nsec, 1_000_000);
}
