//! What a connection tells its owner.
const ErrorCode = @import("codes.zig").ErrorCode;
const Head = @import("../http/head.zig").Head;
const Stream = @import("streams.zig").Stream;
const http_error = @import("../http/syntax.zig").Error;

pub const Kind = enum(u8) {
    none,
    /// A head: `head`, `scheme` and `protocol` are of the request; `ends` where no content follows. The owner has the stream now.
    request,
    /// A piece of content: `data`; `ends` with the last one, which may be empty.
    data,
    /// The end of the content, with trailers: the fields of `head`.
    trailers,
    /// The stream is over, by the peer's or its own fault: `code`. Nothing can be sent on it.
    reset,
    /// The request gets no further: it is to be answered with the status of `refusal`, and the rest of its content is discarded.
    /// `begins` where it was not announced as a request before: the owner has the stream now, and `head` is as complete as it
    /// could be; without method and target where the fields are too large.
    refused,
    /// The peer knows what we announced.
    settings_acknowledged,
    /// The answer to a ping: `data` has its eight bytes.
    pong,
    /// The peer opens no more streams: `code`. Those that are open go on.
    goaway,
    /// The connection is over: `code`, which the last of the waiting output says. All of its streams are over as well.
    failed,
};

/// What it refers to is valid until the next step or tick of any connection of the same context; `data` lies in the input.
pub const Event = struct {
    kind: Kind = .none,
    ends: bool = false,
    begins: bool = false,
    stream: ?*Stream = null,
    code: ErrorCode = .no_error,
    refusal: http_error = .bad_request,
    data: []u8 = &.{},
    scheme: []u8 = &.{},
    /// Of an extended CONNECT (RFC 8441).
    protocol: ?[]u8 = null,
    head: ?*Head = null,
};
