//! Numbers and layouts that this layer writes down itself, against those of Zig's standard library: where one differs, the tests
//! do not compile. So they say it of macOS, too, which they run on nowhere.
const std = @import("std");
const builtin = @import("builtin");
const c = std.c;
const sys = @import("sys.zig");
const system = sys.system;
const kqueue_filters = @import("kqueue_filters.zig");
const Filter = kqueue_filters.Filter;
const Flag = kqueue_filters.Flag;

fn same(comptime what: []const u8, ours: comptime_int, theirs: comptime_int) void {
    if (ours != theirs) @compileError(std.fmt.comptimePrint("{s} is {d}, not {d}", .{ what, theirs, ours }));
}

fn sameLayout(Ours: type, Theirs: type, names: []const []const u8) void {
    same(@typeName(Ours), @sizeOf(Ours), @sizeOf(Theirs));
    for (names) |name| {
        const what = @typeName(Ours) ++ "." ++ name;
        same(what, @offsetOf(Ours, name), @offsetOf(Theirs, name));
        same(what, @sizeOf(@FieldType(Ours, name)), @sizeOf(@FieldType(Theirs, name)));
    }
}

comptime {
    @setEvalBranchQuota(10_000);
    same("AF_UNIX", sys.af_unix, c.AF.UNIX);
    same("AF_INET", sys.af_inet, c.AF.INET);
    same("AF_INET6", sys.af_inet6, c.AF.INET6);
    same("SOL_SOCKET", sys.sol_socket, c.SOL.SOCKET);
    same("SO_REUSEADDR", sys.so_reuseaddr, c.SO.REUSEADDR);
    same("SO_REUSEPORT", sys.so_reuseport, c.SO.REUSEPORT);
    same("SO_ACCEPTCONN", sys.so_acceptconn, c.SO.ACCEPTCONN);
    same("SO_KEEPALIVE", sys.so_keepalive, c.SO.KEEPALIVE);
    same("SO_SNDBUF", sys.so_sndbuf, c.SO.SNDBUF);
    same("SO_RCVBUF", sys.so_rcvbuf, c.SO.RCVBUF);
    same("IPPROTO_TCP", sys.ipproto_tcp, c.IPPROTO.TCP);
    same("IPPROTO_IPV6", sys.ipproto_ipv6, c.IPPROTO.IPV6);
    same("MSG_NOSIGNAL", sys.msg_nosignal, c.MSG.NOSIGNAL);
    same("MSG_DONTWAIT", sys.msg_dontwait, c.MSG.DONTWAIT);
    same("MSG_PEEK", sys.msg_peek, c.MSG.PEEK);
    same("MSG_WAITALL", sys.msg_waitall, c.MSG.WAITALL);
    same("O_NONBLOCK", sys.nonblock, @as(u32, @bitCast(c.O{ .NONBLOCK = true })));
    same("F_GETFL", sys.f_getfl, c.F.GETFL);
    same("F_SETFL", sys.f_setfl, c.F.SETFL);
    same("F_DUPFD_CLOEXEC", sys.f_dupfd_cloexec, c.F.DUPFD_CLOEXEC);
    same("RLIMIT_NOFILE", sys.rlimit_nofile, @backingInt(c.rlimit_resource.NOFILE));
    same("the room for a path", sys.unix_path_max + 1, @sizeOf(@FieldType(c.sockaddr.un, "path")));
    same("SHUT_RD", sys.shut_rd, c.SHUT.RD);
    same("SHUT_WR", sys.shut_wr, c.SHUT.WR);
    same("SHUT_RDWR", sys.shut_rdwr, c.SHUT.RDWR);
    same("POLLIN", sys.pollin, c.POLL.IN);
    sameLayout(sys.Pollfd, c.pollfd, &.{ "fd", "events", "revents" });
    sameLayout(sys.Timespec, c.timespec, &.{ "sec", "nsec" });
    sameLayout(sys.Addrinfo, c.addrinfo, &.{ "flags", "family", "socktype", "protocol", "addrlen", "canonname", "addr", "next" });
    // musl has two of its members as an int and nothing beside it, which is the same to the kernel.
    if (!builtin.abi.isMusl()) {
        const members = [_][]const u8{ "name", "namelen", "iov", "iovlen", "control", "controllen", "flags" };
        sameLayout(sys.Msghdr, c.msghdr_const, &members);
    }
    same("family", @offsetOf(system.Family, "family"), @offsetOf(c.sockaddr, "family"));
    same("port", @sizeOf(system.Family), @offsetOf(c.sockaddr.in, "port"));
    same("path", @sizeOf(system.Family), @offsetOf(c.sockaddr.un, "path"));
    if (!sys.is_linux) {
        same("CLOCK_UPTIME_RAW", system.quick_clock, @backingInt(c.CLOCK.UPTIME_RAW));
        same("EVFILT_READ", @backingInt(Filter.read), c.EVFILT.READ);
        same("EVFILT_WRITE", @backingInt(Filter.write), c.EVFILT.WRITE);
        same("EVFILT_TIMER", @backingInt(Filter.timer), c.EVFILT.TIMER);
        same("EVFILT_USER", @backingInt(Filter.user), c.EVFILT.USER);
        same("EV_ADD", Flag.add, c.EV.ADD);
        same("EV_DELETE", Flag.delete, c.EV.DELETE);
        same("EV_ONESHOT", Flag.oneshot, c.EV.ONESHOT);
        same("EV_CLEAR", Flag.clear, c.EV.CLEAR);
        same("EV_RECEIPT", Flag.receipt, c.EV.RECEIPT);
        same("EV_ERROR", Flag.failed, c.EV.ERROR);
        same("EV_EOF", Flag.eof, c.EV.EOF);
        same("NOTE_TRIGGER", kqueue_filters.note_trigger, c.NOTE.TRIGGER);
    }
}
