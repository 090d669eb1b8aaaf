//! Layer 2: HTTP/2 of a server (RFC 9113, RFC 7541, RFC 8441, RFC 9218) as pure state machines, without IO.
//!
//! connection.zig says how it is used.

pub const Connection = @import("connection.zig").Connection;
pub const Context = @import("connection.zig").Context;
pub const ErrorCode = @import("codes.zig").ErrorCode;
pub const Event = @import("event.zig").Event;
pub const Head = @import("../http/head.zig").Head;
pub const Limits = @import("limits.zig").Limits;
pub const Stream = @import("streams.zig").Stream;

test {
    _ = @import("codes.zig");
    _ = @import("dynamic_table.zig");
    _ = @import("encoder.zig");
    _ = @import("field.zig");
    _ = @import("frame.zig");
    _ = @import("fuzz.zig");
    _ = @import("hpack_tests.zig");
    _ = @import("huffman.zig");
    _ = @import("limits.zig");
    _ = @import("memory_tests.zig");
    _ = @import("out.zig");
    _ = @import("priority.zig");
    _ = @import("ready.zig");
    _ = @import("send.zig");
    _ = @import("static_table.zig");
    _ = @import("streams.zig");
}
