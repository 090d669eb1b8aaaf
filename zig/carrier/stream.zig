//! The socket of a stream.
const std = @import("std");
const sys = @import("../usockets/sys.zig");
const carried = @import("../usockets/carried.zig");
const loop_module = @import("../usockets/loop.zig");
const socket_module = @import("../usockets/socket.zig");
const Flags = socket_module.Flags;
const Socket = socket_module.Socket;
const codes = @import("../http2/codes.zig");
const Event = @import("../http2/event.zig").Event;
const http_error = @import("../http/syntax.zig").Error;
const Http2Stream = @import("../http2/streams.zig").Stream;
const carriers_module = @import("carriers.zig");
const Carrier = @import("carrier.zig").Carrier;

const allocator = std.heap.c_allocator;

/// How often the output may be filled by what is sent at once, so that it starves no other connection.
const outputs_per_send = 8;

/// It lies behind what the connection knows of the stream.
pub const Stream = struct {
    carried: carried.Carried,
    socket: *Socket,
    /// What arrived while the socket was paused, and that nothing follows.
    held: std.ArrayList(u8) = .empty,
    held_end: bool = false,
    /// Everything was taken that was not at first: its context is to be told at the end of the turn.
    relieved: bool = false,
    /// Its context is told that it is there.
    opening: bool = true,
    /// An extended CONNECT (RFC 8441): what arrives is for who has the stream after the answer.
    extended: bool = false,
    linked: bool = true,
    next: ?*Stream = null,
    previous: ?*Stream = null,

    pub fn of(known: *Http2Stream) *Stream {
        return known.behind(Stream);
    }

    pub fn ofSocket(socket: *Socket) *Stream {
        return @fieldParentPtr("carried", socket.origin.carried);
    }

    fn http2(stream: *Stream) *Http2Stream {
        return Http2Stream.before(Stream, stream);
    }

    fn carrier(stream: *const Stream) *Carrier {
        return .of(stream.carried.carrier);
    }

    /// A request opens it.
    pub fn begin(owner: *Carrier, event: *const Event) void {
        const carriers = owner.carriers();
        const stream = open(owner, event.stream.?) orelse {
            owner.connection.reset(event.stream.?, .refused_stream);
            owner.connection.release(event.stream.?);
            return;
        };
        const socket = carriers.streams.on_open.?(stream.socket, 0, null, 0) orelse return;
        if (socket.closed()) return;
        stream.opening = false;
        stream.extended = event.protocol != null;
        if (stream.extended and event.ends) socket.set(Flags.ended, true);
        if (event.kind == .refused) {
            const asks_head = owner.connection.context.request.asksHead();
            return carriers.callbacks.on_refused(socket, @intCast(@backingInt(event.refusal)), asks_head);
        }
        const content = if (event.ends) null else owner.connection.bodyHere(&owner.input, stream.http2());
        const request: carriers_module.Request = .{
            .head = event.head.?,
            .content = if (content) |bytes| bytes.ptr else null,
            .content_length = if (content) |bytes| bytes.len else 0,
            .protocol = if (event.protocol) |protocol| protocol.ptr else null,
            .protocol_length = if (event.protocol) |protocol| protocol.len else 0,
        };
        carriers.callbacks.on_request(socket, &request);
    }

    fn open(owner: *Carrier, opened: *Http2Stream) ?*Stream {
        const carriers = owner.carriers();
        const stream: *Stream = .of(opened);
        stream.* = .{ .carried = .{ .operations = &operations, .carrier = owner.socket }, .socket = undefined };
        stream.socket = carried.open(carriers.streams, &stream.carried, carriers.stream_ext_bytes) orelse return null;
        stream.next = owner.first;
        if (stream.next) |next| next.previous = stream;
        owner.first = stream;
        return stream;
    }

    pub fn refuse(stream: *Stream, reason: http_error) void {
        const carriers = stream.carrier().carriers();
        if (stream.socket.context != carriers.streams) return;
        carriers.callbacks.on_refused(stream.socket, @intCast(@backingInt(reason)), false);
    }

    pub fn arrive(stream: *Stream, bytes: []u8, ends: bool) void {
        const waits = stream.extended and !stream.http2().flags.head_sent;
        const is_held = waits or stream.socket.has(Flags.paused) or stream.held.items.len > 0;
        if (is_held) stream.hold(bytes, ends) else stream.deliver(bytes, ends);
    }

    fn hold(stream: *Stream, bytes: []const u8, ends: bool) void {
        stream.held.appendSlice(allocator, bytes) catch {
            _ = stream.socket.close(0, null);
            return;
        };
        stream.held_end = ends;
    }

    /// Piece by piece, as whoever gets one may pause; what is left waits then. The stream may be gone afterwards.
    fn deliver(stream: *Stream, bytes: []u8, ends: bool) void {
        const owner = stream.carrier();
        const carriers = owner.carriers();
        defer owner.wake();
        var socket = stream.socket;
        var rest = bytes;
        while (true) {
            const piece = rest[0..@min(rest.len, codes.frame_payload_usual)];
            rest = rest[piece.len..];
            const is_last = ends and rest.len == 0;
            // Before it can be gone: the peer is told with what the turn sends.
            owner.connection.consumed(stream.http2(), piece.len);
            if (socket.context == carriers.streams) {
                carriers.callbacks.on_body(socket, piece.ptr, piece.len, is_last);
            } else socket = deliverRaw(socket, piece, is_last) orelse return;
            if (socket.closed() or rest.len == 0) return;
            if (socket.has(Flags.paused)) return stream.hold(rest, ends);
        }
    }

    /// For who parses the bytes in place, and writes before and behind them.
    fn deliverRaw(first: *Socket, piece: []const u8, ends: bool) ?*Socket {
        const padding = loop_module.padding_bytes;
        var socket = first;
        if (piece.len > 0) {
            var copy: [codes.frame_payload_usual + 2 * padding]u8 = undefined;
            @memcpy(copy[padding..][0..piece.len], piece);
            socket = socket.context.on_data.?(socket, copy[padding..].ptr, @intCast(piece.len)) orelse return null;
            if (socket.closed()) return null;
        }
        if (ends and !socket.has(Flags.ended)) {
            socket.set(Flags.ended, true);
            socket = socket.context.on_end.?(socket) orelse return null;
        }
        return socket;
    }

    /// There is room for what it has to send.
    pub fn goOn(stream: *Stream) void {
        stream.relieved = false;
        carried.writable(stream.socket);
    }

    /// The peer has reset it, or the connection is lost.
    pub fn lost(stream: *Stream) void {
        _ = stream.socket.close(0, null);
    }

    /// A head, or with status 0 the trailers.
    pub fn head(stream: *Stream, status: u16, fields: []const carriers_module.Field) void {
        const connection = stream.carrier().connection;
        // Where the stream is over its socket learns it otherwise.
        if (status == 0) {
            connection.beginTrailers(stream.http2()) catch return;
            stream.socket.set(Flags.shut_down, true);
        } else connection.beginHead(stream.http2(), status) catch return;
        for (fields) |field| connection.field(field.name[0..field.name_length], field.value[0..field.value_length]);
        connection.finishHead(status == 0) catch return;
        if (stream.extended and status >= 200) stream.socket.scheduleRead();
        stream.carrier().wake();
    }

    pub fn unlink(stream: *Stream, owner: *Carrier) void {
        if (!stream.linked) return;
        stream.linked = false;
        if (stream.previous) |previous| previous.next = stream.next else owner.first = stream.next;
        if (stream.next) |next| next.previous = stream.previous;
    }

    const operations: carried.Operations = .{
        .send = send,
        .await_writable = awaitWritable,
        .shutdown = shutdown,
        .flush = flush,
        .hurry = hurry,
        .receive = receive,
        .moved = moved,
        .closed = closed,
    };

    fn send(socket: *Socket, pieces: []const sys.Iovec) usize {
        const stream: *Stream = .ofSocket(socket);
        const owner = stream.carrier();
        var texts: [2][]const u8 = undefined;
        for (pieces, texts[0..pieces.len]) |piece, *text| text.* = piece.base[0..piece.len];
        owner.wake();
        const taken = stream.give(texts[0..pieces.len]);
        if (socket.has(Flags.write_failed) and !stream.http2().flags.waiting) {
            stream.relieved = true;
            owner.relieves = true;
        }
        return taken;
    }

    /// What has no room in the output goes on as far as the kernel takes what is there, and no other stream is next.
    fn give(stream: *Stream, texts: [][]const u8) usize {
        const owner = stream.carrier();
        var taken: usize = 0;
        for (0..outputs_per_send) |_| {
            const given = owner.connection.data(stream.http2(), texts, false) catch return taken;
            taken += given;
            if (given == 0 or !stream.http2().flags.waiting) return taken;
            skip(texts, given);
            if (!owner.connection.isFull() or !owner.flush()) return taken;
        }
        return taken;
    }

    fn skip(texts: [][]const u8, count: usize) void {
        var left = count;
        for (texts) |*text| {
            const skipped = @min(left, text.len);
            text.* = text.*[skipped..];
            left -= skipped;
        }
    }

    fn awaitWritable(socket: *Socket) void {
        const stream: *Stream = .ofSocket(socket);
        stream.carrier().connection.wait(stream.http2());
        stream.carrier().wake();
    }

    fn shutdown(socket: *Socket) void {
        const stream: *Stream = .ofSocket(socket);
        stream.carrier().connection.finish(stream.http2()) catch {};
        stream.carrier().wake();
    }

    fn flush(socket: *Socket) void {
        _ = Stream.ofSocket(socket).carrier().flush();
    }

    fn hurry(socket: *Socket) void {
        Stream.ofSocket(socket).carrier().hurry();
    }

    fn receive(socket: *Socket) void {
        const stream: *Stream = .ofSocket(socket);
        if (stream.extended and !stream.http2().flags.head_sent) return;
        var held = stream.held;
        const ends = stream.held_end;
        if (held.items.len == 0 and !ends) return;
        defer held.deinit(allocator);
        stream.held = .empty;
        stream.held_end = false;
        stream.deliver(held.items, ends);
    }

    fn moved(socket: *Socket) void {
        Stream.ofSocket(socket).socket = socket;
    }

    fn closed(socket: *Socket) void {
        const stream: *Stream = .ofSocket(socket);
        const owner = stream.carrier();
        const known = stream.http2();
        const is_ended = known.flags.local_ended;
        owner.connection.reset(known, if (stream.opening) .refused_stream else if (is_ended) .no_error else .internal_error);
        stream.unlink(owner);
        stream.held.deinit(allocator);
        owner.connection.release(known);
        if (owner.socket.closed()) return owner.free();
        owner.hurry();
    }
};
