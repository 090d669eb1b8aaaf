//! Layer 1: the engine's libusockets.h for plain TCP and Unix-domain sockets on Linux epoll, and usockets_ext.h.
//!
//! Referencing this file makes the exported functions part of the library.

comptime {
    _ = @import("address.zig");
    _ = @import("context.zig");
    _ = @import("linger.zig");
    _ = @import("listener.zig");
    _ = @import("loop.zig");
    _ = @import("poll.zig");
    _ = @import("socket.zig");
    _ = @import("timeout.zig");
    _ = @import("timer.zig");
}

test {
    _ = @import("tests.zig");
}
