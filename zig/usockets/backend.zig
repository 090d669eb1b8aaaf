//! Which backend a loop has: io_uring or epoll on Linux, kqueue on macOS. SOCKETIFY_BACKEND forces one.
const std = @import("std");
const sys = @import("sys.zig");
const Loop = @import("loop.zig").Loop;

const variable = "SOCKETIFY_BACKEND";

/// On Linux in tests only, whose runner says so.
pub const has_kqueue = !sys.is_linux or @hasDecl(@import("root"), "kqueue_on_linux");

/// What says which descriptors are ready.
pub const Readiness = if (has_kqueue) @import("kqueue.zig").Kqueue else @import("epoll.zig").Epoll;
/// What moves the bytes itself; there is none beside a kqueue.
pub const Uring = if (has_kqueue) opaque {} else @import("uring.zig").Uring;

const Kind = enum(c_int) {
    epoll = 0,
    io_uring = 1,
    kqueue = 2,

    fn isOfThisSystem(kind: Kind) bool {
        return (kind == .kqueue) == has_kqueue;
    }
};

const Wish = union(enum) { none, unknown, forced: Kind };

/// What the next loop of this process would get, or why there would be none (see usockets_ext.h).
const unknown_name: c_int = -1;
const not_available: c_int = -2;

/// Taken where nothing is forced and the kernel has it: docs/performance.md has the figures that decide.
const preferred: Kind = readiness;
const readiness: Kind = if (has_kqueue) .kqueue else .epoll;

fn wish() Wish {
    const text = std.mem.span(sys.getenv(variable) orelse return .none);
    if (text.len == 0) return .none;
    const kind = std.meta.stringToEnum(Kind, text) orelse return .unknown;
    return if (kind.isOfThisSystem()) .{ .forced = kind } else .unknown;
}

/// Makes the backend of a new loop; errno says why there is none.
pub fn open(loop: *Loop) bool {
    const wanted: Kind = switch (wish()) {
        .unknown => {
            sys.setErrno(@backingInt(sys.Errno.INVAL));
            return false;
        },
        .none => preferred,
        .forced => |kind| kind,
    };
    if (!has_kqueue and wanted == .io_uring) {
        const ring = @import("ring.zig");
        loop.uring_or_null = Uring.create(loop) catch |failure| blk: {
            sys.setErrno(@backingInt(ring.errnoOf(failure)));
            break :blk null;
        };
        if (loop.uring_or_null != null) return true;
        if (wish() != .none) return false;
    }
    return loop.readiness.open();
}

pub fn close(loop: *Loop) void {
    if (loop.uring()) |uring| uring.destroy();
    loop.uring_or_null = null;
    loop.readiness.close();
}

/// Whose parent has the loop: its descriptor goes, and what the parent shares is left alone.
export fn us_loop_forget(loop: *Loop) void {
    if (loop.uring()) |uring| uring.ring.close() else loop.readiness.forget();
}

export fn us_loop_backend(loop: *Loop) c_int {
    return @backingInt(if (loop.uring() != null) Kind.io_uring else readiness);
}

/// Why the kernel refuses io_uring as an errno, or 0 where it does not.
export fn us_backend_refusal() c_int {
    return if (has_kqueue) @backingInt(sys.Errno.NOSYS) else Uring.refusal();
}

export fn us_backend() c_int {
    switch (wish()) {
        .unknown => return unknown_name,
        .none => return @backingInt(if (preferred == .io_uring and us_backend_refusal() == 0) Kind.io_uring else readiness),
        .forced => |kind| return if (kind == .io_uring and us_backend_refusal() != 0) not_available else @backingInt(kind),
    }
}
