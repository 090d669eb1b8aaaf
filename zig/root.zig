//! The Zig half of the native library: everything that the C++ half links against.
//!
//! Nothing here calls into these modules; importing them makes their exported C functions part of the library.
const std = @import("std");
const builtin = @import("builtin");

comptime {
    _ = @import("usockets/usockets.zig");
    _ = @import("http/http.zig");
    _ = @import("carrier/carriers.zig");
}

/// Builds that look for faults say where; the others need nothing of the system for it that its C library may lack.
pub const panic = std.debug.FullPanic(if (looks_for_faults) std.debug.defaultPanic else sayAndAbort);

const looks_for_faults = builtin.optimize == .debug or builtin.optimize == .safe;

fn sayAndAbort(message: []const u8, _: ?usize) noreturn {
    _ = std.c.write(2, message.ptr, message.len);
    _ = std.c.write(2, "\n", 1);
    std.c.abort();
}
