//! What stands in for the kernel where the kqueue backend is tested: connections as tests say they are, and filters as the kernel
//! has them. A filter that fires is kept in a queue, and is looked at once more when somebody waits; that is how one that is
//! ready for as long as something is so (without EV_CLEAR) differs from one that tells news.
const std = @import("std");
const assert = std.debug.assert;
const kqueue_filters = @import("kqueue_filters.zig");
const Event = kqueue_filters.Event;
const Filter = kqueue_filters.Filter;
const Flag = kqueue_filters.Flag;

pub const fds_max = 24;
const knotes_max = 3 * fds_max;

pub const Connection = struct {
    open: bool = false,
    /// A listener, whose bytes are connections, and which cannot be written to.
    listens: bool = false,
    unread: u32 = 0,
    room: bool = true,
    input_ended: bool = false,
    output_ended: bool = false,
    failure: u32 = 0,
};

const Knote = struct {
    ident: usize,
    filter: Filter,
    udata: usize,
    clear: bool,
    oneshot: bool,
    /// Fired, and not told since.
    active: bool = false,
    /// Of filters that have no descriptor.
    fired: bool = false,
};

pub var connections: [fds_max]Connection = undefined;
var knotes: [knotes_max]Knote = undefined;
var knote_count: usize = 0;
/// Changes that were refused, as none shall be.
pub var refused: u32 = 0;
/// The calls that the backend has made to change something.
pub var calls: u32 = 0;

pub fn reset() void {
    connections = @splat(.{});
    knote_count = 0;
    refused = 0;
    calls = 0;
}

// ---- the world ----

/// The lowest number that is free, as the kernel gives it.
pub fn connect(listens: bool) c_int {
    for (&connections, 0..) |*each, fd| {
        if (each.open) continue;
        each.* = .{ .open = true, .listens = listens };
        return @intCast(fd);
    }
    unreachable;
}

/// Filters go with the descriptor.
pub fn closeDescriptor(fd: c_int) void {
    connections[@intCast(fd)].open = false;
    var index: usize = 0;
    while (index < knote_count) {
        const knote = &knotes[index];
        const of_descriptor = knote.filter == .read or knote.filter == .write;
        if (of_descriptor and knote.ident == @as(usize, @intCast(fd))) drop(index) else index += 1;
    }
}

/// Bytes arrive, the peer's half ends, or the connection fails: who reads is told, and in the last case who writes.
pub fn receive(fd: c_int, bytes: u32) void {
    connections[@intCast(fd)].unread += bytes;
    fire(fd, .read);
}

pub fn endInput(fd: c_int) void {
    connections[@intCast(fd)].input_ended = true;
    fire(fd, .read);
}

pub fn fail(fd: c_int, code: u32) void {
    const connection = &connections[@intCast(fd)];
    connection.failure = code;
    connection.input_ended = true;
    connection.output_ended = true;
    fire(fd, .read);
    fire(fd, .write);
}

/// The program has read everything, which nobody is told.
pub fn drain(fd: c_int) void {
    connections[@intCast(fd)].unread = 0;
}

pub fn setRoom(fd: c_int, room: bool) void {
    connections[@intCast(fd)].room = room;
    if (room) fire(fd, .write);
}

/// The program ends its half. Only who writes is told.
pub fn endOutput(fd: c_int) void {
    connections[@intCast(fd)].output_ended = true;
    fire(fd, .write);
}

/// The time of a timer has come.
pub fn elapse(ident: usize) bool {
    const knote = find(ident, .timer) orelse return false;
    knote.fired = true;
    knote.active = true;
    return true;
}

/// How long a timer was set for the last time; null where there is none.
pub fn timerOf(ident: usize) ?isize {
    return if (find(ident, .timer) != null) last_span else null;
}
var last_span: isize = 0;

/// How many filters are in the queue, by which the kqueue's own descriptor is readable.
pub fn queued() usize {
    var count: usize = 0;
    for (knotes[0..knote_count]) |knote| count += @intFromBool(knote.active);
    return count;
}

pub fn filtersOf(fd: c_int) usize {
    var count: usize = 0;
    for (knotes[0..knote_count]) |knote| count += @intFromBool(knote.ident == @as(usize, @intCast(fd)));
    return count;
}

fn fire(fd: c_int, filter: Filter) void {
    const knote = find(@intCast(fd), filter) orelse return;
    if (isReady(knote.*)) knote.active = true;
}

fn find(ident: usize, filter: Filter) ?*Knote {
    for (knotes[0..knote_count]) |*knote| {
        if (knote.ident == ident and knote.filter == filter) return knote;
    }
    return null;
}

fn drop(index: usize) void {
    knote_count -= 1;
    knotes[index] = knotes[knote_count];
}

fn isReady(knote: Knote) bool {
    if (knote.filter != .read and knote.filter != .write) return knote.fired;
    const connection = connections[knote.ident];
    if (knote.filter == .read) return connection.unread > 0 or connection.input_ended or connection.failure != 0;
    return connection.room or connection.output_ended or connection.failure != 0;
}

// ---- what the backend calls ----

pub fn open() c_int {
    return 1000;
}

pub fn close(fd: c_int) void {
    _ = fd;
    knote_count = 0;
}

pub fn change(fd: c_int, changes: []const Event) bool {
    _ = fd;
    calls += 1;
    var all = true;
    for (changes) |each| {
        if (!changeOne(each)) {
            refused += 1;
            all = false;
        }
    }
    return all;
}

fn changeOne(given: Event) bool {
    assert(given.flags & Flag.receipt != 0);
    const of_descriptor = given.filter == .read or given.filter == .write;
    if (of_descriptor and !connections[given.ident].open) return false;
    if (given.flags & Flag.delete != 0) {
        for (knotes[0..knote_count], 0..) |knote, index| {
            if (knote.ident != given.ident or knote.filter != given.filter) continue;
            drop(index);
            return true;
        }
        // ENOENT; a timer may have gone by itself.
        return given.filter == .timer;
    }
    const knote = find(given.ident, given.filter) orelse blk: {
        if (given.flags & Flag.add == 0) return false;
        assert(knote_count < knotes_max);
        knotes[knote_count] = .{
            .ident = given.ident,
            .filter = given.filter,
            .udata = given.udata,
            .clear = given.flags & Flag.clear != 0 or given.filter == .timer,
            .oneshot = given.flags & Flag.oneshot != 0,
        };
        knote_count += 1;
        break :blk &knotes[knote_count - 1];
    };
    // Of a filter that is there only this changes.
    knote.udata = given.udata;
    if (given.filter == .timer) {
        last_span = given.data;
        knote.fired = false;
        knote.active = false;
    } else if (given.filter == .user and given.fflags & kqueue_filters.note_trigger != 0) {
        knote.fired = true;
    }
    if (isReady(knote.*)) knote.active = true;
    return true;
}

pub fn wait(fd: c_int, out: []Event, timeout_ms: c_int) u32 {
    _ = .{ fd, timeout_ms };
    var count: u32 = 0;
    var index: usize = 0;
    while (index < knote_count and count < out.len) {
        const knote = &knotes[index];
        index += 1;
        if (!knote.active) continue;
        if (!isReady(knote.*)) {
            knote.active = false;
            continue;
        }
        out[count] = told(knote.*);
        count += 1;
        if (knote.clear) {
            knote.active = false;
            knote.fired = false;
        }
        if (knote.oneshot) {
            index -= 1;
            drop(index);
        }
    }
    return count;
}

fn told(knote: Knote) Event {
    var event: Event = .{ .ident = knote.ident, .filter = knote.filter, .udata = knote.udata };
    if (knote.filter != .read and knote.filter != .write) return event;
    const connection = connections[knote.ident];
    const ended = if (knote.filter == .read) connection.input_ended else connection.output_ended;
    if (ended) {
        event.flags |= Flag.eof;
        event.fflags = connection.failure;
    }
    event.data = connection.unread;
    return event;
}
