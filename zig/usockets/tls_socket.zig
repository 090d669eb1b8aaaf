//! The life of a socket that speaks TLS: what socket.zig does differently when there is a session.
const std = @import("std");
const assert = std.debug.assert;
const sys = @import("sys.zig");
const Events = @import("poll.zig").Events;
const loop_module = @import("loop.zig");
const socket_module = @import("socket.zig");
const Socket = socket_module.Socket;
const Flags = socket_module.Flags;
const Context = @import("context.zig").Context;
const Session = @import("tls_session.zig").Session;
const record_bytes = @import("tls_session.zig").record_bytes;
const timeout = @import("timeout.zig");

/// Plain bytes given to the context at once.
const deliver_bytes = 256 * 1024;
/// What on_preamble says when it has to see more; other negative numbers refuse.
const preamble_more = -2;
const rounds_per_turn = 4;

/// A client that speaks plain HTTP learns why it gets nothing.
const plain_http_answer = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n" ++
    "Content-Type: text/plain\r\nContent-Length: 37\r\n\r\n" ++
    "This port speaks HTTPS: use https://\n";

comptime {
    assert(deliver_bytes <= loop_module.receive_bytes);
    assert(std.mem.endsWith(u8, plain_http_answer, "\r\n\r\nThis port speaks HTTPS: use https://\n"));
}

/// A connection was accepted: it opens when its handshake is done.
pub fn begin(socket: *Socket, context: *Context) bool {
    const server = context.tls.?;
    const session = Session.create(server, socket.poll.fd) orelse return false;
    session.preamble_done = context.on_preamble == null;
    socket.tls = session;
    if (server.handshake_seconds > 0) {
        socket.deadline = timeout.deadlineAfter(server.handshake_seconds);
        timeout.watch(socket);
    }
    return true;
}

pub fn receive(first: *Socket) void {
    var socket = first;
    const session = socket.tls.?;
    const loop = socket.context.loop;
    session.drained = false;
    if (!session.preamble_done and !readPreamble(socket)) return;
    if (session.handshaking) {
        socket = shakeHands(socket) orelse return;
    }
    var round: u32 = 0;
    while (true) : (round += 1) {
        // What OpenSSL holds already must be read to its end: no event would follow for it.
        if (round == rounds_per_turn) session.drained = true;
        var total: usize = 0;
        const progress = while (total + record_bytes <= deliver_bytes) {
            var count: usize = 0;
            const progress = session.read(loop.receiveBuffer()[total..deliver_bytes], &count);
            if (progress != .done) break progress;
            total += count;
            if (session.isDrained()) break .blocked;
        } else .done;
        watchPending(socket);
        if (total > 0) {
            socket = socket.context.on_data.?(socket, loop.receiveBuffer(), @intCast(total)) orelse return;
            if (socket.closed() or socket.has(Flags.paused)) return;
        }
        switch (progress) {
            .done => {},
            .blocked => return,
            .ended => return socket.peerEnded(),
            .failed, .spoke_http => return fail(socket),
        }
    }
}

fn countFailure(socket: *Socket) void {
    socket.tls.?.server.failed_handshakes += 1;
    if (socket.context.failures) |word| @atomicStore(u64, word, word.* + 1, .monotonic);
}

fn shakeHands(socket: *Socket) ?*Socket {
    const session = socket.tls.?;
    const progress = session.handshake();
    // A callback of the handshake may close everything.
    if (socket.closed()) return null;
    watchPending(socket);
    switch (progress) {
        .blocked => return null,
        .done => {},
        .ended, .failed, .spoke_http => {
            countFailure(socket);
            if (progress == .spoke_http)
                _ = sys.send(session.fd, plain_http_answer, plain_http_answer.len, sys.msg_nosignal);
            fail(socket);
            return null;
        },
    }
    socket.deadline = 0;
    const opened = socket.context.on_open.?(socket, 0, null, 0) orelse return null;
    return if (opened.closed() or opened.has(Flags.paused)) null else opened;
}

/// What stands before TLS is taken off, and nothing else: OpenSSL reads the descriptor itself. True when it may begin.
fn readPreamble(socket: *Socket) bool {
    const session = socket.tls.?;
    const context = socket.context;
    const room = context.loop.receiveBuffer()[0..loop_module.receive_bytes];
    const kept = session.preamble.len;
    @memcpy(room[0..kept], session.preamble);
    const peeked = sys.recv(session.fd, room[kept..].ptr, room.len - kept, sys.msg_peek);
    if (peeked <= 0) {
        if (peeked == 0 or (sys.errno() != .AGAIN and sys.errno() != .INTR)) _ = socket.close(0, null);
        return false;
    }
    const arrived = room[0 .. kept + @as(usize, @intCast(peeked))];
    const found = context.on_preamble.?(context.preamble_user, arrived.ptr, arrived.len);
    if (found == preamble_more) {
        // A peer that sent a part is waited for; the rest makes the socket readable once more.
        if (takeOff(session, arrived, kept)) return false;
    } else if (found >= kept and takeOff(session, arrived[0..@intCast(found)], kept)) {
        session.preamble_done = true;
        return true;
    }
    countFailure(socket);
    _ = socket.close(0, null);
    return false;
}

fn takeOff(session: *Session, all: []u8, kept: usize) bool {
    const new = all[kept..];
    if (!session.extendPreamble(new)) return false;
    return new.len == 0 or sys.recv(session.fd, new.ptr, new.len, 0) == new.len;
}

/// The alert that says why still leaves.
fn fail(socket: *Socket) void {
    socket.set(Flags.shut_down, true);
    if (socket.tls.?.pending.isEmpty()) socket.poll.shutdown(socket.context.loop, sys.shut_wr);
    _ = socket.close(0, null);
}

fn watchPending(socket: *Socket) void {
    if (!socket.tls.?.pending.isEmpty()) socket.poll.add(socket.context.loop, Events.writable);
}

/// The kernel takes data once more. False when the context's callback has nothing to do.
pub fn writable(socket: *Socket) bool {
    const session = socket.tls.?;
    if (!session.flush()) {
        _ = socket.close(0, null);
        return false;
    }
    if (!session.pending.isEmpty()) return false;
    if (socket.has(Flags.shut_down)) socket.poll.shutdown(socket.context.loop, sys.shut_wr);
    return socket.tellsWritable();
}

/// Both pieces in one record where they fit.
pub fn send(socket: *Socket, pieces: []const sys.Iovec, total: usize, more: bool) usize {
    const session = socket.tls.?;
    assert(pieces.len == 1 or pieces.len == 2);
    const first = pieces[0].base[0..pieces[0].len];
    const written = if (pieces.len == 1)
        session.write(first, more)
    else
        writeTwo(session, first, pieces[1].base[0..pieces[1].len]);
    watchPending(socket);
    if (session.failed) {
        // The next read finds out, after the caller is done.
        socket.scheduleRead();
    } else if (written < total) {
        socket.set(Flags.write_failed, true);
        socket.poll.add(socket.context.loop, Events.writable);
    }
    return written;
}

fn writeTwo(session: *Session, first: []const u8, second: []const u8) usize {
    var record: [record_bytes]u8 = undefined;
    if (first.len > record.len) {
        const written = session.write(first, true);
        return if (written < first.len or !session.pending.isEmpty()) written else written + session.write(second, false);
    }
    const joined = @min(second.len, record.len - first.len);
    @memcpy(record[0..first.len], first);
    @memcpy(record[first.len..][0..joined], second[0..joined]);
    const size = first.len + joined;
    const written = session.write(record[0..size], joined < second.len);
    if (written < size or joined == second.len or !session.pending.isEmpty()) return written;
    return written + session.write(second[joined..], false);
}

/// close_notify, then the end of our half as soon as everything has left.
pub fn shutdown(socket: *Socket) void {
    const session = socket.tls.?;
    session.sayGoodbye();
    if (session.pending.isEmpty()) {
        socket.poll.remove(socket.context.loop, Events.writable);
        socket.poll.shutdown(socket.context.loop, sys.shut_wr);
    } else {
        socket.poll.add(socket.context.loop, Events.writable);
    }
}

/// The descriptor is about to go.
pub fn closing(socket: *Socket) void {
    const session = socket.tls.?;
    // A peer that said goodbye is answered; without that a close is a cut, which the peer must be able to recognise.
    if (socket.has(Flags.ended) and !socket.has(Flags.shut_down)) session.sayGoodbye();
}
