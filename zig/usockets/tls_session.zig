//! TLS of one connection: OpenSSL between the socket's descriptor and the plain bytes.
//!
//! OpenSSL reads and writes the descriptor through a BIO of ours, without buffers in between. What the kernel does not take is
//! kept here, at most one record and the alerts behind it, so that OpenSSL never has to be given the same bytes twice.
const std = @import("std");
const assert = std.debug.assert;
const sys = @import("sys.zig");
const Pending = @import("pending.zig").Pending;
const library = @import("tls_library.zig");
const openssl = &library.openssl;
const Server = @import("tls_server.zig").Server;
const Bio = library.Bio;
const Ssl = library.Ssl;

const allocator = std.heap.c_allocator;

/// Plain bytes of one record (RFC 8446 section 5.1).
pub const record_bytes = 16 * 1024;

/// What may wait for the kernel; a handshake's flight fits. A client that lets us answer and does not read is cut.
pub const pending_max = 256 * 1024;

const error_want_read = 2;
const error_zero_return = 6;
const reason_http_request = 156;

pub const Progress = enum { done, blocked, failed, ended, spoke_http };

pub const Session = struct {
    ssl: *Ssl,
    server: *Server,
    fd: c_int,
    /// Ciphertext that waits for the kernel.
    pending: Pending = .{},
    pending_limit: usize = pending_max,
    /// Until the handshake is done, the context knows nothing of the socket.
    handshaking: bool = true,
    /// The kernel has nothing more to read in this turn.
    drained: bool = false,
    /// More follows what is written now.
    more: bool = false,
    /// Whether the client named a server, and the name's entry that it got (0 for the certificate for everyone).
    named: bool = false,
    /// What was agreed on by ALPN.
    speaks_http_2: bool = false,
    entry: u32 = 0,
    /// Of this session alone, in its process.
    number: u64,
    /// What the peer sent before TLS, as far as it has arrived, until the socket is open; and whether all of it has.
    preamble: []u8 = &.{},
    preamble_done: bool = false,
    /// OpenSSL failed: it must not be asked to shut down.
    failed: bool = false,

    pub fn create(server: *Server, fd: c_int) ?*Session {
        const session = allocator.create(Session) catch return null;
        const ssl = openssl.SSL_new(server.default) orelse {
            allocator.destroy(session);
            return null;
        };
        sessions_made += 1;
        session.* = .{ .ssl = ssl, .server = server, .fd = fd, .number = sessions_made };
        const bio = newBio(session) orelse {
            session.destroy();
            return null;
        };
        // Read and write side are the same, of which OpenSSL takes one reference.
        openssl.SSL_set_bio(ssl, bio, bio);
        openssl.SSL_set_accept_state(ssl);
        return session;
    }

    pub fn destroy(session: *Session) void {
        openssl.SSL_free(session.ssl);
        session.pending.free();
        allocator.free(session.preamble);
        allocator.destroy(session);
    }

    pub fn extendPreamble(session: *Session, bytes: []const u8) bool {
        const kept = session.preamble.len;
        session.preamble = allocator.realloc(session.preamble, kept + bytes.len) catch return false;
        @memcpy(session.preamble[kept..], bytes);
        return true;
    }

    pub fn handshake(session: *Session) Progress {
        assert(session.handshaking);
        openssl.ERR_clear_error();
        session.server.shaking = session;
        const result = openssl.SSL_do_handshake(session.ssl);
        if (result == 1) {
            session.handshaking = false;
            return .done;
        }
        return session.outcome(result);
    }

    /// Plain bytes into `buffer`.
    pub fn read(session: *Session, buffer: []u8, count: *usize) Progress {
        const result = openssl.SSL_read(session.ssl, buffer.ptr, @intCast(buffer.len));
        if (result > 0) {
            count.* = @intCast(result);
            return .done;
        }
        // An error that others left in the queue would be taken for ours. What ours was does not matter here.
        openssl.ERR_clear_error();
        return session.outcome(result);
    }

    /// Neither the kernel nor OpenSSL has anything more to read in this turn.
    pub fn isDrained(session: *const Session) bool {
        return session.drained and openssl.SSL_has_pending(session.ssl) == 0;
    }

    fn outcome(session: *Session, result: c_int) Progress {
        switch (openssl.SSL_get_error(session.ssl, result)) {
            error_want_read => return .blocked,
            error_zero_return => return .ended,
            else => {},
        }
        const spoke_http = session.handshaking and library.lastTlsReason() == reason_http_request;
        session.failed = true;
        // Python's ssl module shares the queue.
        openssl.ERR_clear_error();
        return if (spoke_http) .spoke_http else .failed;
    }

    /// How many bytes were taken; none while ciphertext waits.
    pub fn write(session: *Session, data: []const u8, more: bool) usize {
        if (!session.pending.isEmpty() and !session.flush()) return 0;
        if (!session.pending.isEmpty() or session.failed) return 0;
        var taken: usize = 0;
        while (taken < data.len) {
            const piece = data[taken..][0..@min(record_bytes, data.len - taken)];
            session.more = more or taken + piece.len < data.len;
            const result = openssl.SSL_write(session.ssl, piece.ptr, @intCast(piece.len));
            if (result <= 0) {
                session.failed = true;
                openssl.ERR_clear_error();
                break;
            }
            taken += @intCast(result);
            if (!session.pending.isEmpty()) break;
        }
        session.more = false;
        return taken;
    }

    /// The last bytes, which wait behind what waits already. False where they are lost.
    pub fn keep(session: *Session, data: []const u8) bool {
        session.pending_limit = std.math.maxInt(usize);
        var rest = data;
        while (rest.len > 0 and !session.failed) {
            const result = openssl.SSL_write(session.ssl, rest.ptr, @intCast(@min(record_bytes, rest.len)));
            if (result <= 0) {
                session.failed = true;
                openssl.ERR_clear_error();
            } else rest = rest[@intCast(result)..];
        }
        return !session.failed;
    }

    pub fn flush(session: *Session) bool {
        if (session.pending.flush(session.fd)) return true;
        session.failed = true;
        return false;
    }

    /// The peer's certificate as DER, or null without one or with one that does not fit.
    pub fn peerCertificate(session: *Session, out: []u8) ?[]u8 {
        const certificate = openssl.SSL_get1_peer_certificate(session.ssl) orelse return null;
        defer openssl.X509_free(certificate);
        const length = openssl.i2d_X509(certificate, null);
        if (length <= 0 or length > out.len) return null;
        // It moves the pointer that it is given.
        var position: [*]u8 = out.ptr;
        return out[0..@intCast(openssl.i2d_X509(certificate, &position))];
    }

    /// close_notify (RFC 8446 section 6.1), once.
    pub fn sayGoodbye(session: *Session) void {
        if (session.handshaking or session.failed) return;
        openssl.ERR_clear_error();
        // What the peer still says is not waited for.
        if (openssl.SSL_shutdown(session.ssl) < 0) openssl.ERR_clear_error();
    }
};

threadlocal var sessions_made: u64 = 0;
var bio_method: ?*library.BioMethod = null;

const bio_type_source_sink: c_int = 0x0400;
const bio_flag_read = 1;
const bio_flags_retry = 0x0f;
const bio_flag_should_retry = 8;
const bio_ctrl_flush = 11;

fn newBio(session: *Session) ?*Bio {
    const method = @atomicLoad(?*library.BioMethod, &bio_method, .acquire) orelse makeBioMethod() orelse return null;
    const bio = openssl.BIO_new(method) orelse return null;
    openssl.BIO_set_data(bio, session);
    openssl.BIO_set_init(bio, 1);
    return bio;
}

fn makeBioMethod() ?*library.BioMethod {
    const method = openssl.BIO_meth_new(openssl.BIO_get_new_index() | bio_type_source_sink, "descriptor") orelse return null;
    _ = openssl.BIO_meth_set_read(method, bioRead);
    _ = openssl.BIO_meth_set_write(method, bioWrite);
    _ = openssl.BIO_meth_set_ctrl(method, bioControl);
    // Where two threads begin at once, one of both is never used.
    return @cmpxchgStrong(?*library.BioMethod, &bio_method, null, method, .acq_rel, .acquire) orelse method;
}

fn sessionOf(bio: *Bio) *Session {
    return @ptrCast(@alignCast(openssl.BIO_get_data(bio).?));
}

fn bioRead(bio: *Bio, data: ?[*]u8, length: c_int) callconv(.c) c_int {
    const session = sessionOf(bio);
    openssl.BIO_clear_flags(bio, bio_flags_retry);
    if (session.fd < 0 or length <= 0) return -1;
    while (!session.drained) {
        const count = sys.recv(session.fd, data, @intCast(length), 0);
        if (count >= 0) {
            // A short read emptied the kernel's buffer.
            session.drained = count < length;
            return @intCast(count);
        }
        switch (sys.errno()) {
            .INTR => continue,
            .AGAIN => session.drained = true,
            else => return -1,
        }
    }
    openssl.BIO_set_flags(bio, bio_flag_read | bio_flag_should_retry);
    return -1;
}

fn bioWrite(bio: *Bio, data: ?[*]const u8, length: c_int) callconv(.c) c_int {
    const session = sessionOf(bio);
    openssl.BIO_clear_flags(bio, bio_flags_retry);
    if (session.fd < 0 or length <= 0) return -1;
    var rest = data.?[0..@intCast(length)];
    if (session.pending.isEmpty()) {
        const flags = sys.msg_nosignal | if (session.more) sys.msg_more else @as(c_int, 0);
        while (true) {
            const count = sys.send(session.fd, rest.ptr, rest.len, flags);
            if (count >= 0) {
                rest = rest[@intCast(count)..];
                break;
            }
            switch (sys.errno()) {
                .INTR => continue,
                .AGAIN => break,
                else => return -1,
            }
        }
    }
    if (rest.len > 0) session.pending.appendWithin(rest, session.pending_limit) catch return -1;
    return length;
}

fn bioControl(_: *Bio, command: c_int, _: c_long, _: ?*anyopaque) callconv(.c) c_long {
    return @intFromBool(command == bio_ctrl_flush);
}
