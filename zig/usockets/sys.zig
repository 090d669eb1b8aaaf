//! The system calls of this layer, through libc: errors are read from errno by the caller that can act on them.
const std = @import("std");
const linux = std.os.linux;

pub const EpollEvent = linux.epoll_event;

pub const epollin: u32 = 0x1;
pub const epollout: u32 = 0x4;
pub const epollerr: u32 = 0x8;
pub const epollhup: u32 = 0x10;
pub const epollrdhup: u32 = 0x2000;

pub const epoll_ctl_add: c_int = 1;
pub const epoll_ctl_del: c_int = 2;
pub const epoll_ctl_mod: c_int = 3;

/// O_CLOEXEC, which is EPOLL_CLOEXEC, EFD_CLOEXEC, TFD_CLOEXEC and SOCK_CLOEXEC too.
pub const cloexec: c_int = 0o2000000;
/// O_NONBLOCK, likewise.
pub const nonblock: c_int = 0o4000;

pub const af_unix: c_int = 1;
pub const af_inet: c_int = 2;
pub const af_inet6: c_int = 10;
pub const sock_stream: c_int = 1;
pub const sol_socket: c_int = 1;
pub const so_reuseaddr: c_int = 2;
pub const so_reuseport: c_int = 15;
pub const so_acceptconn: c_int = 30;
pub const so_keepalive: c_int = 9;
pub const ipproto_tcp: c_int = 6;
pub const tcp_keepidle: c_int = 4;
pub const tcp_keepintvl: c_int = 5;
pub const tcp_keepcnt: c_int = 6;
pub const tcp_nodelay: c_int = 1;
pub const tcp_info: c_int = 11;
pub const ipproto_ipv6: c_int = 41;
pub const ipv6_v6only: c_int = 26;
pub const ai_passive: c_int = 1;

pub const msg_nosignal: c_int = 0x4000;
pub const msg_more: c_int = 0x8000;
pub const msg_dontwait: c_int = 0x40;
pub const msg_trunc: c_int = 0x20;
pub const msg_peek: c_int = 2;
pub const msg_waitall: c_int = 0x100;

/// How many bytes can be read.
pub const fionread: c_ulong = 0x541B;

pub const shut_rd: c_int = 0;
pub const shut_wr: c_int = 1;
pub const shut_rdwr: c_int = 2;

pub const clock_monotonic: c_int = 1;
pub const clock_monotonic_coarse: c_int = 6;

pub const prot_read: c_int = 1;
pub const prot_write: c_int = 2;
pub const map_private: c_int = 0x02;
pub const map_anonymous: c_int = 0x20;
pub const map_failed: *anyopaque = @ptrFromInt(std.math.maxInt(usize));
pub const madv_wipeonfork: c_int = 18;

pub const Pollfd = extern struct { fd: c_int, events: c_short, revents: c_short = 0 };
pub const Timespec = extern struct { sec: isize, nsec: isize };
pub const Itimerspec = extern struct { interval: Timespec, value: Timespec };
pub const Iovec = extern struct { base: [*]const u8, len: usize };
pub const Msghdr = extern struct {
    name: ?*anyopaque = null,
    namelen: u32 = 0,
    iov: [*]const Iovec,
    iovlen: usize,
    control: ?*anyopaque = null,
    controllen: usize = 0,
    flags: c_int = 0,
};
pub const Addrinfo = extern struct {
    flags: c_int = 0,
    family: c_int = 0,
    socktype: c_int = 0,
    protocol: c_int = 0,
    addrlen: u32 = 0,
    addr: ?*anyopaque = null,
    canonname: ?[*:0]u8 = null,
    next: ?*Addrinfo = null,
};

/// Large enough for every address family this layer uses.
pub const SockaddrStorage = extern struct {
    family: u16 align(8) = 0,
    data: [126]u8 = @splat(0),
};

pub extern "c" fn epoll_create1(flags: c_int) c_int;
pub extern "c" fn getpid() c_int;
pub extern "c" fn epoll_ctl(epfd: c_int, op: c_int, fd: c_int, event: ?*EpollEvent) c_int;
pub extern "c" fn epoll_wait(epfd: c_int, events: [*]EpollEvent, count: c_int, timeout_ms: c_int) c_int;
pub extern "c" fn poll(fds: *Pollfd, count: c_ulong, timeout_ms: c_int) c_int;
pub extern "c" fn eventfd(initial: c_uint, flags: c_int) c_int;
pub extern "c" fn timerfd_create(clock: c_int, flags: c_int) c_int;
pub extern "c" fn timerfd_settime(fd: c_int, flags: c_int, new: *const Itimerspec, old: ?*Itimerspec) c_int;
pub extern "c" fn clock_gettime(clock: c_int, time: *Timespec) c_int;
pub extern "c" fn read(fd: c_int, data: [*]u8, len: usize) isize;
pub extern "c" fn write(fd: c_int, data: [*]const u8, len: usize) isize;
pub extern "c" fn recv(fd: c_int, data: ?[*]u8, len: usize, flags: c_int) isize;
pub extern "c" fn send(fd: c_int, data: [*]const u8, len: usize, flags: c_int) isize;
pub extern "c" fn sendmsg(fd: c_int, message: *const Msghdr, flags: c_int) isize;
pub extern "c" fn socket(family: c_int, kind: c_int, protocol: c_int) c_int;
pub extern "c" fn bind(fd: c_int, address: *const anyopaque, len: u32) c_int;
pub extern "c" fn listen(fd: c_int, backlog: c_int) c_int;
pub extern "c" fn connect(fd: c_int, address: *const anyopaque, len: u32) c_int;
pub extern "c" fn accept4(fd: c_int, address: ?*anyopaque, len: ?*u32, flags: c_int) c_int;
pub extern "c" fn setsockopt(fd: c_int, level: c_int, name: c_int, value: *const anyopaque, len: u32) c_int;
pub extern "c" fn getsockopt(fd: c_int, level: c_int, name: c_int, value: *anyopaque, len: *u32) c_int;
pub extern "c" fn getsockname(fd: c_int, address: *anyopaque, len: *u32) c_int;
pub extern "c" fn getpeername(fd: c_int, address: *anyopaque, len: *u32) c_int;
pub extern "c" fn getaddrinfo(host: ?[*:0]const u8, service: ?[*:0]const u8, hints: *const Addrinfo, out: *?*Addrinfo) c_int;
pub extern "c" fn freeaddrinfo(list: *Addrinfo) void;
pub extern "c" fn shutdown(fd: c_int, how: c_int) c_int;
pub extern "c" fn close(fd: c_int) c_int;
pub extern "c" fn ioctl(fd: c_int, request: c_ulong, out: *c_int) c_int;
pub extern "c" fn fcntl(fd: c_int, command: c_int, ...) c_int;
pub extern "c" fn unlink(path: [*:0]const u8) c_int;
pub extern "c" fn getenv(name: [*:0]const u8) ?[*:0]const u8;
pub extern "c" fn mmap(address: ?*anyopaque, len: usize, protection: c_int, flags: c_int, fd: c_int, offset: i64) *anyopaque;
pub extern "c" fn munmap(address: *anyopaque, len: usize) c_int;
pub extern "c" fn madvise(address: *anyopaque, len: usize, advice: c_int) c_int;
pub extern "c" fn calloc(count: usize, size: usize) ?*anyopaque;
pub extern "c" fn free(memory: ?*anyopaque) void;

pub const Errno = linux.E;

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
    std.debug.assert(clock_gettime(clock_monotonic_coarse, &now) == 0);
    return @intCast(now.sec + 1);
}

pub fn monotonicMs() i64 {
    var now: Timespec = undefined;
    std.debug.assert(clock_gettime(clock_monotonic_coarse, &now) == 0);
    return @as(i64, now.sec) * 1000 + @divTrunc(now.nsec, 1_000_000);
}
