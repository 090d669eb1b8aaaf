//! What macOS has of its own: constants, layouts, and calls that no other system knows. From Apple's public headers, and compared
//! with Zig's in sys_tests.zig; nobody has run it yet.
const std = @import("std");
const Iovec = @import("sys.zig").Iovec;

pub const Errno = std.c.E;

pub const nonblock: c_int = 0x4;

pub const af_inet6: c_int = 30;
pub const sol_socket: c_int = 0xffff;
pub const so_acceptconn: c_int = 0x2;
pub const so_reuseaddr: c_int = 0x4;
pub const so_keepalive: c_int = 0x8;
pub const so_reuseport: c_int = 0x200;
pub const so_sndbuf: c_int = 0x1001;
pub const so_rcvbuf: c_int = 0x1002;
const so_nosigpipe: c_int = 0x1022;
/// TCP_KEEPALIVE.
pub const tcp_keepidle: c_int = 0x10;
pub const tcp_keepintvl: c_int = 0x101;
pub const tcp_keepcnt: c_int = 0x102;
pub const ipv6_v6only: c_int = 27;

/// What `prepare` says of each socket as well, which is refused where the peer has left before. Kernels that do not know the
/// flag ignore it.
pub const msg_nosignal: c_int = 0x80000;
/// There is none: what is sent leaves at once, as TCP_NODELAY says.
pub const msg_more: c_int = 0;
pub const msg_dontwait: c_int = 0x80;
pub const msg_waitall: c_int = 0x40;

pub const fionread: c_ulong = 0x4004667f;
const f_getfl: c_int = 3;
const f_setfl: c_int = 4;
const f_setfd: c_int = 2;
const fd_cloexec: c_int = 1;
pub const f_dupfd_cloexec: c_int = 67;
pub const rlimit_nofile: c_int = 8;

pub const unix_path_max = 103;

/// CLOCK_UPTIME_RAW, by which timers of kqueue go, too: read from memory and exact, and it stands still while the machine sleeps.
pub const quick_clock: c_int = 8;

pub const Timespec = extern struct { sec: isize, nsec: isize };

/// What every address begins with. The kernel goes by the length that it is given besides.
pub const Family = extern struct {
    len: u8 = 0,
    family: u8,

    pub fn of(family: c_int) Family {
        return .{ .family = @intCast(family) };
    }
};

pub const Msghdr = extern struct {
    name: ?*anyopaque = null,
    namelen: u32 = 0,
    iov: [*]const Iovec,
    iovlen: c_int,
    control: ?*anyopaque = null,
    controllen: u32 = 0,
    flags: c_int = 0,
};

pub const Addrinfo = extern struct {
    flags: c_int = 0,
    family: c_int = 0,
    socktype: c_int = 0,
    protocol: c_int = 0,
    addrlen: u32 = 0,
    canonname: ?[*:0]u8 = null,
    addr: ?*anyopaque = null,
    next: ?*Addrinfo = null,
};

extern "c" fn accept(fd: c_int, address: ?*anyopaque, len: ?*u32) c_int;
extern "c" fn socket(family: c_int, kind: c_int, protocol: c_int) c_int;
extern "c" fn setsockopt(fd: c_int, level: c_int, name: c_int, value: *const anyopaque, len: u32) c_int;
extern "c" fn fcntl(fd: c_int, command: c_int, ...) c_int;

/// What other systems are told when the descriptor is made. A peer that broke the connection may make any of it fail, which the
/// next read finds out.
fn prepare(fd: c_int, blocks: bool) c_int {
    if (fd < 0) return fd;
    const on: c_int = 1;
    _ = fcntl(fd, f_setfd, fd_cloexec);
    _ = setsockopt(fd, sol_socket, so_nosigpipe, &on, @sizeOf(c_int));
    if (!blocks) _ = fcntl(fd, f_setfl, fcntl(fd, f_getfl) | nonblock);
    return fd;
}

pub fn openSocket(family: c_int, kind: c_int, protocol: c_int) c_int {
    return prepare(socket(family, kind, protocol), false);
}

pub fn openBlockingSocket(family: c_int, kind: c_int) c_int {
    return prepare(socket(family, kind, 0), true);
}

pub fn acceptSocket(listener: c_int) c_int {
    return prepare(accept(listener, null, null), false);
}

/// What one call takes of what is to be sent: more bytes than an int counts are refused as a whole.
pub fn fitting(pieces: []const Iovec, room: *[1]Iovec) []const Iovec {
    const bytes_max = std.math.maxInt(c_int);
    var total: usize = 0;
    for (pieces) |piece| total += piece.len;
    if (total <= bytes_max) return pieces;
    for (pieces) |piece| {
        if (piece.len == 0) continue;
        room[0] = .{ .base = piece.base, .len = @min(piece.len, bytes_max) };
        break;
    }
    return room;
}

/// How many wait to be accepted; null where the kernel does not say.
pub fn backlogOf(listener: c_int) ?u32 {
    _ = listener;
    return null;
}

/// For who makes a descriptor of another kind.
pub fn closeOnExec(fd: c_int) void {
    _ = fcntl(fd, f_setfd, fd_cloexec);
}
