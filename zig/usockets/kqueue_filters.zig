//! What a kqueue is told of a poll, and what its answers mean: numbers in, numbers out, without a system call.
//!
//! A kqueue has two filters for a descriptor where epoll has one mask, and it says nothing where there is no filter. The loop
//! expects what epoll gives: that a broken connection is told, and one that has ended in both directions, whoever is
//! interested. So a socket that does not read keeps its filter for reading, but is told news alone (EV_CLEAR): a packet wakes the
//! loop once then, and bytes that nobody wants do not wake it again and again.
//!
//! The numbers are those of Apple's sys/event.h.
const std = @import("std");
const Events = @import("poll.zig").Events;

pub const Filter = enum(i16) { read = -1, write = -2, timer = -7, user = -10, _ };

pub const Flag = struct {
    pub const add: u16 = 0x1;
    pub const delete: u16 = 0x2;
    pub const oneshot: u16 = 0x10;
    pub const clear: u16 = 0x20;
    /// Each change is answered by itself, and one that fails does not keep those behind it from being made.
    pub const receipt: u16 = 0x40;
    pub const failed: u16 = 0x4000;
    pub const eof: u16 = 0x8000;
};

/// Fires a filter of kind `user`.
pub const note_trigger: u32 = 0x01000000;

/// struct kevent.
pub const Event = extern struct {
    ident: usize,
    filter: Filter,
    flags: u16 = 0,
    fflags: u32 = 0,
    data: isize = 0,
    udata: usize = 0,
};

/// When reading is told.
pub const Reads = enum(u2) {
    never,
    /// As long as there is something to read.
    always,
    /// When something has changed.
    news,
};

/// What a kqueue has of a poll, and what has been found out about its connection.
pub const Filters = packed struct(u8) {
    reads: Reads = .never,
    writes: bool = false,
    /// Somebody is interested in the end of the peer's half.
    half_closed: bool = false,
    /// The peer's half has ended, as the kqueue has told.
    input_ended: bool = false,
    /// Our half has.
    output_ended: bool = false,
    _: u2 = 0,

    /// What an interest needs. `tells_end`: a connection, whose end is told whoever is interested.
    pub fn wanted(has: Filters, interest: u32, tells_end: bool) Filters {
        var filters = has;
        const otherwise: Reads = if (tells_end or interest & Events.half_closed != 0) .news else .never;
        filters.reads = if (interest & Events.readable != 0) .always else otherwise;
        filters.writes = interest & Events.writable != 0;
        filters.half_closed = interest & Events.half_closed != 0;
        return filters;
    }
};

pub const Changes = struct {
    list: [3]Event = undefined,
    count: usize = 0,

    pub fn slice(changes: *const Changes) []const Event {
        return changes.list[0..changes.count];
    }

    fn put(changes: *Changes, fd: c_int, filter: Filter, flags: u16, poll: usize) void {
        changes.list[changes.count] = .{
            .ident = @intCast(fd),
            .filter = filter,
            .flags = flags | Flag.receipt,
            .udata = poll,
        };
        changes.count += 1;
    }
};

/// Why filters that stay as they are have to be told once more.
pub const Why = enum {
    no,
    /// The poll is at another address.
    moved,
    /// News that were told already are asked for again.
    again,
};

/// What makes of the filters that a descriptor has those that are wanted.
pub fn changesBetween(has: Filters, wants: Filters, fd: c_int, poll: usize, why: Why) Changes {
    var changes: Changes = .{};
    const again = why == .again or (wants.half_closed and !has.half_closed);
    // Adding a filter that is there leaves it as it was, but for the address. A new one is told what is so already.
    if (has.reads != .never and (has.reads != wants.reads or (again and wants.reads == .news)))
        changes.put(fd, .read, Flag.delete, poll);
    const adds_read = has.reads != wants.reads or why == .moved or (again and wants.reads == .news);
    if (wants.reads != .never and adds_read)
        changes.put(fd, .read, if (wants.reads == .news) Flag.add | Flag.clear else Flag.add, poll);
    if (wants.writes and (!has.writes or why == .moved)) changes.put(fd, .write, Flag.add, poll);
    if (has.writes and !wants.writes) changes.put(fd, .write, Flag.delete, poll);
    return changes;
}

/// What epoll would say of what a kqueue has told. Both filters of a descriptor are told apart; the end of a connection is known
/// from either.
pub fn eventsOf(event: Event, filters: *Filters, interest: u32) u32 {
    var events: u32 = if (event.filter == .write) Events.writable else Events.readable;
    if (event.flags & Flag.eof != 0) {
        if (event.filter == .write) filters.output_ended = true else {
            filters.input_ended = true;
            events |= Events.half_closed;
        }
        // With the end comes the error that brought it about.
        if (event.fflags != 0) events |= Events.failed | Events.hung_up;
        if (filters.input_ended and filters.output_ended) events |= Events.hung_up;
    }
    return events & (interest | Events.failed | Events.hung_up);
}
