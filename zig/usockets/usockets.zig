//! Layer 1: the engine's libusockets.h for TCP and Unix-domain sockets, plain or with TLS, on Linux epoll or io_uring, and
//! usockets_ext.h.
//!
//! Referencing this file makes the exported functions part of the library.

comptime {
    _ = @import("address.zig");
    _ = @import("arrived.zig");
    _ = @import("backend.zig");
    _ = @import("context.zig");
    _ = @import("linger.zig");
    _ = @import("listener.zig");
    _ = @import("loop.zig");
    _ = @import("partner.zig");
    _ = @import("poll.zig");
    _ = @import("socket_api.zig");
    _ = @import("timeout.zig");
    _ = @import("timer.zig");
    _ = @import("tls_facts.zig");
    _ = @import("tls_library.zig");
    _ = @import("tls_options.zig");
    _ = @import("tls_server.zig");
}

test {
    _ = @import("timeout_tests.zig");
    _ = @import("tests.zig");
    _ = @import("backend_tests.zig");
    _ = @import("partner_tests.zig");
    _ = @import("accept_tests.zig");
    _ = @import("transfer_tests.zig");
    _ = @import("tls_tests.zig");
    _ = @import("carried_tests.zig");
    _ = @import("spare.zig");
    _ = @import("kqueue_tests.zig");
    _ = @import("sys_tests.zig");
}
