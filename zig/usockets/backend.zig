//! Which backend a loop has: io_uring or epoll. SOCKETIFY_BACKEND forces one.
const std = @import("std");
const sys = @import("sys.zig");
const Loop = @import("loop.zig").Loop;
const ring = @import("ring.zig");
const Uring = @import("uring.zig").Uring;

const variable = "SOCKETIFY_BACKEND";

const Kind = enum(c_int) { epoll = 0, io_uring = 1 };

const Wish = union(enum) { none, unknown, forced: Kind };

/// What the next loop of this process would get, or why there would be none (see usockets_ext.h).
const unknown_name: c_int = -1;
const not_available: c_int = -2;

/// Taken where nothing is forced and the kernel has it: docs/performance.md has the figures that decide.
const preferred: Kind = .epoll;

fn wish() Wish {
    const text = std.mem.span(sys.getenv(variable) orelse return .none);
    if (text.len == 0) return .none;
    return .{ .forced = std.meta.stringToEnum(Kind, text) orelse return .unknown };
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
    if (wanted == .io_uring) {
        loop.uring = Uring.create(loop) catch |failure| blk: {
            sys.setErrno(@backingInt(ring.errnoOf(failure)));
            break :blk null;
        };
        if (loop.uring != null) return true;
        if (wish() != .none) return false;
    }
    loop.epoll.fd = sys.epoll_create1(sys.cloexec);
    return loop.epoll.fd >= 0;
}

pub fn close(loop: *Loop) void {
    if (loop.uring) |uring| uring.destroy();
    loop.uring = null;
    if (loop.epoll.fd >= 0) _ = sys.close(loop.epoll.fd);
}

/// Whose parent has the loop: its descriptor goes, and what the parent shares is left alone.
export fn us_loop_forget(loop: *Loop) void {
    if (loop.uring) |uring| uring.ring.close() else _ = sys.close(loop.epoll.fd);
}

export fn us_loop_backend(loop: *Loop) c_int {
    return @backingInt(if (loop.uring != null) Kind.io_uring else Kind.epoll);
}

/// Why the kernel refuses io_uring as an errno, or 0 where it does not.
export fn us_backend_refusal() c_int {
    return Uring.refusal();
}

export fn us_backend() c_int {
    switch (wish()) {
        .unknown => return unknown_name,
        .none => return @backingInt(if (preferred == .io_uring and Uring.refusal() == 0) Kind.io_uring else Kind.epoll),
        .forced => |kind| return if (kind == .io_uring and Uring.refusal() != 0) not_available else @backingInt(kind),
    }
}
