//! kevent(2) over epoll, so that the tests of this layer run on the kqueue backend, with the sockets that Linux has.
//!
//! Each filter is an entry of an epoll set: those for reading in one set, which is the kqueue, those for writing in another one
//! inside it, as an entry for the same descriptor tells its own news. EV_CLEAR is what EPOLLET is.
const std = @import("std");
const sys = @import("sys.zig");
const linux = sys.system;
const kqueue_filters = @import("kqueue_filters.zig");
const Event = kqueue_filters.Event;
const Filter = kqueue_filters.Filter;
const Flag = kqueue_filters.Flag;

const allocator = std.heap.c_allocator;
const sets_max = 64;
const events_max = 512;

const in: u32 = 0x1;
const out_: u32 = 0x4;
const failed: u32 = 0x8;
const hung_up: u32 = 0x10;
const half_closed: u32 = 0x2000;
const edge_triggered: u32 = 1 << 31;
const so_error = 4;

const Knote = struct {
    ident: usize,
    filter: Filter,
    flags: u16,
    udata: usize,
    /// The descriptor of whatever fires it.
    fd: c_int,
};

const Set = struct {
    fd: c_int = -1,
    writes: c_int = -1,
    /// For the next timer: where there are kqueues, timers need no descriptors, which may be exhausted.
    timer: c_int = -1,
    knotes: std.ArrayList(*Knote) = .empty,
};

/// Other threads wake a loop.
var lock: std.atomic.Mutex = .unlocked;
var sets: [sets_max]Set = @splat(.{});

fn setOf(fd: c_int) ?*Set {
    for (&sets) |*set| if (set.fd == fd and fd >= 0) return set;
    return null;
}

fn locked() void {
    while (!lock.tryLock()) std.atomic.spinLoopHint();
}

pub fn open() c_int {
    locked();
    defer lock.unlock();
    const set = for (&sets) |*each| {
        if (each.fd < 0) break each;
    } else return -1;
    const writes = linux.epoll_create1(linux.cloexec);
    const fd = linux.epoll_create1(linux.cloexec);
    if (fd < 0 or writes < 0) {
        for ([_]c_int{ fd, writes }) |each| {
            if (each >= 0) _ = sys.close(each);
        }
        return -1;
    }
    set.* = .{ .fd = fd, .writes = writes, .timer = newTimer() };
    var event: linux.EpollEvent = .{ .events = in, .data = .{ .ptr = 0 } };
    _ = linux.epoll_ctl(fd, linux.epoll_ctl_add, writes, &event);
    return fd;
}

pub fn close(fd: c_int) void {
    locked();
    defer lock.unlock();
    const set = setOf(fd) orelse return;
    while (set.knotes.items.len > 0) drop(set, set.knotes.items.len - 1);
    set.knotes.deinit(allocator);
    for ([_]c_int{ set.timer, set.writes, fd }) |each| _ = sys.close(each);
    set.* = .{};
}

/// The kernel does it where there are kqueues.
pub fn closing(fd: c_int, closed: c_int) void {
    locked();
    defer lock.unlock();
    const set = setOf(fd) orelse return;
    for ([_]Filter{ .read, .write }) |filter| {
        if (find(set, @intCast(closed), filter)) |index| drop(set, index);
    }
}

pub fn change(fd: c_int, changes: []const Event) bool {
    locked();
    defer lock.unlock();
    const set = setOf(fd) orelse return false;
    var all = true;
    for (changes) |each| {
        if (!changeOne(set, each)) all = false;
    }
    return all;
}

fn find(set: *const Set, ident: usize, filter: Filter) ?usize {
    for (set.knotes.items, 0..) |knote, index| {
        if (knote.ident == ident and knote.filter == filter) return index;
    }
    return null;
}

fn home(set: *const Set, filter: Filter) c_int {
    return if (filter == .write) set.writes else set.fd;
}

fn drop(set: *Set, index: usize) void {
    const knote = set.knotes.swapRemove(index);
    _ = linux.epoll_ctl(home(set, knote.filter), linux.epoll_ctl_del, knote.fd, null);
    if (knote.filter == .timer and set.timer < 0) {
        set.timer = knote.fd;
    } else if (knote.filter != .read and knote.filter != .write) _ = sys.close(knote.fd);
    allocator.destroy(knote);
}

fn changeOne(set: *Set, given: Event) bool {
    const found = find(set, given.ident, given.filter);
    if (given.flags & Flag.delete != 0) {
        drop(set, found orelse return given.filter == .timer);
        return true;
    }
    const knote = if (found) |index| set.knotes.items[index] else make(set, given) orelse return false;
    knote.udata = given.udata;
    if (found != null and (given.filter == .read or given.filter == .write)) _ = register(set, knote, linux.epoll_ctl_mod);
    if (given.filter == .user and given.fflags & kqueue_filters.note_trigger != 0) {
        const one: u64 = 1;
        _ = sys.write(knote.fd, @ptrCast(&one), @sizeOf(u64));
    }
    if (given.filter == .timer) {
        const span: linux.Itimerspec = .{
            .interval = .{ .sec = 0, .nsec = 0 },
            .value = .{ .sec = @divTrunc(given.data, 1000), .nsec = @rem(given.data, 1000) * 1_000_000 },
        };
        _ = linux.timerfd_settime(knote.fd, 0, &span, null);
    }
    return true;
}

fn newTimer() c_int {
    return linux.timerfd_create(linux.clock_monotonic, linux.cloexec | linux.nonblock);
}

fn make(set: *Set, given: Event) ?*Knote {
    if (given.flags & Flag.add == 0) return null;
    const fd: c_int = switch (given.filter) {
        .read, .write => @intCast(given.ident),
        .timer => if (set.timer >= 0) set.timer else newTimer(),
        else => linux.eventfd(0, linux.cloexec | linux.nonblock),
    };
    if (fd < 0) return null;
    if (fd == set.timer) set.timer = -1;
    const knote = allocator.create(Knote) catch unreachable;
    knote.* = .{ .ident = given.ident, .filter = given.filter, .flags = given.flags, .udata = given.udata, .fd = fd };
    if (!register(set, knote, linux.epoll_ctl_add)) {
        allocator.destroy(knote);
        return null;
    }
    set.knotes.append(allocator, knote) catch unreachable;
    return knote;
}

fn register(set: *const Set, knote: *Knote, operation: c_int) bool {
    const wanted: u32 = if (knote.filter == .write) out_ else in | half_closed;
    const edge = if (knote.flags & Flag.clear != 0) edge_triggered else 0;
    var event: linux.EpollEvent = .{ .events = wanted | edge, .data = .{ .ptr = @intFromPtr(knote) } };
    return linux.epoll_ctl(home(set, knote.filter), operation, knote.fd, &event) == 0;
}

pub fn wait(fd: c_int, out: []Event, timeout_ms: c_int) u32 {
    const set = setOf(fd) orelse return 0;
    var found: [events_max]linux.EpollEvent = undefined;
    var count = linux.epoll_wait(fd, &found, events_max, timeout_ms);
    var told: u32 = 0;
    for (found[0..@intCast(@max(count, 0))]) |event| {
        if (event.data.ptr != 0) told += tell(set, event, &out[told]);
    }
    count = linux.epoll_wait(set.writes, &found, events_max, 0);
    for (found[0..@intCast(@max(count, 0))]) |event| told += tell(set, event, &out[told]);
    return told;
}

fn tell(set: *Set, event: linux.EpollEvent, out: *Event) u32 {
    locked();
    defer lock.unlock();
    const knote: *Knote = @ptrFromInt(event.data.ptr);
    out.* = .{ .ident = knote.ident, .filter = knote.filter, .udata = knote.udata };
    if (knote.filter == .timer or knote.filter == .user) {
        var counter: u64 = undefined;
        const count = sys.read(knote.fd, @ptrCast(&counter), @sizeOf(u64));
        if (knote.flags & Flag.oneshot != 0) drop(set, find(set, knote.ident, knote.filter).?);
        return @intFromBool(count > 0);
    }
    const ends: u32 = if (knote.filter == .read) half_closed | hung_up | failed else hung_up | failed;
    if (event.events & ends != 0) out.flags |= Flag.eof;
    if (event.events & failed != 0) {
        var length: u32 = @sizeOf(u32);
        _ = sys.getsockopt(knote.fd, sys.sol_socket, so_error, &out.fflags, &length);
        // Who asked first has taken it away.
        if (out.fflags == 0) out.fflags = @intCast(@backingInt(sys.Errno.CONNRESET));
    }
    return 1;
}
