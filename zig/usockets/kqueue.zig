//! The kqueue backend: which descriptors are ready, asked for once a turn, in the words of epoll.
//!
//! What is decided without the kernel is in kqueue_filters.zig. Nobody has run this on macOS yet: on Linux it runs against
//! kqueue_model.zig, which stands in for the kernel, and with real sockets over epoll (kqueue_on_linux.zig).
const std = @import("std");
const assert = std.debug.assert;
const sys = @import("sys.zig");
const poll_module = @import("poll.zig");
const Poll = poll_module.Poll;
const Events = poll_module.Events;
const kqueue_filters = @import("kqueue_filters.zig");
const Event = kqueue_filters.Event;
const Flag = kqueue_filters.Flag;
const Filters = kqueue_filters.Filters;

const events_max = 1024;

/// What is ready, with the events of both filters of a descriptor together.
const Ready = extern struct { poll: ?*Poll, events: u32 };

pub const Kqueue = KqueueOn(if (sys.is_linux) @import("kqueue_on_linux.zig") else Kernel);

/// Over a kernel, or over what stands in for it.
pub fn KqueueOn(comptime System: type) type {
    return extern struct {
        const Self = @This();

        fd: c_int = -1,
        ready_index: u32 = 0,
        ready_count: u32 = 0,
        /// How many the kernel told in the last wait. Those that are ready still it counts among what waits, until it has looked.
        told_count: u32 = 0,
        ready: [events_max]Ready = undefined,
        told: [events_max]Event = undefined,

        pub fn open(kq: *Self) bool {
            kq.fd = System.open();
            return kq.fd >= 0;
        }

        pub fn close(kq: *Self) void {
            if (kq.fd >= 0) System.close(kq.fd);
            kq.fd = -1;
        }

        /// Whose parent has it: a child of a fork inherits no kqueue, and the number may be of something else.
        pub fn forget(kq: *Self) void {
            kq.fd = -1;
        }

        /// The connection's end is told, whoever is interested.
        fn tellsEnd(poll: *const Poll) bool {
            return poll.kind == .socket or poll.kind == .linger;
        }

        fn apply(kq: *Self, poll: *Poll, why: kqueue_filters.Why) bool {
            const wants = poll.filters.wanted(poll.interest, tellsEnd(poll));
            const changes = kqueue_filters.changesBetween(poll.filters, wants, poll.fd, @intFromPtr(poll), why);
            poll.filters = wants;
            return changes.count == 0 or System.change(kq.fd, changes.slice());
        }

        /// False when the kernel refuses.
        pub fn add(kq: *Self, poll: *Poll) bool {
            poll.filters = .{};
            poll.slot = 0;
            return kq.apply(poll, .no);
        }

        pub fn changed(kq: *Self, poll: *Poll) void {
            _ = kq.apply(poll, .no);
        }

        pub fn moved(kq: *Self, poll: *Poll) void {
            _ = kq.apply(poll, .moved);
        }

        /// The half that we end is not told to who waits for news of the other one.
        pub fn shutDown(kq: *Self, poll: *Poll, how: c_int) void {
            if (how != sys.shut_rd) poll.filters.output_ended = true;
            _ = kq.apply(poll, .again);
        }

        /// What has a descriptor of its own loses its filters when that closes.
        pub fn remove(kq: *Self, poll: *Poll) void {
            switch (poll.kind) {
                .partner => {
                    const changes = kqueue_filters.changesBetween(poll.filters, .{}, poll.fd, @intFromPtr(poll), .no);
                    poll.filters = .{};
                    if (changes.count > 0) _ = System.change(kq.fd, changes.slice());
                },
                .timer, .sweep => kq.stopTimer(poll),
                .wakeup => {},
                .socket, .carried, .listener, .linger => if (@hasDecl(System, "closing")) System.closing(kq.fd, poll.fd),
            }
        }

        pub fn wait(kq: *Self, timeout_ms: c_int) void {
            kq.ready_index = 0;
            kq.ready_count = 0;
            kq.told_count = System.wait(kq.fd, &kq.told, timeout_ms);
            for (kq.told[0..kq.told_count]) |event| {
                const poll: *Poll = @ptrFromInt(event.udata);
                const events = switch (event.filter) {
                    .read, .write => kqueue_filters.eventsOf(event, &poll.filters, poll.interest),
                    else => Events.readable,
                };
                if (events != 0) kq.note(poll, events);
            }
        }

        fn note(kq: *Self, poll: *Poll, events: u32) void {
            if (poll.slot < kq.ready_count and kq.ready[poll.slot].poll == poll) {
                kq.ready[poll.slot].events |= events;
                return;
            }
            poll.slot = kq.ready_count;
            kq.ready[kq.ready_count] = .{ .poll = poll, .events = events };
            kq.ready_count += 1;
        }

        /// Takes the events of a poll out. Returns whether there were any; the count is 0 when nothing else is left.
        pub fn takeOut(kq: *Self, poll: *const Poll) bool {
            var others = false;
            var found = false;
            for (kq.ready[0..kq.ready_count]) |*ready| {
                if (ready.poll == poll) {
                    ready.poll = null;
                    found = true;
                } else others = true;
            }
            if (!others) kq.ready_count = 0;
            return found;
        }

        /// `loop` is told poll by poll.
        pub fn dispatch(kq: *Self, loop: anytype) void {
            while (kq.ready_index < kq.ready_count) {
                const ready = kq.ready[kq.ready_index];
                kq.ready_index += 1;
                if (ready.poll) |poll| loop.dispatch(poll, ready.events);
            }
            kq.ready_count = 0;
            kq.ready_index = 0;
        }

        /// Events of this turn that were not handled yet now belong to `new`, or to nobody.
        pub fn redirect(kq: *Self, old: *Poll, new: ?*Poll) void {
            for (kq.ready[kq.ready_index..kq.ready_count]) |*ready| {
                if (ready.poll == old) ready.poll = new;
            }
        }

        // ---- what has no descriptor: its poll's address takes the place ----

        fn changeOne(kq: *Self, poll: *const Poll, filter: kqueue_filters.Filter, given: Event) bool {
            var change = given;
            change.ident = @intFromPtr(poll);
            change.udata = @intFromPtr(poll);
            change.filter = filter;
            change.flags |= Flag.receipt;
            return System.change(kq.fd, &.{change});
        }

        pub fn addWakeup(kq: *Self, poll: *const Poll) bool {
            return kq.changeOne(poll, .user, .{ .ident = 0, .filter = .user, .flags = Flag.add | Flag.clear });
        }

        /// From any thread.
        pub fn wake(kq: *Self, poll: *const Poll) void {
            _ = kq.changeOne(poll, .user, .{ .ident = 0, .filter = .user, .fflags = kqueue_filters.note_trigger });
        }

        /// Once, after so many milliseconds; in the place of what was set before.
        pub fn setTimer(kq: *Self, poll: *const Poll, delay_ms: isize) void {
            const change: Event = .{ .ident = 0, .filter = .timer, .flags = Flag.add | Flag.oneshot, .data = delay_ms };
            _ = kq.changeOne(poll, .timer, change);
        }

        pub fn stopTimer(kq: *Self, poll: *const Poll) void {
            _ = kq.changeOne(poll, .timer, .{ .ident = 0, .filter = .timer, .flags = Flag.delete });
        }
    };
}

const Kernel = struct {
    extern "c" fn kqueue() c_int;
    extern "c" fn kevent(
        kq: c_int,
        changes: [*]const Event,
        change_count: c_int,
        events: [*]Event,
        event_count: c_int,
        timeout: ?*const sys.Timespec,
    ) c_int;

    comptime {
        assert(@sizeOf(Event) == @sizeOf(std.c.Kevent));
        for (.{ "ident", "filter", "flags", "fflags", "data", "udata" }) |name|
            assert(@offsetOf(Event, name) == @offsetOf(std.c.Kevent, name));
    }

    fn open() c_int {
        const fd = kqueue();
        if (fd >= 0) sys.system.closeOnExec(fd);
        return fd;
    }

    fn close(fd: c_int) void {
        _ = sys.close(fd);
    }

    /// Makes all of them; false when one was refused.
    fn change(fd: c_int, changes: []const Event) bool {
        const none: sys.Timespec = .{ .sec = 0, .nsec = 0 };
        var receipts: [3]Event = undefined;
        assert(changes.len <= receipts.len);
        const count = kevent(fd, changes.ptr, @intCast(changes.len), &receipts, @intCast(changes.len), &none);
        if (count < 0) return false;
        for (receipts[0..@intCast(count)]) |receipt| {
            if (receipt.flags & Flag.failed == 0 or receipt.data == 0) continue;
            sys.setErrno(@intCast(receipt.data));
            return false;
        }
        return true;
    }

    /// How many were told. A signal ends it with none.
    fn wait(fd: c_int, out: []Event, timeout_ms: c_int) u32 {
        const span: sys.Timespec = .{
            .sec = @divTrunc(@max(timeout_ms, 0), 1000),
            .nsec = @as(isize, @rem(@max(timeout_ms, 0), 1000)) * 1_000_000,
        };
        const count = kevent(fd, out.ptr, 0, out.ptr, @intCast(out.len), if (timeout_ms < 0) null else &span);
        return if (count > 0) @intCast(count) else 0;
    }
};
