//! Lingering close (RFC 9112 section 9.6): a peer that still sends would lose our last reply to a reset, so what it
//! sends is discarded for a short while.
const std = @import("std");
const sys = @import("sys.zig");
const has_kqueue = @import("backend.zig").has_kqueue;
const Poll = @import("poll.zig").Poll;
const Events = @import("poll.zig").Events;
const Loop = @import("loop.zig").Loop;
const timeout = @import("timeout.zig");
const Pending = @import("pending.zig").Pending;

/// Connections that may linger at once in a loop.
const lingering_max = 1024;
/// Without a byte.
const linger_seconds = 2;
/// With bytes that go on coming.
const linger_seconds_max = 30;
const linger_bytes_max: usize = 256 * 1024 * 1024;
/// For output that the peer has not taken yet.
const output_seconds = 30;
/// Bytes discarded at once.
const discard_bytes: usize = 1024 * 1024;
/// Where that takes memory.
const copied_bytes = 64 * 1024;

pub const Linger = struct {
    poll: Poll,
    deadline: u32,
    /// When it ends whatever arrives.
    last: u32,
    /// What may arrive.
    budget: usize = linger_bytes_max,
    /// Sent before our half ends.
    output: Pending,
    next: ?*Linger = null,
    prev: ?*Linger = null,
};

const Input = enum { none, some, ended };

/// TCP of Linux drops with MSG_TRUNC what it would have copied.
fn drop(fd: c_int) isize {
    return sys.recv(fd, null, discard_bytes, sys.msg_dontwait | sys.system.msg_trunc);
}

/// Elsewhere it has to be copied, but not over what the loop has received: the callback that closes looks at that still.
fn copyAway(fd: c_int) isize {
    var room: [copied_bytes]u8 = undefined;
    return sys.recv(fd, &room, room.len, sys.msg_dontwait);
}

fn discardInput(fd: c_int, budget: *usize) Input {
    var found: Input = .none;
    var rounds: u32 = 0;
    while (rounds < 4) : (rounds += 1) {
        const count = if (has_kqueue) copyAway(fd) else drop(fd);
        if (count == 0) return .ended;
        if (count < 0) return if (sys.errno() == .AGAIN) found else .ended;
        found = .some;
        budget.* -|= @intCast(count);
        if (budget.* == 0) return .ended;
    }
    return found;
}

/// Closes a descriptor whose sending side is shut down, or shall be when `output` has left. `expects`: the peer has more to send.
pub fn close(loop: *Loop, poll: *Poll, given: Pending, expects: bool) void {
    const fd = poll.fd;
    var output = given;
    const owes = !output.isEmpty();
    var budget = linger_bytes_max;
    const input: Input = if (owes) .none else discardInput(fd, &budget);
    const lingers = (owes or input == .some or (expects and input == .none)) and loop.lingering_count < lingering_max;
    const entry = (if (lingers) sys.create(Linger, 0) else null) orelse {
        output.free();
        poll.close(loop);
        return;
    };
    const seconds: u32 = if (owes) output_seconds else linger_seconds;
    const now = loop.tick();
    entry.* = .{
        .poll = poll.successor(.linger),
        .deadline = now + seconds,
        .last = now + linger_seconds_max,
        .budget = budget,
        .output = output,
    };
    entry.next = loop.lingering;
    if (entry.next) |next| next.prev = entry;
    loop.lingering = entry;
    loop.lingering_count += 1;
    // The descriptor is watched already, pointing to a socket that is about to go.
    entry.poll.interest = @intCast(if (owes) Events.readable | Events.writable else Events.readable);
    entry.poll.moved(loop);
    timeout.need(loop, entry.deadline);
}

pub fn ready(loop: *Loop, entry: *Linger) void {
    if (!entry.output.isEmpty()) {
        if (!entry.output.flush(entry.poll.fd)) return end(loop, entry);
        if (!entry.output.isEmpty()) {
            // The end of input would wake us without end.
            if (discardInput(entry.poll.fd, &entry.budget) == .ended) entry.poll.remove(loop, Events.readable);
            return;
        }
        entry.poll.shutdown(loop, sys.shut_wr);
        entry.poll.change(loop, Events.readable);
        entry.deadline = @min(entry.deadline, loop.tick() + linger_seconds);
        timeout.need(loop, entry.deadline);
    }
    switch (discardInput(entry.poll.fd, &entry.budget)) {
        .ended => end(loop, entry),
        // The timer finds out when it fires.
        .some => entry.deadline = @max(entry.deadline, @min(entry.last, loop.tick() + linger_seconds)),
        .none => {},
    }
}

fn end(loop: *Loop, entry: *Linger) void {
    if (entry.prev) |prev| prev.next = entry.next else loop.lingering = entry.next;
    if (entry.next) |next| next.prev = entry.prev;
    loop.lingering_count -= 1;
    loop.redirectReady(&entry.poll, null);
    entry.output.free();
    entry.poll.close(loop);
    sys.free(entry);
}

/// Ends what lingered long enough; returns the next deadline.
pub fn expire(loop: *Loop, now: u32) u32 {
    var nearest: u32 = std.math.maxInt(u32);
    var next = loop.lingering;
    while (next) |entry| {
        next = entry.next;
        if (entry.deadline <= now) end(loop, entry) else nearest = @min(nearest, entry.deadline);
    }
    return nearest;
}

pub fn closeAll(loop: *Loop) void {
    while (loop.lingering) |entry| end(loop, entry);
}
