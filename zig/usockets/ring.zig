//! The two queues that io_uring shares with the kernel, and the one system call that moves them.
const std = @import("std");
const assert = std.debug.assert;
const linux = std.os.linux;
const sys = @import("sys.zig");
const system = sys.system;

const entries = 1024;
/// More than all that one turn can complete, so that nothing overflows.
const completion_entries = 8192;

/// struct io_uring_getevents_arg: no mask of signals, and the address of a time.
const WaitArgument = extern struct { mask: u64 = 0, mask_bytes: u32 = 0, unused: u32 = 0, span: u64 };

pub const Submission = linux.io_uring_sqe;
pub const Completion = linux.io_uring_cqe;

pub const Ring = struct {
    fd: c_int,
    queues: linux.IoUring,
    /// Readable when there is something to do for who does not wait in here: a ring whose completions are deferred does not
    /// wake those who poll it. Other event descriptors must not be watched by the ring meanwhile: the kernel cannot write one
    /// from within another's write, and what it does later instead it does once only (seen with Linux 6.18).
    event_fd: c_int,
    completion_flags: *u32,
    /// One word that a forked child reads as 0: the queues are its parent's.
    owned: *volatile u32,
    /// Filled in where the kernel takes no more, which only happens on a thread that the ring does not belong to.
    lost: Submission = undefined,

    /// Completions are made when this thread asks for them, never in between (DEFER_TASKRUN, Linux 6.1).
    pub fn open() !Ring {
        var parameters = std.mem.zeroInit(linux.io_uring_params, .{
            .flags = linux.IORING_SETUP_SINGLE_ISSUER | linux.IORING_SETUP_DEFER_TASKRUN |
                linux.IORING_SETUP_TASKRUN_FLAG | linux.IORING_SETUP_CQSIZE | linux.IORING_SETUP_SUBMIT_ALL,
        });
        parameters.cq_entries = completion_entries;
        var queues: linux.IoUring = try .init_params(entries, &parameters);
        errdefer queues.deinit();
        const event_fd = system.eventfd(0, system.cloexec | sys.nonblock);
        if (event_fd < 0) return switch (sys.errno()) {
            .MFILE => error.ProcessFdQuotaExceeded,
            .NFILE => error.SystemFdQuotaExceeded,
            .PERM, .ACCES => error.PermissionDenied,
            else => error.SystemOutdated,
        };
        errdefer _ = sys.close(event_fd);
        queues.register_eventfd(event_fd) catch return error.SystemOutdated;
        const protection = system.prot_read | system.prot_write;
        const page = system.mmap(null, std.heap.page_size_min, protection, system.map_private | system.map_anonymous, -1, 0);
        if (page == system.map_failed) return error.SystemResources;
        errdefer _ = system.munmap(page, std.heap.page_size_min);
        if (system.madvise(page, std.heap.page_size_min, system.madv_wipeonfork) != 0) return error.SystemOutdated;
        const owned: *volatile u32 = @ptrCast(@alignCast(page));
        owned.* = 1;
        return .{
            .fd = queues.fd,
            .queues = queues,
            .event_fd = event_fd,
            .completion_flags = @ptrCast(@alignCast(&queues.sq.mmap[parameters.cq_off.flags])),
            .owned = owned,
        };
    }

    pub fn close(ring: *Ring) void {
        _ = system.munmap(@ptrCast(@volatileCast(ring.owned)), std.heap.page_size_min);
        ring.queues.deinit();
        _ = sys.close(ring.event_fd);
        ring.fd = -1;
    }

    pub fn isOwned(ring: *const Ring) bool {
        return ring.owned.* != 0;
    }

    /// An entry to fill in; what is queued goes to the kernel when there is no room.
    pub fn submission(ring: *Ring) *Submission {
        return ring.queues.get_sqe() catch {
            ring.enter(0, 0);
            return ring.queues.get_sqe() catch &ring.lost;
        };
    }

    pub fn submissions(ring: *Ring) u32 {
        return ring.queues.sq_ready();
    }

    pub fn completions(ring: *Ring) u32 {
        return ring.queues.cq_ready();
    }

    pub fn room(ring: *Ring) usize {
        return ring.queues.cq.cqes.len - ring.completions();
    }

    /// Whether there is something to take, or to complete first.
    pub fn hasWork(ring: *Ring) bool {
        return ring.completions() > 0 or ring.flagged(linux.IORING_SQ_TASKRUN | linux.IORING_SQ_CQ_OVERFLOW);
    }

    fn flagged(ring: *const Ring, flags: u32) bool {
        return @atomicLoad(u32, ring.queues.sq.flags, .acquire) & flags != 0;
    }

    /// While the loop is at work, or waits in here, the event descriptor stays quiet.
    pub fn silence(ring: *Ring) void {
        @atomicStore(u32, ring.completion_flags, linux.IORING_CQ_EVENTFD_DISABLED, .monotonic);
    }

    /// Before somebody else waits.
    pub fn announce(ring: *Ring) void {
        // Ordered before the look at what arrived meanwhile.
        _ = @atomicRmw(u32, ring.completion_flags, .Xchg, 0, .seq_cst);
        if (!ring.hasWork()) return;
        const one: u64 = 1;
        _ = sys.write(ring.event_fd, @ptrCast(&one), @sizeOf(u64));
    }

    pub fn clearEvent(ring: *Ring) void {
        var counter: u64 = undefined;
        _ = sys.read(ring.event_fd, @ptrCast(&counter), @sizeOf(u64));
    }

    /// Takes completions out, at most as many as fit.
    pub fn take(ring: *Ring, out: []Completion) u32 {
        return ring.queues.copy_cqes(out, 0) catch 0;
    }

    /// Submits everything, completes what is ready, and waits for `count` completions.
    pub fn turn(ring: *Ring, count: u32) void {
        ring.enter(count, linux.IORING_ENTER_GETEVENTS);
    }

    /// Submits everything, and waits for a completion so long at most (-1 for ever). A signal ends it.
    pub fn waitFor(ring: *Ring, timeout_ms: c_int) void {
        const ms: u64 = if (timeout_ms < 0) 0 else @intCast(timeout_ms);
        const span: linux.kernel_timespec = .{ .sec = @intCast(ms / 1000), .nsec = @intCast(ms % 1000 * 1_000_000) };
        const argument: WaitArgument = .{ .span = if (timeout_ms < 0) 0 else @intFromPtr(&span) };
        const flags = linux.IORING_ENTER_GETEVENTS | linux.IORING_ENTER_EXT_ARG;
        _ = linux.syscall6(
            .io_uring_enter,
            @intCast(ring.fd),
            ring.queues.flush_sq(),
            1,
            flags,
            @intFromPtr(&argument),
            @sizeOf(WaitArgument),
        );
        // What the kernel did not take goes with the next call; what it refuses to do now, `enter` deals with.
        if (ring.submissions() > 0) ring.turn(0);
    }

    /// Submits everything and completes all that follows from it; the kernel does no more than twenty in one go.
    pub fn completeAll(ring: *Ring) void {
        for (0..completion_entries) |_| {
            ring.turn(0);
            if (!ring.flagged(linux.IORING_SQ_TASKRUN)) return;
        }
    }

    fn enter(ring: *Ring, count: u32, given: u32) void {
        var flags = given;
        while (true) {
            const result = linux.io_uring_enter(ring.fd, ring.queues.flush_sq(), count, flags, null);
            switch (linux.errno(result)) {
                // A signal ends waiting.
                .SUCCESS, .INTR => if (ring.submissions() == 0) return,
                // Out of memory for a moment: completing what is under way frees some.
                .AGAIN, .BUSY => flags |= linux.IORING_ENTER_GETEVENTS,
                // Another thread than the one that made the ring: what is queued waits for that one.
                .EXIST => return,
                else => |code| std.debug.panic("io_uring_enter: {t}", .{code}),
            }
        }
    }
};

pub fn errnoOf(failure: anyerror) linux.E {
    return switch (failure) {
        error.PermissionDenied => .PERM,
        error.ArgumentsInvalid => .INVAL,
        error.ProcessFdQuotaExceeded => .MFILE,
        error.SystemFdQuotaExceeded => .NFILE,
        error.SystemResources, error.OutOfMemory => .NOMEM,
        else => .NOSYS,
    };
}

/// 0 for what the kernel only lacks just now.
pub fn lastingErrnoOf(failure: anyerror) c_int {
    return switch (errnoOf(failure)) {
        .MFILE, .NFILE, .NOMEM => 0,
        else => |code| @backingInt(code),
    };
}
