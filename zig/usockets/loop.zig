//! The event loop: one backend, one wake-up descriptor, one timer for all sockets.
const std = @import("std");
const assert = std.debug.assert;
const sys = @import("sys.zig");
const Poll = @import("poll.zig").Poll;
const alarm = @import("alarm.zig");
const backend = @import("backend.zig");
const Uring = backend.Uring;
const Context = @import("context.zig").Context;
const Socket = @import("socket.zig").Socket;
const Spare = @import("spare.zig").Spare;
const Timer = @import("timer.zig").Timer;
const linger = @import("linger.zig");
const listener = @import("listener.zig");
const Partner = @import("partner.zig").Partner;
const timeout = @import("timeout.zig");

/// Bytes of the receive buffer that all sockets of a loop share (LIBUS_RECV_BUFFER_LENGTH).
pub const receive_bytes: usize = 512 * 1024;
/// Bytes that a parser may write before and behind what was received (LIBUS_RECV_BUFFER_PADDING).
pub const padding_bytes: usize = 32;
/// Turns of one pump while there is more to do, so that what drives the loop gets its share too.
const turns_per_pump = 8;

pub const LoopCallback = *const fn (*Loop) callconv(.c) void;

/// A walk over a context's sockets that stays right when sockets are opened and closed meanwhile.
pub const Walk = struct {
    next: ?*Socket,
    outer: ?*Walk,
};

pub const Loop = extern struct {
    readiness: backend.Readiness = .{},
    /// The backend where that is not it: see `uring`.
    uring_or_null: ?*Uring = null,
    owner_pid: c_int,
    running: bool = false,
    /// Nothing is watched any more; only contexts and their sockets are left.
    freed: bool = false,
    /// A wake-up was asked for that the loop has not seen yet.
    wake_pending: std.atomic.Value(bool) = .init(false),
    wakeup: Poll,
    sweep: Poll,
    on_wakeup: LoopCallback,
    on_pre: LoopCallback,
    on_post: LoopCallback,
    receive_memory: [*]u8,
    contexts: ?*Context = null,
    /// Sockets whose memory is freed when the turn ends.
    closed: ?*Socket = null,
    /// Sockets that want their data callback once more.
    scheduled: ?*Socket = null,
    lazy_timers: ?*Timer = null,
    lingering: ?*linger.Linger = null,
    lingering_count: u32 = 0,
    /// Listeners that ran out of descriptors.
    starved: bool = false,
    /// When listeners of contexts that are full are looked at, or 0.
    retry_tick: u32 = 0,
    /// Tick the sweep timer is armed for, or 0.
    armed_tick: u32 = 0,
    now_tick: u32,
    wheel: timeout.Wheel,
    /// Polls that keep us_loop_run going.
    active: u32 = 0,
    turn: i64 = 0,
    sweep_due: bool = false,
    walks: ?*anyopaque = null,
    partner: Partner = .{},
    spare: Spare = .{},
    /// Events wait to be handled, so that the next turn need not ask for them.
    collected: bool = false,

    pub fn receiveBuffer(loop: *Loop) [*]u8 {
        return loop.receive_memory + padding_bytes;
    }

    pub fn wake(loop: *Loop) void {
        if (loop.wake_pending.swap(true, .acq_rel)) return;
        alarm.wake(loop, &loop.wakeup);
    }

    pub fn wokenUp(loop: *Loop) void {
        if (loop.wake_pending.swap(false, .acq_rel)) loop.on_wakeup(loop);
    }

    /// Null where there is none on this system, which the compiler knows.
    pub inline fn uring(loop: *const Loop) ?*Uring {
        return if (backend.has_kqueue) null else loop.uring_or_null;
    }

    /// Everything that is watched; errno says what failed.
    fn open(loop: *Loop) bool {
        return backend.open(loop) and alarm.openWakeup(loop, &loop.wakeup) and alarm.openTimer(loop, &loop.sweep);
    }

    /// The tick of this moment; inside a turn, the one of its beginning.
    pub fn tick(loop: *Loop) u32 {
        if (!loop.running) loop.now_tick = sys.monotonicTick();
        return loop.now_tick;
    }

    pub fn beginWalk(loop: *Loop, walk: *Walk) void {
        walk.outer = @ptrCast(@alignCast(loop.walks));
        loop.walks = walk;
    }

    pub fn endWalk(loop: *Loop, walk: *Walk) void {
        assert(loop.walks == @as(*anyopaque, walk));
        loop.walks = walk.outer;
    }

    /// A socket leaves its list: no walk may step on it.
    pub fn skipInWalks(loop: *Loop, socket: *Socket) void {
        var walk: ?*Walk = @ptrCast(@alignCast(loop.walks));
        while (walk) |each| : (walk = each.outer) {
            if (each.next == socket) each.next = socket.next;
        }
    }

    /// Events of this turn that were not handled yet now belong to `new`, or to nobody.
    pub fn redirectReady(loop: *Loop, old: *Poll, new: ?*Poll) void {
        // The other backend finds its polls by number.
        if (loop.uring() == null) loop.readiness.redirect(old, new);
    }

    pub fn iterate(loop: *Loop, waits: bool) void {
        assert(!loop.running);
        loop.running = true;
        loop.now_tick = sys.monotonicTick();
        loop.on_pre(loop);
        if (loop.collected) {
            loop.collected = false;
        } else if (loop.uring()) |ring| ring.wait(waits) else loop.readiness.wait(if (waits) -1 else 0);
        // Where nothing was waited for it is the same.
        if (waits) loop.now_tick = sys.monotonicTick();
        loop.turn += 1;
        Timer.runLazy(loop);
        if (loop.uring()) |ring| ring.dispatch() else loop.readiness.dispatch(loop);
        // After the sockets: when the program was blocked for long, those whose events waited for it are not idle.
        if (loop.sweep_due) {
            loop.sweep_due = false;
            timeout.sweep(loop);
        }
        Socket.deliverScheduled(loop);
        if (loop.closed != null) Socket.freeClosed(loop);
        loop.on_post(loop);
        if (loop.uring()) |ring| ring.flush();
        loop.running = false;
        // What the post callback closed must not wait for traffic.
        if (loop.closed != null or loop.scheduled != null) loop.wake();
    }

    pub fn dispatch(loop: *Loop, poll: *Poll, events: u32) void {
        switch (poll.kind) {
            .socket => Socket.ready(@fieldParentPtr("poll", poll), events),
            .carried => unreachable,
            .listener => listener.acceptAll(@fieldParentPtr("poll", poll)),
            .wakeup => {
                alarm.fired(loop, poll);
                loop.wokenUp();
            },
            .sweep => {
                alarm.fired(loop, poll);
                loop.sweep_due = true;
            },
            .timer => {
                const timer: *Timer = @fieldParentPtr("poll", poll);
                timer.fired();
            },
            .linger => linger.ready(loop, @fieldParentPtr("poll", poll)),
            .partner => loop.partner.ready = true,
        }
    }
};

/// Null when memory or descriptors are exhausted, or something that a loop needs is refused: errno says which.
export fn us_create_loop(
    hint: ?*anyopaque,
    on_wakeup: LoopCallback,
    on_pre: LoopCallback,
    on_post: LoopCallback,
    ext_size: c_uint,
) ?*Loop {
    _ = hint;
    const loop = sys.create(Loop, ext_size) orelse return null;
    const memory = sys.calloc(1, receive_bytes + 2 * padding_bytes) orelse {
        sys.free(loop);
        return null;
    };
    loop.* = .{
        .owner_pid = sys.getpid(),
        .wakeup = .{ .fd = -1, .kind = .wakeup },
        .sweep = .{ .fd = -1, .kind = .sweep },
        .on_wakeup = on_wakeup,
        .on_pre = on_pre,
        .on_post = on_post,
        .receive_memory = @ptrCast(memory),
        .now_tick = sys.monotonicTick(),
        .wheel = .{ .swept_tick = sys.monotonicTick() },
    };
    if (!loop.open()) {
        const reason = sys.errnoValue();
        us_loop_free(loop);
        sys.setErrno(reason);
        return null;
    }
    return loop;
}

export fn us_loop_free(loop: *Loop) void {
    assert(!loop.running);
    Socket.freeClosed(loop);
    linger.closeAll(loop);
    // It is the backend's own.
    if (loop.uring() != null) loop.wakeup.fd = -1;
    backend.close(loop);
    for ([_]*c_int{ &loop.wakeup.fd, &loop.sweep.fd }) |fd| {
        if (fd.* >= 0) _ = sys.close(fd.*);
        fd.* = -1;
    }
    sys.free(loop.receive_memory);
    loop.spare.deinit();
    loop.freed = true;
    if (loop.contexts == null) sys.free(loop);
}

/// The thread of the loop may have ended before everything on the loop was closed: the last context takes what is left along.
pub fn contextFreed(loop: *Loop) void {
    if (!loop.freed or loop.contexts != null) return;
    Socket.freeClosed(loop);
    loop.spare.deinit();
    sys.free(loop);
}

export fn us_loop_ext(loop: *Loop) *anyopaque {
    return sys.extOf(Loop, loop);
}

export fn us_loop_run(loop: *Loop) void {
    if (loop.uring()) |uring| return uring.run();
    while (loop.active > 0) loop.iterate(true);
}

export fn us_loop_pump(loop: *Loop) c_int {
    if (loop.running) return -1;
    if (!loop.partner.follows()) {
        if (loop.uring()) |uring| {
            uring.pump(turns_per_pump);
            return 0;
        }
    }
    loop.iterate(false);
    if (!backend.has_kqueue or loop.partner.follows()) return 0;
    // What a kqueue has told stays counted until it has looked again, and who waits for its descriptor would wake for nothing.
    if (loop.readiness.told_count > 0) loop.iterate(false);
    return 0;
}

export fn us_loop_fd(loop: *Loop) c_int {
    return if (loop.uring()) |uring| uring.ring.event_fd else loop.readiness.fd;
}

export fn us_wakeup_loop(loop: *Loop) void {
    loop.wake();
}

/// Nothing to hook up: the sweep timer is armed by the first socket that needs it.
export fn us_loop_integrate(loop: *Loop) void {
    _ = loop;
}

export fn us_loop_iteration_number(loop: *Loop) c_longlong {
    return loop.turn;
}
