//! A connection of HTTP/2: a socket that carries the sockets of its streams.
//!
//! What it sends is collected, and leaves when its turn ends: all frames of a turn in one write.
const std = @import("std");
const assert = std.debug.assert;
const sys = @import("../usockets/sys.zig");
const Flags = @import("../usockets/socket.zig").Flags;
const Socket = @import("../usockets/socket.zig").Socket;
const socket_api = @import("../usockets/socket_api.zig");
const Text = @import("../http/head.zig").Text;
const Connection = @import("../http2/connection.zig").Connection;
const Event = @import("../http2/event.zig").Event;
const Carriers = @import("carriers.zig").Carriers;
const Stream = @import("stream.zig").Stream;

extern fn us_socket_timeout(ssl: c_int, socket: *Socket, seconds: c_uint) void;
extern fn us_socket_shutdown(ssl: c_int, socket: *Socket) void;
extern fn us_socket_pause(socket: *Socket) void;
extern fn us_socket_resume(socket: *Socket) void;

/// At so much output nothing more is read.
const output_bytes_max = 256 * 1024;
/// Fills of the output in one turn, so that a fast reader does not starve other connections.
const fills_per_turn = 8;
/// How often a connection looks at the clock while something of it is under way.
const tick_seconds: c_uint = 5;
const tick_ms_min = std.time.ms_per_s;
const shutdown_tick_seconds: c_uint = 1;
/// Answers to what came at once wait so long for each other.
const late_ms = 2;
const idle_ms_max = tick_seconds * std.time.ms_per_s;

const allocator = std.heap.c_allocator;

pub fn now() u64 {
    return @intCast(sys.monotonicMs());
}

pub const Carrier = struct {
    socket: *Socket,
    connection: *Connection,
    /// What the shim knows of it.
    user: ?*anyopaque,
    /// The sockets of its streams.
    first: ?*Stream = null,
    /// Since when no stream is open, and nothing waits to be sent or looked at; 0 while there is something.
    idle_ms: u64,
    /// Of the input under way: when it came, or when output left meanwhile.
    left_ms: u64 = 0,
    /// The input under way; what is left of it follows the present frame.
    input: Text = .{ .ptr = undefined, .len = 0 },
    receiving: bool = false,
    /// Input that has not been looked at, because its answers would have no room.
    kept: std.ArrayList(u8) = .empty,
    /// When it looked at the clock the last time.
    ticked_ms: u64,
    /// Since when the kernel takes nothing; 0 while it does.
    stuck_ms: u64 = 0,
    freed: bool = false,
    /// Reading stopped, because the peer does not read.
    paused: bool = false,
    /// Some stream is relieved.
    relieves: bool = false,
    /// The turn ends.
    settling: bool = false,
    /// Output left already in this turn, because who made it goes on.
    left_early: bool = false,

    pub fn of(socket: *Socket) *Carrier {
        return @ptrCast(@alignCast(sys.extOf(Socket, socket)));
    }

    pub fn carriers(carrier: *const Carrier) *Carriers {
        return Carriers.of(carrier.socket.context);
    }

    pub fn receive(carrier: *Carrier, bytes: []u8) void {
        if (carrier.kept.items.len > 0) {
            // What was under way when reading stopped.
            carrier.kept.appendSlice(allocator, bytes) catch {
                _ = carrier.socket.close(0, null);
            };
            return;
        }
        var event: Event = .{};
        const time = now();
        carrier.input = .from(bytes);
        carrier.left_ms = time;
        carrier.receiving = true;
        while (carrier.connection.step(&carrier.input, time, &event)) {
            carrier.handle(&event);
            if (carrier.socket.closed()) break;
            if (carrier.isFull() and carrier.keepInput()) break;
        }
        carrier.receiving = false;
        if (carrier.socket.closed()) carrier.free() else carrier.wake();
    }

    fn isFull(carrier: *Carrier) bool {
        return carrier.connection.waiting().len > output_bytes_max and !carrier.flush() and
            carrier.connection.waiting().len > output_bytes_max;
    }

    /// The rest of the input waits until the peer reads. False where nothing is left of it.
    fn keepInput(carrier: *Carrier) bool {
        const rest = carrier.input.slice();
        if (rest.len == 0) return false;
        assert(carrier.kept.items.len == 0);
        carrier.kept.appendSlice(allocator, rest) catch {
            _ = carrier.socket.close(0, null);
            return true;
        };
        carrier.input.len = 0;
        carrier.pause();
        return true;
    }

    fn pause(carrier: *Carrier) void {
        if (carrier.paused) return;
        carrier.paused = true;
        us_socket_pause(carrier.socket);
    }

    fn proceed(carrier: *Carrier) void {
        var kept = carrier.kept;
        carrier.kept = .empty;
        defer kept.deinit(allocator);
        carrier.paused = false;
        if (kept.items.len > 0) carrier.receive(kept.items);
        if (!carrier.socket.closed() and !carrier.paused) us_socket_resume(carrier.socket);
    }

    fn handle(carrier: *Carrier, event: *const Event) void {
        switch (event.kind) {
            .request => carrier.begin(event),
            .refused => if (event.begins) carrier.begin(event) else Stream.of(event.stream.?).refuse(event.refusal),
            .data, .trailers => Stream.of(event.stream.?).arrive(event.data, event.ends),
            .reset => Stream.of(event.stream.?).lost(),
            .failed => carrier.end(),
            .none, .settings_acknowledged, .pong, .goaway => {},
        }
    }

    /// Also a stream that is over before the turn ends is a reason to wait for another one from then on.
    fn begin(carrier: *Carrier, event: *const Event) void {
        carrier.idle_ms = 0;
        Stream.begin(carrier, event);
    }

    /// Output is there whose maker may go on for long. While input of this turn is left, the answers to that leave with it, unless
    /// they take long; of what programs make between turns only the first is not kept until the end of the next one, as each would
    /// be a packet of its own.
    pub fn hurry(carrier: *Carrier) void {
        if (carrier.receiving) {
            if (carrier.input.len == 0 or carrier.waitsLong()) _ = carrier.flush();
        } else if (!carrier.left_early and !carrier.settling) {
            carrier.left_early = true;
            _ = carrier.flush();
        }
        carrier.wake();
    }

    /// Whether handlers of this input take their time.
    fn waitsLong(carrier: *Carrier) bool {
        const time = now();
        if (time - carrier.left_ms < late_ms) return false;
        carrier.left_ms = time;
        return true;
    }

    /// At the end of the turn, or in the next one, output leaves.
    pub fn wake(carrier: *Carrier) void {
        if (!carrier.settling) socket_api.us_socket_schedule_data(carrier.socket);
    }

    /// The turn ends: streams that waited for room get it, and output leaves.
    pub fn settle(carrier: *Carrier) void {
        // Who sends a byte now and then is not forgotten for it.
        const time = now();
        if (time - carrier.ticked_ms >= tick_ms_min and !carrier.tick(time)) return;
        carrier.settling = true;
        carrier.left_early = false;
        var fills: u32 = 0;
        const rests = while (fills < fills_per_turn) : (fills += 1) {
            const filled = carrier.fill();
            if (carrier.socket.closed()) break false;
            // What leaves makes room for streams that found none.
            const leaves = carrier.connection.waiting().len > 0;
            if (!carrier.flush() or !(filled or leaves)) break false;
        } else true;
        carrier.settling = false;
        if (carrier.socket.closed()) return;
        if (rests) carrier.wake();
        const waits = carrier.connection.waiting().len;
        if (waits == 0 and carrier.connection.isFinished()) return carrier.end();
        if (waits > output_bytes_max) {
            carrier.pause();
        } else if (carrier.paused and waits <= output_bytes_max / 2) {
            carrier.proceed();
            if (carrier.socket.closed()) return;
        }
        carrier.awaitNext(waits > 0);
    }

    fn awaitNext(carrier: *Carrier, waits: bool) void {
        const connection = carrier.connection;
        const timeouts = &carrier.carriers().timeouts;
        const is_idle = connection.streams.count == 0 and !waits and carrier.kept.items.len == 0;
        if (!is_idle) {
            carrier.idle_ms = 0;
        } else if (carrier.idle_ms == 0) carrier.idle_ms = now();
        const seconds = if (waits)
            tickWithin(timeouts.write)
        else if (connection.shutdown_phase == .announced)
            shutdown_tick_seconds
        else if (!is_idle or !connection.settings_acknowledged or connection.owesSince() != null)
            @min(tickWithin(timeouts.header), tickWithin(timeouts.write))
        else if (timeouts.keep_alive == 0)
            // Once, to give memory back.
            (if (now() - carrier.idle_ms < idle_ms_max) tick_seconds else 0)
        else
            tickWithin(timeouts.keep_alive);
        us_socket_timeout(0, carrier.socket, seconds);
    }

    /// How often a time-out is looked at, in seconds; 0 is none.
    fn tickWithin(seconds: c_uint) c_uint {
        return if (seconds == 0) tick_seconds else @min(tick_seconds, seconds);
    }

    pub fn timedOut(carrier: *Carrier) void {
        if (carrier.tick(now())) carrier.settle();
    }

    /// What time alone decides. False where the connection ends.
    fn tick(carrier: *Carrier, time: u64) bool {
        carrier.ticked_ms = time;
        const write: u64 = carrier.carriers().timeouts.write;
        if (write > 0 and carrier.stuck_ms != 0 and time - carrier.stuck_ms >= write * std.time.ms_per_s) {
            // The peer reads nothing.
            _ = carrier.socket.close(0, null);
            return false;
        }
        var event: Event = .{};
        while (carrier.connection.tick(time, &event)) {
            carrier.handle(&event);
            if (carrier.socket.closed()) return false;
        }
        const keep_alive: u64 = carrier.carriers().timeouts.keep_alive;
        if (carrier.idle_ms != 0 and keep_alive > 0 and time - carrier.idle_ms >= keep_alive * std.time.ms_per_s) {
            carrier.connection.fail(.no_error);
            carrier.end();
            return false;
        }
        return true;
    }

    /// Gives the kernel what it takes; whether that is all.
    pub fn flush(carrier: *Carrier) bool {
        const bytes = carrier.connection.waiting();
        if (bytes.len == 0) return true;
        const taken = carrier.socket.send(&.{.{ .base = bytes.ptr, .len = bytes.len }}, false);
        carrier.connection.sent(taken);
        if (taken == bytes.len) {
            carrier.stuck_ms = 0;
            return true;
        }
        if (taken > 0 or carrier.stuck_ms == 0) carrier.stuck_ms = now();
        return false;
    }

    /// Streams that waited go on, the most urgent ones first; whether there were any.
    fn fill(carrier: *Carrier) bool {
        var found = carrier.relieve();
        while (!carrier.socket.closed()) {
            const each = carrier.connection.nextWritable() orelse break;
            found = true;
            Stream.of(each).goOn();
        }
        return found;
    }

    /// Tells those whose output was taken meanwhile; whether there were any.
    fn relieve(carrier: *Carrier) bool {
        if (!carrier.relieves) return false;
        carrier.relieves = false;
        var next = carrier.first;
        while (next) |stream| {
            if (stream.relieved) {
                stream.goOn();
                // Any of them may be gone now.
                next = if (carrier.socket.closed()) null else carrier.first;
            } else next = stream.next;
        }
        return true;
    }

    /// The connection is over: what is to be said still leaves. Where the peer did nothing wrong, it is not lost to a reset either.
    fn end(carrier: *Carrier) void {
        if (carrier.connection.phase != .failed) carrier.socket.set(Flags.lingers, true);
        _ = carrier.flush();
        const rest = carrier.connection.waiting();
        if (rest.len > 0) carrier.socket.keepUnsent(rest);
        us_socket_shutdown(0, carrier.socket);
        _ = carrier.socket.close(0, null);
    }

    /// The socket is closed.
    pub fn closed(carrier: *Carrier) void {
        while (carrier.first) |stream| {
            // One of them may be closing already, and have closed this socket.
            stream.unlink(carrier);
            stream.lost();
        }
        carrier.carriers().callbacks.on_closed(carrier.user);
        carrier.free();
    }

    /// Once the socket is closed, and nobody who uses it is under way.
    pub fn free(carrier: *Carrier) void {
        if (!carrier.socket.closed() or carrier.receiving or carrier.freed or carrier.connection.held > 0) return;
        carrier.freed = true;
        carrier.kept.deinit(allocator);
        carrier.connection.destroy();
    }
};
