//! A connected socket.
const std = @import("std");
const assert = std.debug.assert;
const sys = @import("sys.zig");
const Poll = @import("poll.zig").Poll;
const Events = @import("poll.zig").Events;
const loop_module = @import("loop.zig");
const Loop = loop_module.Loop;
const Context = @import("context.zig").Context;
const linger = @import("linger.zig");
const listener = @import("listener.zig");
const timeout = @import("timeout.zig");
const tls_socket = @import("tls_socket.zig");
const Session = @import("tls_session.zig").Session;
const carried = @import("carried.zig");
const Carried = carried.Carried;
const Pending = @import("pending.zig").Pending;

/// Reads of one socket per turn, so that a fast sender does not starve the others.
const reads_per_turn = 4;

pub const Flags = struct {
    pub const closed: u16 = 1;
    pub const shut_down: u16 = 2;
    pub const paused: u16 = 4;
    pub const write_failed: u16 = 8;
    /// In the loop's list of scheduled sockets.
    pub const scheduled: u16 = 16;
    pub const ended: u16 = 32;
    /// Why it is scheduled: the data callback shall be called, or TLS has to read.
    pub const wants_data: u16 = 64;
    pub const wants_read: u16 = 128;
    /// The peer may still send what nobody waits for: closing lingers.
    pub const lingers: u16 = 256;
    /// A carried socket that neither sends nor receives any more, and is closed by the loop.
    pub const cut: u16 = 512;
};

pub const Socket = extern struct {
    poll: Poll,
    context: *Context,
    next: ?*Socket = null,
    prev: ?*Socket = null,
    origin: extern union {
        /// The context whose listener accepted it.
        acceptor: ?*Context,
        /// Of a carried socket.
        carried: *Carried,
    } = .{ .acceptor = null },
    next_scheduled: ?*Socket = null,
    /// Neighbours in the wheel of time-outs, and the tick of their slot; 0 for none.
    slot_next: ?*Socket = null,
    slot_prev: ?*Socket = null,
    /// Of a socket that speaks TLS.
    tls: ?*Session = null,
    /// What the kernel did not take of what left when the turn ended.
    unsent: ?*Pending = null,
    /// Its place in the queue of that, or 0.
    queued: u32 = 0,
    slot_tick: u32 = 0,
    /// Ticks, 0 for none.
    deadline: u32 = 0,
    long_deadline: u32 = 0,
    tag: u32 = 0,
    ext_bytes: u32 = 0,

    comptime {
        assert(@sizeOf(Socket) <= 112);
    }

    pub fn create(context: *Context, fd: c_int, ext_bytes: u32) ?*Socket {
        const socket = sys.create(Socket, ext_bytes) orelse return null;
        socket.* = .{ .poll = .{ .fd = fd, .kind = .socket }, .context = context, .ext_bytes = ext_bytes };
        return socket;
    }

    /// It has no descriptor of its own.
    pub fn isCarried(socket: *const Socket) bool {
        return socket.poll.kind == .carried;
    }

    /// What the kernel knows of it: itself, or the socket that carries it.
    pub fn bottom(socket: *const Socket) *const Socket {
        return if (socket.isCarried()) socket.origin.carried.carrier else socket;
    }

    pub fn has(socket: *const Socket, flag: u16) bool {
        return socket.poll.flags & flag != 0;
    }

    pub fn set(socket: *Socket, flag: u16, on: bool) void {
        if (on) socket.poll.flags |= flag else socket.poll.flags &= ~flag;
    }

    pub fn closed(socket: *const Socket) bool {
        return socket.has(Flags.closed);
    }

    /// Events of the socket. The context's callbacks may close it, or move it to other memory.
    pub fn ready(first: *Socket, events: u32) void {
        var socket = first;
        if (events & Events.failed != 0) {
            _ = socket.close(0, null);
            return;
        }
        if (events & Events.writable != 0 and (if (socket.tls == null) socket.sendsAgain() else tls_socket.writable(socket))) {
            socket.set(Flags.write_failed, false);
            if (socket.context.on_writable) |callback| socket = callback(socket) orelse return;
            if (socket.closed()) return;
            const waits = socket.has(Flags.write_failed) and !socket.has(Flags.shut_down);
            if (!waits and !socket.owesOutput()) socket.poll.remove(socket.context.loop, Events.writable);
        }
        if (socket.closed()) return;
        if (events & Events.half_closed != 0) {
            // It stays so for ever. Only a paused socket asks.
            socket.poll.remove(socket.context.loop, Events.half_closed);
            if (socket.context.on_half_closed) |callback| callback(socket);
            if (socket.closed()) return;
        }
        if (events & Events.readable != 0 and !socket.has(Flags.paused)) {
            if (socket.tls == null) socket.receive() else tls_socket.receive(socket);
        } else if (events & Events.hung_up != 0) {
            _ = socket.close(0, null);
        }
    }

    fn receive(first: *Socket) void {
        var socket = first;
        const loop = socket.context.loop;
        var reads: u32 = 0;
        while (reads < reads_per_turn) : (reads += 1) {
            const count = sys.recv(socket.poll.fd, loop.receiveBuffer(), loop_module.receive_bytes, 0);
            if (count > 0) {
                if (loop.uring()) |uring| uring.noteRead(&socket.poll, @intCast(count));
                socket = socket.context.on_data.?(socket, loop.receiveBuffer(), @intCast(count)) orelse return;
                if (socket.closed() or socket.has(Flags.paused)) return;
                // A short read emptied the kernel's buffer.
                if (count < loop_module.receive_bytes) return;
            } else if (count == 0) {
                socket.peerEnded();
                return;
            } else switch (sys.errno()) {
                .AGAIN => return,
                .INTR => continue,
                else => {
                    _ = socket.close(0, null);
                    return;
                },
            }
        }
    }

    pub fn peerEnded(socket: *Socket) void {
        if (socket.has(Flags.shut_down)) {
            _ = socket.close(0, null);
            return;
        }
        // The end of input stays readable for ever.
        socket.poll.remove(socket.context.loop, Events.readable);
        if (socket.has(Flags.ended)) return;
        socket.set(Flags.ended, true);
        _ = socket.context.on_end.?(socket);
    }

    pub fn close(socket: *Socket, code: c_int, reason: ?*anyopaque) *Socket {
        if (socket.closed()) return socket;
        if (socket.isCarried()) return carried.close(socket, code, reason);
        const context = socket.context;
        const loop = context.loop;
        socket.sendQueued();
        context.unlink(socket);
        socket.set(Flags.closed, true);
        timeout.forget(socket);
        socket.deadline = 0;
        socket.long_deadline = 0;
        loop.redirectReady(&socket.poll, null);
        // Before the descriptor goes, so that the callback can still ask for addresses.
        const result = if (socket.isEstablished()) context.on_close.?(socket, code, reason) orelse socket else socket;
        if (socket.tls != null) tls_socket.closing(socket);
        const pending = socket.takePending();
        // What was taken from the caller leaves as if the kernel had taken it.
        const owes = !pending.isEmpty() and (socket.tls == null or socket.has(Flags.shut_down));
        if (owes or (socket.has(Flags.shut_down) and !socket.has(Flags.ended))) {
            linger.close(loop, &socket.poll, pending, socket.has(Flags.lingers));
        } else {
            var lost = pending;
            lost.free();
            socket.poll.close(loop);
        }
        socket.poll.fd = -1;
        if (socket.tls) |session| session.fd = -1;
        socket.discard(loop);
        if (socket.origin.acceptor) |acceptor| {
            acceptor.accepted -= 1;
            listener.resumeAll(acceptor);
        }
        listener.retryStarved(loop);
        return result;
    }

    /// A socket of TLS opens when its handshake is done; before, the context's callbacks know nothing of it.
    pub fn isEstablished(socket: *const Socket) bool {
        return if (socket.tls) |session| !session.handshaking else true;
    }

    pub fn owesOutput(socket: *const Socket) bool {
        return if (socket.tls) |session| !session.pending.isEmpty() else socket.unsent != null;
    }

    fn takePending(socket: *Socket) Pending {
        if (socket.tls) |session| {
            defer session.pending = .{};
            return session.pending;
        }
        const unsent = socket.unsent orelse return .{};
        defer socket.freeUnsent();
        defer unsent.* = .{};
        return unsent.*;
    }

    fn freeUnsent(socket: *Socket) void {
        socket.unsent.?.free();
        sys.free(socket.unsent);
        socket.unsent = null;
    }

    /// Bytes that the caller knows to be sent, but that the kernel did not take.
    pub fn keepUnsent(socket: *Socket, data: []const u8) void {
        if (socket.tls) |session| {
            if (session.keep(data)) socket.poll.add(socket.context.loop, Events.writable) else socket.cut();
            return;
        }
        if (socket.unsent == null) socket.unsent = sys.create(Pending, 0);
        if (socket.unsent) |unsent| {
            if (unsent.bytes.len == 0) unsent.* = .{};
            if (unsent.append(data)) |_| {
                socket.poll.add(socket.context.loop, Events.writable);
                return;
            } else |_| {}
        }
        socket.cut();
    }

    /// A stream with a gap must not go on: its end is found by the next event.
    pub fn cut(socket: *Socket) void {
        if (socket.isCarried()) return carried.cut(socket);
        socket.poll.shutdown(socket.context.loop, sys.shut_rdwr);
    }

    /// What this turn has collected for the socket leaves now.
    pub fn sendQueued(socket: *Socket) void {
        if (socket.queued == 0) return;
        if (socket.context.loop.uring()) |uring| uring.sends.sendNow(socket);
    }

    /// The kernel takes data once more. False when the context's callback has nothing to do.
    fn sendsAgain(socket: *Socket) bool {
        const unsent = socket.unsent orelse return true;
        if (!unsent.flush(socket.poll.fd)) {
            _ = socket.close(0, null);
            return false;
        }
        if (!unsent.isEmpty()) return false;
        socket.freeUnsent();
        if (socket.has(Flags.shut_down)) socket.poll.shutdown(socket.context.loop, sys.shut_wr);
        return socket.tellsWritable();
    }

    /// What was taken from the context has left: whether that waits for it, as it does also to close what the peer has ended.
    pub fn tellsWritable(socket: *Socket) bool {
        const waits = socket.has(Flags.write_failed) or socket.has(Flags.ended);
        if (waits and !socket.has(Flags.shut_down)) return true;
        socket.poll.remove(socket.context.loop, Events.writable);
        return false;
    }

    /// Frees the memory when the turn ends.
    pub fn discard(socket: *Socket, loop: *Loop) void {
        socket.next = loop.closed;
        loop.closed = socket;
        if (!loop.running) loop.wake();
    }

    pub fn freeClosed(loop: *Loop) void {
        while (loop.closed) |socket| {
            loop.closed = socket.next;
            if (socket.has(Flags.scheduled)) unschedule(loop, socket);
            if (socket.tls) |session| session.destroy();
            if (socket.isCarried() and loop.spare.give(socket)) continue;
            sys.free(socket);
        }
    }

    fn unschedule(loop: *Loop, socket: *Socket) void {
        var link = &loop.scheduled;
        while (link.*) |each| : (link = &each.next_scheduled) {
            if (each == socket) {
                link.* = socket.next_scheduled;
                return;
            }
        }
    }

    pub fn deliverScheduled(loop: *Loop) void {
        // What the callbacks schedule meanwhile waits for the next turn.
        var next = loop.scheduled;
        loop.scheduled = null;
        while (next) |socket| {
            next = socket.next_scheduled;
            socket.next_scheduled = null;
            socket.set(Flags.scheduled, false);
            const wants_read = socket.has(Flags.wants_read);
            var current = socket;
            if (socket.has(Flags.wants_data)) {
                socket.set(Flags.wants_data, false);
                if (socket.closed()) continue;
                current = socket.context.on_data.?(socket, loop.receiveBuffer(), 0) orelse continue;
            }
            if (!wants_read) continue;
            current.set(Flags.wants_read, false);
            // One that was cut ends, even if it was paused since.
            if (current.closed() or (current.has(Flags.paused) and !current.has(Flags.cut))) continue;
            if (current.isCarried()) {
                carried.receive(current);
            } else if (current.tls != null) {
                tls_socket.receive(current);
            } else if (loop.uring()) |uring| uring.deliverHeld(current);
        }
    }

    /// Writes what the kernel takes; asks for the writable event when it does not take everything.
    pub fn send(socket: *Socket, pieces: []const sys.Iovec, more: bool) usize {
        if (socket.closed() or socket.has(Flags.shut_down)) return 0;
        var total: usize = 0;
        for (pieces) |piece| total += piece.len;
        if (total == 0) return 0;
        if (socket.tls != null) return tls_socket.send(socket, pieces, total, more);
        if (socket.isCarried()) return carried.send(socket, pieces, total);
        const loop = socket.context.loop;
        const queues = loop.running and !more and socket.unsent == null;
        if (loop.uring()) |uring| {
            if (queues and uring.sends.take(socket, pieces, total)) return total;
            uring.sends.sendNow(socket);
        }
        const written: usize = if (socket.unsent == null) socket.sendDirectly(pieces, more) else 0;
        if (written < total) {
            socket.set(Flags.write_failed, true);
            socket.poll.add(loop, Events.writable);
        }
        return written;
    }

    /// Inline, as most responses are sent here.
    inline fn sendDirectly(socket: *Socket, given: []const sys.Iovec, more: bool) usize {
        var room: [1]sys.Iovec = undefined;
        const pieces = if (sys.is_linux) given else sys.system.fitting(given, &room);
        const flags = sys.msg_nosignal | if (more) sys.msg_more else @as(c_int, 0);
        const message: sys.Msghdr = .{ .iov = pieces.ptr, .iovlen = @intCast(pieces.len) };
        while (true) {
            const count = if (pieces.len == 1)
                sys.send(socket.poll.fd, pieces[0].base, pieces[0].len, flags)
            else
                sys.sendmsg(socket.poll.fd, &message, flags);
            if (count >= 0) return @intCast(count);
            if (sys.errno() != .INTR) return 0;
        }
    }

    pub fn schedule(socket: *Socket) void {
        if (socket.has(Flags.scheduled)) return;
        const loop = socket.context.loop;
        socket.set(Flags.scheduled, true);
        socket.next_scheduled = loop.scheduled;
        loop.scheduled = socket;
        if (!loop.running) loop.wake();
    }

    /// For what OpenSSL may hold: no event would follow for it.
    pub fn scheduleRead(socket: *Socket) void {
        socket.set(Flags.wants_read, true);
        socket.schedule();
    }

    /// Moves the socket to another context and memory with another extension size.
    pub fn adopt(old: *Socket, context: *Context, ext_bytes: u32) ?*Socket {
        assert(!old.closed());
        const loop = context.loop;
        const new = sys.create(Socket, ext_bytes) orelse return null;
        old.context.unlink(old);
        timeout.forget(old);
        new.* = old.*;
        new.ext_bytes = ext_bytes;
        new.next_scheduled = null;
        new.set(Flags.scheduled, false);
        old.tls = null;
        old.unsent = null;
        context.link(new);
        timeout.watch(new);
        if (new.isCarried()) {
            carried.moved(new);
        } else {
            if (loop.uring()) |uring| uring.sends.moved(new);
            new.poll.moved(loop);
            loop.redirectReady(&old.poll, &new.poll);
        }
        if (old.has(Flags.scheduled)) new.schedule();
        old.set(Flags.closed, true);
        old.poll.fd = -1;
        old.discard(loop);
        return new;
    }
};
