//! Layer 2: HTTP/2 of a server (RFC 9113, RFC 7541, RFC 8441, RFC 9218) as pure state machines, without IO.
//!
//! Referencing this file makes the exported functions, declared in include/Http2.h, part of the library.

comptime {
    _ = @import("abi.zig");
}

test {
    _ = @import("codes.zig");
    _ = @import("control.zig");
    _ = @import("dynamic_table.zig");
    _ = @import("encoder.zig");
    _ = @import("field.zig");
    _ = @import("frame.zig");
    _ = @import("hpack_tests.zig");
    _ = @import("huffman.zig");
    _ = @import("limits.zig");
    _ = @import("priority.zig");
    _ = @import("ready.zig");
    _ = @import("static_table.zig");
    _ = @import("streams.zig");
}
