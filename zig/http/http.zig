//! Layer 2: strict HTTP/1.1 request syntax (RFC 9112, RFC 9110) as pure state machines, without IO or allocation.
//!
//! Referencing this file makes the exported functions, declared in include/HttpParser.h, part of the library.

comptime {
    _ = @import("head.zig");
    _ = @import("chunked.zig");
}

test {
    _ = @import("authority.zig");
    _ = @import("scan.zig");
    _ = @import("tests.zig");
    _ = @import("fuzz.zig");
}
