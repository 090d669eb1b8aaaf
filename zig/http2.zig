//! http2/ alone, which reads http/, too: the root of its tests, and of the library that tests/http2 talks to.

pub const http2 = @import("http2/http2.zig");

comptime {
    _ = @import("http2/tests/library.zig");
}

test {
    _ = @import("http2/http2.zig");
}
