//! What a connection tells its owner.
const codes = @import("codes.zig");
const Head = @import("../http/head.zig").Head;
const Text = @import("../http/head.zig").Text;

/// Values match those of include/Http2.h.
pub const Kind = enum(u32) {
    none = 0,
    /// A head: `head`, `protocol` and `scheme` are of the request; `ends` where no content follows.
    request = 1,
    /// A piece of content: `data`; `ends` with the last one, which may be empty.
    data = 2,
    /// The end of the content, with trailers: the fields of `head`.
    trailers = 3,
    /// The stream is over, by the peer's or its own fault: `code`. Nothing can be sent on it.
    reset = 4,
    /// The request gets no further: it is to be answered with the status of `refusal`. The rest of its content is discarded.
    /// The head was not announced before where `begins`.
    refused = 5,
    settings_acknowledged = 6,
    /// The answer to a ping: `data` has its eight bytes.
    pong = 7,
    /// The peer opens no more streams: `code`.
    goaway = 8,
    /// The connection is over: `code` is in the GOAWAY that is to be written. No stream can be sent on any more.
    failed = 9,
};

pub const Event = extern struct {
    kind: Kind = .none,
    stream: u32 = 0,
    code: u32 = 0,
    /// An index into httpErrorResponses of zig/http/include/HttpErrors.h.
    refusal: i32 = 0,
    ends: bool = false,
    begins: bool = false,
    /// The request is an extended CONNECT (RFC 8441): `protocol`.
    extended: bool = false,
    urgency: u8 = 3,
    incremental: bool = false,
    user: u64 = 0,
    data: Text = none,
    protocol: Text = none,
    scheme: Text = none,
    head: ?*Head = null,

    var nothing: [1]u8 = .{0};
    const none: Text = .{ .ptr = &nothing, .len = 0 };
};
