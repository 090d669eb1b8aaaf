//! TLS of a socket context: the certificate for everyone, those of server names (RFC 6066 section 3), and their change while
//! connections live: OpenSSL counts the references to an SSL_CTX, so a connection keeps the one it began with.
const std = @import("std");
const assert = std.debug.assert;
const library = @import("tls_library.zig");
const openssl = &library.openssl;
const tls_options = @import("tls_options.zig");
const Context = @import("context.zig").Context;
const PreambleCallback = @import("context.zig").PreambleCallback;
const Protocols = @import("context.zig").Protocols;
const Socket = @import("socket.zig").Socket;
const Ctx = library.Ctx;
const Ssl = library.Ssl;
const Session = @import("tls_session.zig").Session;

const allocator = std.heap.c_allocator;

/// RFC 1035 section 2.3.4.
pub const name_bytes_max = 253;

/// Called with a server name that has no certificate; it may add one.
pub const MissingName = *const fn (?*anyopaque, [*]const u8, usize) callconv(.c) void;

/// What a server name has. Renewal keeps the number.
const Entry = struct { ctx: *Ctx, number: u32 };

pub const Server = struct {
    default: *Ctx,
    handshake_seconds: u32,
    names: std.StringHashMapUnmanaged(Entry) = .empty,
    entries_made: u32 = 0,
    /// Whose handshake runs.
    shaking: ?*Session = null,
    on_missing_name: ?MissingName = null,
    missing_name_user: ?*anyopaque = null,
    /// Handshakes that failed, for the curious.
    failed_handshakes: u64 = 0,

    pub fn destroy(server: *Server) void {
        openssl.SSL_CTX_free(server.default);
        var entries = server.names.iterator();
        while (entries.next()) |entry| {
            openssl.SSL_CTX_free(entry.value_ptr.ctx);
            allocator.free(entry.key_ptr.*);
        }
        server.names.deinit(allocator);
        allocator.destroy(server);
    }

    fn setName(server: *Server, name: []const u8, ctx: *Ctx) error{OutOfMemory}!void {
        if (server.names.getPtr(name)) |value| {
            openssl.SSL_CTX_free(value.ctx);
            value.ctx = ctx;
            return;
        }
        const owned = try allocator.dupe(u8, name);
        errdefer allocator.free(owned);
        try server.names.put(allocator, owned, .{ .ctx = ctx, .number = server.entries_made + 1 });
        server.entries_made += 1;
    }

    fn removeName(server: *Server, name: []const u8) void {
        const removed = server.names.fetchRemove(name) orelse return;
        openssl.SSL_CTX_free(removed.value.ctx);
        allocator.free(removed.key);
    }

    /// The name itself, else the nearest wildcard: "*.b.c" for "a.b.c".
    fn find(server: *const Server, name: []const u8) ?Entry {
        if (server.names.get(name)) |entry| return entry;
        var buffer: [name_bytes_max + 1]u8 = undefined;
        buffer[0] = '*';
        var rest = name;
        while (std.mem.indexOfScalar(u8, rest, '.')) |dot| {
            const suffix = rest[dot..];
            @memcpy(buffer[1..][0..suffix.len], suffix);
            if (server.names.get(buffer[0 .. suffix.len + 1])) |entry| return entry;
            rest = rest[dot + 1 ..];
        }
        return null;
    }

    fn choose(server: *Server, name: []const u8) ?Entry {
        if (server.find(name)) |entry| return entry;
        const callback = server.on_missing_name orelse return null;
        callback(server.missing_name_user, name.ptr, name.len);
        return server.find(name);
    }

    /// Whether a request for a host must not be answered on a connection (RFC 9110 section 15.5.20), because the host has another
    /// certificate than the one that the client asked for, or asks clients for one, which this client was not asked for.
    fn misdirected(server: *const Server, session: *const Session, host: []const u8, configured: bool) bool {
        const entry = server.find(host) orelse Entry{ .ctx = server.default, .number = 0 };
        if (entry.number == session.entry) return false;
        const asks = openssl.SSL_CTX_get_verify_mode(entry.ctx) != 0;
        return asks or (session.named and (configured or entry.number != 0));
    }
};

const client_hello_ok = 1;
const extension_server_name = 0;

/// The first of all callbacks of a handshake, so that the name's version, ciphers and client authority are chosen with its
/// certificate.
fn onClientHello(ssl: *Ssl, _: *c_int, user: ?*anyopaque) callconv(.c) c_int {
    const server: *Server = @ptrCast(@alignCast(user.?));
    if (server.names.count() == 0 and server.on_missing_name == null) return client_hello_ok;
    var data: [*]const u8 = undefined;
    var length: usize = 0;
    if (openssl.SSL_client_hello_get0_ext(ssl, extension_server_name, &data, &length) != 1) return client_hello_ok;
    var buffer: [name_bytes_max]u8 = undefined;
    // What is malformed is refused by OpenSSL, a moment later.
    const name = hostName(data[0..length], &buffer) orelse return client_hello_ok;
    const session = server.shaking.?;
    session.named = true;
    const entry = server.choose(name) orelse return client_hello_ok;
    session.entry = entry.number;
    if (openssl.SSL_set_SSL_CTX(ssl, entry.ctx) == null) return 0;
    tls_options.followContext(ssl, entry.ctx);
    openssl.SSL_set_verify(ssl, openssl.SSL_CTX_get_verify_mode(entry.ctx), null);
    return client_hello_ok;
}

/// RFC 6066 section 3: a list's length, then type 0, a length, and the name; in lower case, without the root's dot.
pub fn hostName(extension: []const u8, buffer: *[name_bytes_max]u8) ?[]const u8 {
    if (extension.len < 5 or extension[2] != 0) return null;
    const length = std.mem.readInt(u16, extension[3..5], .big);
    var name = extension[5..];
    if (length > name.len) return null;
    name = std.mem.trimEnd(u8, name[0..length], ".");
    if (name.len == 0 or name.len > name_bytes_max) return null;
    return std.ascii.lowerString(buffer, name);
}

const alpn_ok = 0;
const alpn_fatal = 2;
const http_1_1 = "http/1.1";
const http_2 = "h2";

/// RFC 7301 section 3.2: without a protocol in common the handshake fails.
fn onAlpn(_: *Ssl, out: *[*]const u8, out_length: *u8, offered: [*]const u8, length: c_uint, user: ?*anyopaque) callconv(.c) c_int {
    const context: *Context = @ptrCast(@alignCast(user.?));
    const name = chooseProtocol(offered[0..length], context.protocols) orelse return alpn_fatal;
    context.tls.?.shaking.?.speaks_http_2 = std.mem.eql(u8, name, http_2);
    out.* = name.ptr;
    out_length.* = @intCast(name.len);
    return alpn_ok;
}

/// The best of our protocols, where it stands in a client's list: each of up to 255 bytes, behind its length in one.
pub fn chooseProtocol(offered: []const u8, ours: Protocols) ?[]const u8 {
    var found: ?[]const u8 = null;
    var rest = offered;
    while (rest.len > 0) {
        const end = 1 + @as(usize, rest[0]);
        if (end > rest.len) return null;
        const name = rest[1..end];
        rest = rest[end..];
        if (ours.http_2 and std.mem.eql(u8, name, http_2)) return name;
        if (ours.http_1_1 and std.mem.eql(u8, name, http_1_1)) found = name;
    }
    return found;
}

fn copyReason(failure: tls_options.Failure, out: [*]u8, size: usize) c_int {
    assert(size > 0);
    const text = std.mem.span(failure.reason);
    const length = @min(text.len, size - 1);
    @memcpy(out[0..length], text[0..length]);
    out[length] = 0;
    return @backingInt(failure.problem) | @as(c_int, failure.index) << 8;
}

export fn us_socket_context_tls(
    context: *Context,
    name: [*]const u8,
    name_length: usize,
    options: *const tls_options.Options,
    reason: [*]u8,
    reason_size: usize,
) c_int {
    assert(library.isLoaded());
    var failure: tls_options.Failure = .{};
    const ctx = tls_options.create(options, &failure) orelse return copyReason(failure, reason, reason_size);
    openssl.SSL_CTX_set_alpn_select_cb(ctx, onAlpn, context);
    install(context, name[0..name_length], ctx, options) catch {
        openssl.SSL_CTX_free(ctx);
        return copyReason(.{ .problem = .memory }, reason, reason_size);
    };
    return @backingInt(tls_options.Problem.none);
}

fn install(context: *Context, name: []const u8, ctx: *Ctx, options: *const tls_options.Options) error{OutOfMemory}!void {
    if (name.len > 0) {
        // A name needs a server that has a certificate for everyone.
        return context.tls.?.setName(name, ctx);
    }
    if (context.tls) |server| {
        openssl.SSL_CTX_free(server.default);
        server.default = ctx;
        server.handshake_seconds = options.handshake_timeout_s;
    } else {
        const server = try allocator.create(Server);
        server.* = .{ .default = ctx, .handshake_seconds = options.handshake_timeout_s };
        context.tls = server;
    }
    openssl.SSL_CTX_set_client_hello_cb(ctx, onClientHello, context.tls);
}

export fn us_socket_context_tls_remove_name(context: *Context, name: [*]const u8, name_length: usize) void {
    if (context.tls) |server| server.removeName(name[0..name_length]);
}

export fn us_socket_context_tls_on_missing_name(context: *Context, callback: ?MissingName, user: ?*anyopaque) void {
    const server = context.tls.?;
    server.on_missing_name = callback;
    server.missing_name_user = user;
}

export fn us_socket_tls_peer_certificate(socket: *Socket, out: [*]u8, size: usize) c_int {
    const session = socket.bottom().tls orelse return 0;
    const certificate = session.peerCertificate(out[0..size]) orelse return 0;
    return @intCast(certificate.len);
}

export fn us_socket_tls_misdirected(socket: *Socket, host: [*]const u8, length: usize, configured: c_int) c_int {
    const session = socket.bottom().tls orelse return 0;
    if (length > name_bytes_max) return 0;
    return @intFromBool(session.server.misdirected(session, host[0..length], configured != 0));
}

/// Whether client and server agreed on HTTP/2.
export fn us_socket_tls_speaks_http_2(socket: *const Socket) c_int {
    const session = socket.bottom().tls orelse return 0;
    return @intFromBool(session.speaks_http_2);
}

export fn us_socket_context_tls_had_names(context: *Context) c_int {
    const server = context.tls orelse return 0;
    // Connections outlive names.
    return @intFromBool(server.entries_made > 0);
}

export fn us_socket_context_tls_failed_handshakes(context: *Context) u64 {
    return if (context.tls) |server| server.failed_handshakes else 0;
}

export fn us_socket_context_tls_count_failures(context: *Context, word: *u64) void {
    context.failures = word;
}

export fn us_socket_context_on_preamble(context: *Context, callback: ?PreambleCallback, user: ?*anyopaque) void {
    context.on_preamble = callback;
    context.preamble_user = user;
}

export fn us_socket_preamble(socket: *Socket, length: *usize) ?[*]const u8 {
    const session = socket.tls orelse return null;
    length.* = session.preamble.len;
    return session.preamble.ptr;
}
