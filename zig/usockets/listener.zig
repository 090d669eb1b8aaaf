//! Listening sockets and accepting.
const std = @import("std");
const sys = @import("sys.zig");
const Poll = @import("poll.zig").Poll;
const Events = @import("poll.zig").Events;
const Loop = @import("loop.zig").Loop;
const Context = @import("context.zig").Context;
const Socket = @import("socket.zig").Socket;
const address = @import("address.zig");
const timeout = @import("timeout.zig");
const tls_socket = @import("tls_socket.zig");

/// Connections accepted per event, so that a flood of them does not starve those that exist.
const accepts_per_turn = 256;
/// How often it is found out whether somebody waits, while a limit keeps all from being accepted.
const retry_seconds = 60;
/// Who waits for so long at a descriptor that others accept from, too, is not about to be accepted there.
const retry_shared_seconds = 1;
const option_exclusive: c_int = 1;
const unix_path_offset = 2;
const unix_path_max = sys.unix_path_max;

pub const Listener = extern struct {
    poll: Poll,
    context: *Context,
    next: ?*Listener = null,
    socket_ext_bytes: u32,
    /// Other processes may accept from the same descriptor.
    is_shared: bool,
    /// The last attempt to accept found no descriptor or memory.
    starves: bool = false,
    /// Of a Unix-domain socket that we made, to be removed with it.
    path: [unix_path_max + 1]u8 = @splat(0),

    pub fn close(listening: *Listener) void {
        const context = listening.context;
        var link = &context.listeners;
        while (link.*) |each| : (link = &each.next) {
            if (each == listening) {
                link.* = listening.next;
                break;
            }
        }
        const loop = context.loop;
        loop.redirectReady(&listening.poll, null);
        listening.poll.close(loop);
        if (listening.path[0] != 0) _ = sys.unlink(@ptrCast(&listening.path));
        loop.active -= 1;
        sys.free(listening);
    }

    fn pause(listening: *Listener) void {
        listening.poll.remove(listening.context.loop, Events.readable);
    }

    /// Whether connections may be accepted before the loop gets to them, as a multishot accept does. Not where they could be
    /// another process's, which must get what this one has no time for or leaves behind when it stops, and not where they
    /// have to stay in the backlog until there is room. Without descriptors a multishot accept ends before anybody connects.
    pub fn takesAhead(listening: *const Listener) bool {
        return !listening.is_shared and !listening.starves and listening.context.accepted_max == 0;
    }

    /// How many wait to be accepted; null where the system only says that somebody does.
    fn waiting(listening: *const Listener) ?u32 {
        const fd = listening.poll.fd;
        return sys.backlogOf(fd) orelse if (sys.isReadable(fd, 0)) null else 0;
    }

    /// As many are open as may be.
    fn full(listening: *Listener) void {
        listening.pause();
        if (listening.is_shared) return needRetry(listening.context.loop, retry_shared_seconds);
        needRetry(listening.context.loop, retry_seconds);
        listening.context.tellWaiting(0, listening.waiting());
    }

    /// There are free descriptors.
    fn recovered(listening: *Listener) void {
        listening.starves = false;
        listening.poll.moved(listening.context.loop);
    }

    /// A connection that the kernel accepted ahead, or a negative errno.
    pub fn accepted(listening: *Listener, result: i32) void {
        if (result >= 0) return open(listening, result);
        _ = listening.failed(@fromBackingInt(@intCast(-result)));
    }

    /// Whether the next connection may be well.
    fn failed(listening: *Listener, code: sys.Errno) bool {
        switch (code) {
            .MFILE, .NFILE, .NOBUFS, .NOMEM => {
                const context = listening.context;
                const loop = context.loop;
                const count = listening.waiting();
                listening.starves = true;
                if (count == 0) {
                    // A descriptor is looked for before a connection is.
                    listening.poll.moved(loop);
                    return false;
                }
                // The connection stays in the backlog; polling for it would spin.
                loop.starved = true;
                listening.pause();
                timeout.need(loop, loop.tick() + 1);
                context.tellWaiting(@backingInt(code), count);
                return false;
            },
            .AGAIN, .CANCELED, .BADF, .INVAL, .NOTSOCK => return false,
            // The peer stopped waiting, or its network failed.
            else => return true,
        }
    }
};

pub fn resumeAll(context: *Context) void {
    if (!context.isFull()) watchAll(context);
}

fn watchAll(context: *Context) void {
    var next = context.listeners;
    while (next) |listening| : (next = listening.next) {
        listening.poll.add(context.loop, Events.readable);
    }
}

/// Descriptors may be free now.
pub fn retryStarved(loop: *Loop) void {
    if (!loop.starved) return;
    loop.starved = false;
    var context = loop.contexts;
    while (context) |each| : (context = each.next) resumeAll(each);
}

fn needRetry(loop: *Loop, seconds: u32) void {
    const retry = timeout.deadlineAfter(seconds);
    loop.retry_tick = if (loop.retry_tick == 0) retry else @min(loop.retry_tick, retry);
    timeout.need(loop, loop.retry_tick);
}

/// Reports those who still wait at a limit after a while; the loop gets the time for it.
pub fn retryAccepting(loop: *Loop, now: u32) void {
    if (loop.retry_tick == 0) return;
    if (loop.retry_tick > now) return timeout.need(loop, loop.retry_tick);
    loop.retry_tick = 0;
    var context = loop.contexts;
    while (context) |each| : (context = each.next) {
        if (each.isFull()) look(each);
    }
}

fn look(context: *Context) void {
    var next = context.listeners;
    while (next) |listening| : (next = listening.next) {
        const count = if (listening.is_shared) listening.waiting() else 0;
        if (count == 0) continue;
        needRetry(context.loop, retry_seconds);
        // The callback may have closed the listeners.
        return context.tellWaiting(0, count);
    }
    watchAll(context);
}

pub fn acceptAll(listening: *Listener) void {
    const context = listening.context;
    if (context.isFull()) return listening.full();
    accept(listening, accepts_per_turn);
}

/// At most so many, and as many as may be open.
pub fn accept(listening: *Listener, count: u32) void {
    const context = listening.context;
    var accepted: u32 = 0;
    while (accepted < count) : (accepted += 1) {
        // The next event says whether somebody waits.
        if (context.isFull()) return;
        const fd = sys.acceptSocket(listening.poll.fd);
        if (fd < 0) {
            if (listening.failed(sys.errno())) continue;
            return;
        }
        if (listening.starves) listening.recovered();
        open(listening, fd);
        // The open callback may have closed the listener; it is not looked at any more then.
        if (context.listeners == null) return;
    }
}

fn open(listening: *Listener, fd: c_int) void {
    const context = listening.context;
    const socket = Socket.create(context, fd, listening.socket_ext_bytes) orelse {
        _ = sys.close(fd);
        return;
    };
    const is_tls = context.tls != null;
    if ((is_tls and !tls_socket.begin(socket, context)) or !socket.poll.start(context.loop, Events.readable)) {
        timeout.forget(socket);
        if (socket.tls) |session| session.destroy();
        _ = sys.close(fd);
        sys.free(socket);
        return;
    }
    socket.origin = .{ .acceptor = context };
    context.accepted += 1;
    context.link(socket);
    if (!is_tls) _ = context.on_open.?(socket, 0, null, 0);
}

fn fail(context: *Context, code: c_int) ?*Listener {
    context.listen_error = code;
    return null;
}

fn failAndClose(context: *Context, fd: c_int) ?*Listener {
    const code = sys.errnoValue();
    _ = sys.close(fd);
    return fail(context, code);
}

const Origin = enum { made, given };

fn register(context: *Context, fd: c_int, ext_size: c_int, is_tcp: bool, origin: Origin) ?*Listener {
    const listening = sys.create(Listener, 0) orelse return failAndClose(context, fd);
    listening.* = .{
        .poll = .{ .fd = fd, .kind = .listener },
        .context = context,
        .next = context.listeners,
        .socket_ext_bytes = @intCast(ext_size),
        .is_shared = origin == .given,
    };
    // Accepted connections inherit it.
    const on: c_int = 1;
    if (is_tcp) _ = sys.setsockopt(fd, sys.ipproto_tcp, sys.tcp_nodelay, &on, @sizeOf(c_int));
    if (!listening.poll.start(context.loop, Events.readable)) {
        sys.free(listening);
        return failAndClose(context, fd);
    }
    context.listeners = listening;
    context.listen_error = 0;
    context.loop.active += 1;
    return listening;
}

fn bindTo(info: *const sys.Addrinfo, options: c_int, dual_stack: bool, backlog: c_int) c_int {
    const fd = sys.openSocket(info.family, info.socktype, info.protocol);
    if (fd < 0) return -1;
    const on: c_int = 1;
    _ = sys.setsockopt(fd, sys.sol_socket, sys.so_reuseaddr, &on, @sizeOf(c_int));
    if (options & option_exclusive == 0) _ = sys.setsockopt(fd, sys.sol_socket, sys.so_reuseport, &on, @sizeOf(c_int));
    if (info.family == sys.af_inet6) {
        const only: c_int = @intFromBool(!dual_stack);
        _ = sys.setsockopt(fd, sys.ipproto_ipv6, sys.ipv6_v6only, &only, @sizeOf(c_int));
    }
    if (sys.bind(fd, info.addr.?, info.addrlen) != 0 or sys.listen(fd, backlog) != 0) {
        const code = sys.errnoValue();
        _ = sys.close(fd);
        std.c._errno().* = code;
        return -1;
    }
    return fd;
}

export fn us_socket_context_listen(
    ssl: c_int,
    context: *Context,
    host: ?[*:0]const u8,
    port: c_int,
    options: c_int,
    ext_size: c_int,
) ?*Listener {
    _ = ssl;
    const hints: sys.Addrinfo = .{ .flags = sys.ai_passive, .socktype = sys.sock_stream };
    var service: [16]u8 = undefined;
    service[(std.fmt.bufPrint(service[0 .. service.len - 1], "{d}", .{port}) catch unreachable).len] = 0;
    const service_text: [*:0]const u8 = @ptrCast(&service);
    var found: ?*sys.Addrinfo = null;
    const resolved = sys.getaddrinfo(host, service_text, &hints, &found);
    if (resolved != 0) return fail(context, sys.resolverError(resolved));
    defer sys.freeaddrinfo(found.?);
    var code: c_int = 0;
    // Without a host, IPv6 is first: it serves both families where it is on.
    for ([_]c_int{ sys.af_inet6, sys.af_inet }) |family| {
        var info = found;
        while (info) |each| : (info = each.next) {
            if (each.family != family) continue;
            const fd = bindTo(each, options, host == null, context.backlog);
            if (fd >= 0) return register(context, fd, ext_size, true, .made);
            code = sys.errnoValue();
            if (host == null and code == @backingInt(sys.Errno.ADDRINUSE)) return fail(context, code);
        }
    }
    return fail(context, code);
}

/// A socket file that nobody listens on is left over from a process that died.
fn isStale(path: *const sys.SockaddrStorage, length: u32) bool {
    // Elsewhere one whose backlog is full refuses, too, for a moment.
    const tries = if (sys.is_linux) 1 else 5;
    for (0..tries) |before| {
        if (before > 0) sys.sleepMs(100);
        if (!refuses(path, length)) return false;
    }
    return true;
}

fn refuses(path: *const sys.SockaddrStorage, length: u32) bool {
    const fd = sys.openSocket(sys.af_unix, sys.sock_stream, 0);
    if (fd < 0) return false;
    defer _ = sys.close(fd);
    // ECONNREFUSED is only said of sockets; other files are never removed.
    return sys.connect(fd, path, length) != 0 and sys.errno() == .CONNREFUSED;
}

export fn us_socket_context_listen_unix(
    ssl: c_int,
    context: *Context,
    path: [*:0]const u8,
    options: c_int,
    ext_size: c_int,
) ?*Listener {
    _ = .{ ssl, options };
    const text = std.mem.span(path);
    if (text.len == 0 or text.len > unix_path_max) return fail(context, @backingInt(sys.Errno.NAMETOOLONG));
    var storage: sys.SockaddrStorage = .of(sys.af_unix);
    @memcpy(storage.data[0..text.len], text);
    const length: u32 = @intCast(unix_path_offset + text.len + 1);
    const fd = sys.openSocket(sys.af_unix, sys.sock_stream, 0);
    if (fd < 0) return fail(context, sys.errnoValue());
    var bound = sys.bind(fd, &storage, length);
    if (bound != 0 and sys.errno() == .ADDRINUSE) {
        if (isStale(&storage, length)) {
            _ = sys.unlink(path);
            bound = sys.bind(fd, &storage, length);
        } else std.c._errno().* = @backingInt(sys.Errno.ADDRINUSE);
    }
    if (bound != 0) return failAndClose(context, fd);
    if (sys.listen(fd, context.backlog) != 0) return failAndClose(context, fd);
    const listening = register(context, fd, ext_size, false, .made) orelse return null;
    @memcpy(listening.path[0..text.len], text);
    return listening;
}

export fn us_socket_context_listen_fd(ssl: c_int, context: *Context, given: c_int, shared: c_int, ext_size: c_int) ?*Listener {
    _ = ssl;
    var accepting: c_int = 0;
    var length: u32 = @sizeOf(c_int);
    if (sys.getsockopt(given, sys.sol_socket, sys.so_acceptconn, &accepting, &length) != 0)
        return fail(context, sys.errnoValue());
    if (accepting == 0) return fail(context, @backingInt(sys.Errno.INVAL));
    const fd = sys.fcntl(given, sys.f_dupfd_cloexec, @as(c_int, 3));
    if (fd < 0) return fail(context, sys.errnoValue());
    _ = sys.fcntl(fd, sys.f_setfl, sys.fcntl(fd, sys.f_getfl) | sys.nonblock);
    return register(context, fd, ext_size, address.localPort(fd) >= 0, if (shared != 0) .given else .made);
}

export fn us_listen_socket_close(ssl: c_int, listening: *Listener) void {
    _ = ssl;
    listening.close();
}
