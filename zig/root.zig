//! The Zig half of the native library: everything that the C++ half links against.
//!
//! Nothing here calls into these modules; importing them makes their exported C functions part of the library.

comptime {
    _ = @import("usockets/usockets.zig");
    _ = @import("http/http.zig");
    _ = @import("carrier/carriers.zig");
}
