//! The io_uring backend: data arrives in buffers that the kernel picks, sends leave together when a turn ends.
//!
//! A poll is known to the kernel by its number in a table and that number's generation, never by its address: it may move, and
//! what completes after its end is recognised. What a poll wants is compared with what is under way when a turn ends, so
//! that wishes that change within a turn cost nothing. Polling is one-shot and begun anew, which makes it level-triggered.
const std = @import("std");
const assert = std.debug.assert;
const linux = std.os.linux;
const sys = @import("sys.zig");
const Poll = @import("poll.zig").Poll;
const Events = @import("poll.zig").Events;
const loop_module = @import("loop.zig");
const Loop = loop_module.Loop;
const Socket = @import("socket.zig").Socket;
const Listener = @import("listener.zig").Listener;
const uring_slot = @import("uring_slot.zig");
const none = uring_slot.none;
const Operation = uring_slot.Operation;
const Slot = uring_slot.Slot;
pub const Tag = uring_slot.Tag;
const ring_module = @import("ring.zig");
const Ring = ring_module.Ring;
const Completion = ring_module.Completion;
const Submission = ring_module.Submission;
const ring_buffers = @import("ring_buffers.zig");
const Buffers = ring_buffers.Buffers;
const SendQueue = @import("send_queue.zig").SendQueue;
const Pending = @import("pending.zig").Pending;

const allocator = std.heap.c_allocator;
/// Completions handled in one turn.
const ready_max = 256;
/// A callback that blocks for longer holds back what the turn has collected before it.
const slow_ms = 8;
/// For how many times as long sends go out at once after that, and for how long at most. A machine that stops for a moment
/// looks like a callback that blocks, and must not cost a second of single sends.
const cautious_factor = 8;
const cautious_max_ms = 1000;
/// Reads in a row that would have fitted a buffer, after which a socket goes back to receiving into buffers.
const small_reads = 16;

pub const Uring = struct {
    loop: *Loop,
    ring: Ring,
    buffers: Buffers,
    sends: SendQueue,
    slots: std.ArrayList(Slot) = .empty,
    free: u32 = none,
    dirty: std.ArrayList(u32) = .empty,
    held: std.AutoHashMapUnmanaged(u32, Pending) = .empty,
    /// Until this moment nothing is collected.
    cautious_until: i64 = 0,
    /// The poll whose completion is the last of this turn, while that is handled.
    last: u32 = none,
    ready_count: u32 = 0,
    ready: [ready_max]Completion = undefined,

    pub fn create(loop: *Loop) !*Uring {
        const uring = try allocator.create(Uring);
        errdefer allocator.destroy(uring);
        var ring: Ring = try .open();
        errdefer ring.close();
        var buffers: Buffers = try .open(ring.fd);
        errdefer buffers.close();
        uring.* = .{ .loop = loop, .ring = ring, .buffers = buffers, .sends = try .init(allocator) };
        return uring;
    }

    pub fn destroy(uring: *Uring) void {
        // Descriptors that wait to be closed.
        if (uring.ring.isOwned()) {
            uring.ring.turn(0);
            uring.refuseAccepted();
        }
        uring.ring.close();
        uring.buffers.close();
        uring.sends.deinit(allocator);
        uring.slots.deinit(allocator);
        uring.dirty.deinit(allocator);
        var held = uring.held.valueIterator();
        while (held.next()) |pending| pending.free();
        uring.held.deinit(allocator);
        allocator.destroy(uring);
    }

    /// Connections for listeners that are closed.
    fn refuseAccepted(uring: *Uring) void {
        while (true) {
            const count = uring.ring.take(&uring.ready);
            if (count == 0) return;
            for (uring.ready[0..count]) |completion| {
                const tag: Tag = @bitCast(completion.user_data);
                if (tag.operation == .accept and completion.res >= 0) _ = sys.close(completion.res);
            }
        }
    }

    /// Why the kernel refuses, as an errno; 0 where it does not, and where it only lacks descriptors or memory just now.
    pub fn refusal() c_int {
        var ring = Ring.open() catch |failure| return ring_module.lastingErrnoOf(failure);
        defer ring.close();
        var buffers = Buffers.open(ring.fd) catch |failure| return ring_module.lastingErrnoOf(failure);
        buffers.close();
        return 0;
    }

    // ---- what polls want ----

    pub fn add(uring: *Uring, poll: *Poll) bool {
        if (!uring.ring.isOwned()) return false;
        if (uring.free == none) {
            uring.slots.append(allocator, .{ .next_free = none }) catch return false;
            uring.free = @intCast(uring.slots.items.len - 1);
        }
        // So that nothing that follows can fail.
        uring.dirty.ensureTotalCapacity(allocator, uring.slots.items.len) catch return false;
        poll.slot = uring.free;
        const slot = &uring.slots.items[poll.slot];
        uring.free = slot.next_free;
        slot.* = .{ .poll = poll, .generation = slot.generation, .sequence = slot.sequence, .dirty = slot.dirty };
        slot.buffered = if (socketOf(poll)) |socket| socket.tls == null else false;
        uring.touch(poll.slot);
        return true;
    }

    /// The poll wants something else, or is another object with the same number.
    pub fn changed(uring: *Uring, poll: *Poll) void {
        if (!uring.ring.isOwned()) return;
        const slot = &uring.slots.items[poll.slot];
        slot.poll = poll;
        // What lingers discards what was held.
        if (slot.holds and poll.interest & Events.readable != 0)
            if (socketOf(poll)) |socket| socket.scheduleRead() else uring.dropHeld(poll.slot);
        uring.touch(poll.slot);
    }

    pub fn close(uring: *Uring, poll: *Poll) void {
        if (!uring.ring.isOwned()) {
            _ = sys.close(poll.fd);
            return;
        }
        const busy = uring.release(poll);
        if (!busy) {
            _ = sys.close(poll.fd);
            return;
        }
        // What is under way keeps the socket open, so it ends first.
        uring.submit(.CLOSE, .{ .fd = poll.fd });
        if (poll.kind == .listener) {
            // A port must be free at once.
            uring.ring.completeAll();
        } else if (!uring.loop.running) {
            uring.ring.turn(0);
        }
    }

    /// Gives the poll's number back; whether something is under way that keeps its descriptor open.
    pub fn release(uring: *Uring, poll: *Poll) bool {
        const slot = &uring.slots.items[poll.slot];
        const busy = slot.polling or slot.multishot != .no;
        if (slot.polling) uring.endPoll(poll.slot);
        if (slot.multishot == .yes) uring.endMultishot(poll.slot);
        uring.dropHeld(poll.slot);
        slot.poll = null;
        slot.generation +%= 1;
        slot.next_free = uring.free;
        uring.free = poll.slot;
        return busy;
    }

    fn touch(uring: *Uring, number: u32) void {
        const slot = &uring.slots.items[number];
        if (slot.dirty) return;
        slot.dirty = true;
        uring.dirty.appendAssumeCapacity(number);
        if (!uring.loop.running) uring.flush();
    }

    fn socketOf(poll: *Poll) ?*Socket {
        return if (poll.kind == .socket) @fieldParentPtr("poll", poll) else null;
    }

    fn listenerOf(poll: *Poll) ?*Listener {
        return if (poll.kind == .listener) @fieldParentPtr("poll", poll) else null;
    }

    // ---- submissions ----

    const Fields = struct {
        fd: c_int = -1,
        address: u64 = 0,
        tag: Tag = .{},
        events: u32 = 0,
        length: u32 = 0,
    };

    /// An operation of which only a failure is reported.
    fn submit(uring: *Uring, operation: linux.IORING_OP, fields: Fields) void {
        const entry = uring.ring.submission();
        entry.prep_rw(operation, fields.fd, fields.address, fields.length, 0);
        entry.rw_flags = fields.events;
        entry.user_data = @bitCast(fields.tag);
        if (fields.tag.operation == .ignored) entry.flags = linux.IOSQE_CQE_SKIP_SUCCESS;
    }

    fn pollTag(uring: *const Uring, number: u32) Tag {
        const slot = &uring.slots.items[number];
        return .{ .slot = number, .operation = .poll, .sequence = slot.sequence, .generation = slot.generation };
    }

    fn multishotTag(uring: *const Uring, number: u32) Tag {
        const slot = &uring.slots.items[number];
        const operation: Operation = if (slot.poll.?.kind == .listener) .accept else .receive;
        return .{ .slot = number, .operation = operation, .generation = slot.generation };
    }

    fn beginPoll(uring: *Uring, number: u32, events: u16) void {
        const slot = &uring.slots.items[number];
        slot.polling = true;
        slot.polled = events;
        slot.told = false;
        // A half that the peer has ended is always reported by the kernel: then only changes are asked for.
        const flags: u32 = if (slot.half_closed) linux.IORING_POLL_ADD_MULTI else 0;
        uring.submit(.POLL_ADD, .{ .fd = slot.poll.?.fd, .tag = uring.pollTag(number), .events = events, .length = flags });
    }

    fn endPoll(uring: *Uring, number: u32) void {
        const slot = &uring.slots.items[number];
        uring.submit(.POLL_REMOVE, .{ .address = @bitCast(uring.pollTag(number)) });
        slot.polling = false;
        slot.sequence +%= 1;
    }

    fn beginMultishot(uring: *Uring, number: u32) void {
        const slot = &uring.slots.items[number];
        slot.multishot = .yes;
        const entry = uring.ring.submission();
        if (slot.poll.?.kind == .listener) {
            entry.prep_rw(.ACCEPT, slot.poll.?.fd, 0, 0, 0);
            entry.ioprio = linux.IORING_ACCEPT_MULTISHOT;
            entry.rw_flags = sys.system.cloexec | sys.nonblock;
        } else {
            entry.prep_rw(.RECV, slot.poll.?.fd, 0, 0, 0);
            entry.ioprio = linux.IORING_RECV_MULTISHOT;
            entry.flags = linux.IOSQE_BUFFER_SELECT;
            entry.buf_index = ring_buffers.group;
        }
        entry.user_data = @bitCast(uring.multishotTag(number));
    }

    fn endMultishot(uring: *Uring, number: u32) void {
        uring.slots.items[number].multishot = .ending;
        uring.submit(.ASYNC_CANCEL, .{ .address = @bitCast(uring.multishotTag(number)) });
    }

    fn wantsMultishot(slot: *const Slot, poll: *Poll) bool {
        if (poll.interest & Events.readable == 0) return false;
        return if (listenerOf(poll)) |listening| listening.takesAhead() else slot.buffered and !slot.holds;
    }

    /// Makes what is under way what the poll wants.
    fn reconcile(uring: *Uring, number: u32) void {
        const slot = &uring.slots.items[number];
        slot.dirty = false;
        const poll = slot.poll orelse return;
        const wanted = wantsMultishot(slot, poll);
        if (wanted and slot.multishot == .no) uring.beginMultishot(number);
        if (!wanted and slot.multishot == .yes) uring.endMultishot(number);
        // It finds out about errors too. What arrived before is delivered before more is read.
        const watched = slot.multishot != .no;
        const events: u16 = if (watched or slot.holds) poll.interest & ~@as(u16, Events.readable) else poll.interest;
        const polls = !watched or events != 0;
        const again = slot.told and events != 0;
        if (slot.polling and (!polls or slot.polled != events or again)) uring.endPoll(number);
        if (polls and !slot.polling) uring.beginPoll(number, events);
    }

    /// Everything that a turn has brought about, in one system call.
    pub fn flush(uring: *Uring) void {
        if (!uring.ring.isOwned()) return;
        while (true) {
            uring.prepare();
            if (uring.ring.submissions() == 0 and uring.sends.isShort()) {
                uring.sends.sendAllNow();
            } else {
                const sends = uring.sends.submitAll(&uring.ring);
                if (uring.ring.submissions() > 0) uring.ring.turn(0);
                if (sends) uring.sends.reap(&uring.ring);
            }
            // A socket that could not send everything waits until it can.
            if (uring.dirty.items.len == 0) return;
        }
    }

    pub fn prepare(uring: *Uring) void {
        for (uring.dirty.items) |number| uring.reconcile(number);
        uring.dirty.clearRetainingCapacity();
    }

    // ---- completions ----

    /// Turns while there is work, as many as are allowed.
    pub fn pump(uring: *Uring, turns: u32) void {
        if (!uring.ring.isOwned()) return;
        uring.ring.silence();
        uring.ring.clearEvent();
        for (0..turns) |_| {
            uring.loop.iterate(false);
            if (!uring.ring.hasWork()) break;
        }
        uring.ring.announce();
    }

    /// Turns that wait in here, until nothing is left to wait for.
    pub fn run(uring: *Uring) void {
        const loop = uring.loop;
        uring.ring.silence();
        loop.wakeup.interest = Events.readable;
        if (!uring.add(&loop.wakeup)) return;
        while (loop.active > 0) loop.iterate(true);
        _ = uring.release(&loop.wakeup);
        uring.ring.announce();
    }

    pub fn wait(uring: *Uring, waits: bool) void {
        if (!uring.ring.isOwned()) return;
        uring.prepare();
        if (uring.ring.completions() == 0) uring.ring.turn(@intFromBool(waits));
        uring.ready_count = uring.ring.take(&uring.ready);
    }

    pub fn dispatch(uring: *Uring) void {
        uring.loop.wokenUp();
        var before = sys.monotonicMs();
        uring.sends.closed = before < uring.cautious_until;
        for (uring.ready[0..uring.ready_count], 1..) |completion, number| {
            const tag: Tag = @bitCast(completion.user_data);
            if (number == uring.ready_count) uring.last = tag.slot;
            switch (tag.operation) {
                .ignored, .send => {},
                .poll => uring.polled(tag, completion),
                .receive => uring.received(tag, completion),
                .accept => uring.accepted(tag, completion),
            }
            const now = sys.monotonicMs();
            if (now != before) uring.timePassed(before, now);
            before = now;
        }
        uring.ready_count = 0;
        uring.last = none;
    }

    /// Nobody else's answer is waited for any more: what the turn has collected leaves, while the program may go on for long.
    pub fn hurry(uring: *Uring, socket: *const Socket) void {
        if (socket.poll.slot != uring.last) return;
        // What is sent after that leaves with the end of the turn.
        uring.last = none;
        uring.flush();
    }

    /// Replies wait for the callbacks that follow in a turn, but not for long.
    fn timePassed(uring: *Uring, before: i64, now: i64) void {
        if (now - before >= slow_ms) {
            uring.cautious_until = now + @min(cautious_factor * (now - before), cautious_max_ms);
            uring.sends.closed = true;
        }
        if (uring.sends.count > 0) uring.flush();
    }

    fn polled(uring: *Uring, tag: Tag, completion: Completion) void {
        const slot = &uring.slots.items[tag.slot];
        if (slot.generation != tag.generation or slot.sequence != tag.sequence or !slot.polling) return;
        const events: u32 = if (completion.res < 0) Events.failed else @intCast(completion.res);
        if (completion.flags & linux.IORING_CQE_F_MORE == 0) slot.polling = false;
        if (slot.polling and events & slot.polled != 0) slot.told = true;
        if (!slot.polling or slot.told) uring.touch(tag.slot);
        if (events & Events.half_closed != 0) slot.half_closed = true;
        const asked = events & (slot.poll.?.interest | Events.failed | Events.hung_up);
        if (asked != 0) uring.loop.dispatch(slot.poll.?, asked);
    }

    /// A multishot operation that has ended begins anew when it is wanted.
    fn noteEnd(uring: *Uring, number: u32, completion: Completion) void {
        if (completion.flags & linux.IORING_CQE_F_MORE != 0) return;
        uring.slots.items[number].multishot = .no;
        uring.touch(number);
    }

    fn accepted(uring: *Uring, tag: Tag, completion: Completion) void {
        const slot = &uring.slots.items[tag.slot];
        if (slot.generation != tag.generation) {
            // What waits in the backlog of a listener that closes is refused as well.
            if (completion.res >= 0) _ = sys.close(completion.res);
            return;
        }
        uring.noteEnd(tag.slot, completion);
        listenerOf(slot.poll.?).?.accepted(completion.res);
    }

    fn received(uring: *Uring, tag: Tag, completion: Completion) void {
        const buffer: ?u16 = completion.buffer_id() catch null;
        defer if (buffer) |number| uring.buffers.putBack(number);
        const slot = &uring.slots.items[tag.slot];
        if (slot.generation != tag.generation) return;
        uring.noteEnd(tag.slot, completion);
        const socket = socketOf(slot.poll.?) orelse return;
        const withheld = slot.holds or socket.poll.interest & Events.readable == 0;
        if (completion.res > 0) {
            const data = uring.buffers.data(buffer.?)[0..@intCast(completion.res)];
            if (data.len == ring_buffers.data_bytes) {
                // There is more than buffers are good for.
                slot.buffered = false;
                slot.small_reads = 0;
                uring.touch(tag.slot);
            }
            if (withheld) return uring.hold(socket, data);
            _ = socket.context.on_data.?(socket, data.ptr, completion.res);
        } else if (completion.res == 0) {
            // The end stays, for the next receive.
            if (!withheld) socket.peerEnded();
        } else switch (@as(linux.E, @fromBackingInt(@intCast(-completion.res)))) {
            // Without buffers for a moment, or stopped by us: it begins anew when it is wanted.
            .NOBUFS, .CANCELED, .INTR, .AGAIN => {},
            else => _ = socket.close(0, null),
        }
    }

    // ---- what arrived while nobody reads ----

    fn hold(uring: *Uring, socket: *Socket, data: []const u8) void {
        const entry = uring.held.getOrPutValue(allocator, socket.poll.slot, .{}) catch {
            _ = socket.close(0, null);
            return;
        };
        uring.slots.items[socket.poll.slot].holds = true;
        entry.value_ptr.append(data) catch {
            _ = socket.close(0, null);
        };
    }

    fn dropHeld(uring: *Uring, number: u32) void {
        const slot = &uring.slots.items[number];
        if (!slot.holds) return;
        slot.holds = false;
        var entry = uring.held.fetchRemove(number).?;
        entry.value.free();
    }

    /// The socket reads on.
    pub fn deliverHeld(uring: *Uring, given: *Socket) void {
        var socket = given;
        while (true) {
            const number = socket.poll.slot;
            const slot = &uring.slots.items[number];
            if (!slot.holds or socket.poll.interest & Events.readable == 0) return;
            const pending = uring.held.getPtr(number).?;
            const buffer = uring.loop.receiveBuffer();
            const rest = pending.bytes[pending.begin..];
            const size = @min(rest.len, loop_module.receive_bytes);
            @memcpy(buffer[0..size], rest[0..size]);
            pending.begin += size;
            if (pending.isEmpty()) {
                uring.dropHeld(number);
                uring.touch(number);
            }
            socket = socket.context.on_data.?(socket, buffer, @intCast(size)) orelse return;
            if (socket.closed()) return;
        }
    }

    /// A socket that was read directly may now be better off with buffers.
    pub fn noteRead(uring: *Uring, poll: *const Poll, count: usize) void {
        const slot = &uring.slots.items[poll.slot];
        if (slot.buffered or count >= ring_buffers.data_bytes) {
            slot.small_reads = 0;
            return;
        }
        slot.small_reads += 1;
        if (slot.small_reads < small_reads) return;
        slot.buffered = true;
        uring.touch(poll.slot);
    }
};
