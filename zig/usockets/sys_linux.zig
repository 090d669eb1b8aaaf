//! What Linux has of its own: constants, layouts, and calls that no other system knows.
const std = @import("std");
const linux = std.os.linux;
const sys = @import("sys.zig");

pub const Errno = linux.E;

/// O_CLOEXEC, which is EPOLL_CLOEXEC, EFD_CLOEXEC, TFD_CLOEXEC and SOCK_CLOEXEC too.
pub const cloexec: c_int = 0o2000000;
/// O_NONBLOCK, likewise.
pub const nonblock: c_int = 0o4000;

pub const af_inet6: c_int = 10;
pub const sol_socket: c_int = 1;
pub const so_reuseaddr: c_int = 2;
pub const so_reuseport: c_int = 15;
pub const so_acceptconn: c_int = 30;
pub const so_keepalive: c_int = 9;
pub const so_sndbuf: c_int = 7;
pub const so_rcvbuf: c_int = 8;
pub const tcp_keepidle: c_int = 4;
pub const tcp_keepintvl: c_int = 5;
pub const tcp_keepcnt: c_int = 6;
pub const ipv6_v6only: c_int = 26;

pub const msg_nosignal: c_int = 0x4000;
pub const msg_more: c_int = 0x8000;
pub const msg_dontwait: c_int = 0x40;
pub const msg_trunc: c_int = 0x20;
pub const msg_waitall: c_int = 0x100;

pub const fionread: c_ulong = linux.T.FIONREAD;
pub const f_dupfd_cloexec: c_int = 1030;
pub const rlimit_nofile: c_int = 7;

pub const unix_path_max = 107;

/// Read from memory, and as old as the last tick of the kernel.
pub const quick_clock: c_int = 6;

pub const prot_read: c_int = 1;
pub const prot_write: c_int = 2;
pub const map_private: c_int = 0x02;
pub const map_anonymous: c_int = 0x20;
pub const map_failed: *anyopaque = @ptrFromInt(std.math.maxInt(usize));
pub const madv_wipeonfork: c_int = 18;

pub const EpollEvent = linux.epoll_event;
pub const epoll_ctl_add: c_int = 1;
pub const epoll_ctl_del: c_int = 2;
pub const epoll_ctl_mod: c_int = 3;

pub const clock_monotonic: c_int = 1;
pub const Timespec = extern struct { sec: isize, nsec: isize };
pub const Itimerspec = extern struct { interval: Timespec, value: Timespec };

pub const Family = extern struct {
    family: u16,

    pub fn of(family: c_int) Family {
        return .{ .family = @intCast(family) };
    }
};

pub const Msghdr = extern struct {
    name: ?*anyopaque = null,
    namelen: u32 = 0,
    iov: [*]const sys.Iovec,
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

extern "c" fn accept4(fd: c_int, address: ?*anyopaque, len: ?*u32, flags: c_int) c_int;
extern "c" fn socket(family: c_int, kind: c_int, protocol: c_int) c_int;
pub extern "c" fn epoll_create1(flags: c_int) c_int;
pub extern "c" fn epoll_ctl(epfd: c_int, op: c_int, fd: c_int, event: ?*EpollEvent) c_int;
pub extern "c" fn epoll_wait(epfd: c_int, events: [*]EpollEvent, count: c_int, timeout_ms: c_int) c_int;
pub extern "c" fn eventfd(initial: c_uint, flags: c_int) c_int;
pub extern "c" fn timerfd_create(clock: c_int, flags: c_int) c_int;
pub extern "c" fn timerfd_settime(fd: c_int, flags: c_int, new: *const Itimerspec, old: ?*Itimerspec) c_int;
pub extern "c" fn mmap(address: ?*anyopaque, len: usize, protection: c_int, flags: c_int, fd: c_int, offset: i64) *anyopaque;
pub extern "c" fn munmap(address: *anyopaque, len: usize) c_int;
pub extern "c" fn madvise(address: *anyopaque, len: usize, advice: c_int) c_int;

pub fn openSocket(family: c_int, kind: c_int, protocol: c_int) c_int {
    return socket(family, kind | cloexec | nonblock, protocol);
}

pub fn openBlockingSocket(family: c_int, kind: c_int) c_int {
    return socket(family, kind | cloexec, 0);
}

pub fn acceptSocket(listener: c_int) c_int {
    return accept4(listener, null, null, cloexec | nonblock);
}

/// How many wait to be accepted; null where the kernel does not say.
pub fn backlogOf(listener: c_int) ?u32 {
    const ipproto_tcp = 6;
    const tcp_info = 11;
    const queue_offset = 24;
    var info: [queue_offset + 4]u8 align(4) = @splat(0);
    var length: u32 = info.len;
    // Of a socket that listens, tcpi_unacked is the length of its queue.
    if (sys.getsockopt(listener, ipproto_tcp, tcp_info, &info, &length) != 0 or length != info.len) return null;
    return std.mem.readInt(u32, info[queue_offset..], .native);
}
