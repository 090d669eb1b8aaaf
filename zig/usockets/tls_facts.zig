//! What was agreed on for a TLS connection: version, cipher suite, and the certificates of both ends.
const std = @import("std");
const library = @import("tls_library.zig");
const openssl = &library.openssl;
const Socket = @import("socket.zig").Socket;
const Session = @import("tls_session.zig").Session;
const Certificate = library.Certificate;

/// XN_FLAG_RFC2253, which is what RFC 4514 says, but with characters outside ASCII as UTF-8.
const name_flags: c_ulong = 0x1110313;

/// Big-endian numbers, and blocks of bytes that begin with their length in four.
const Writer = struct {
    out: []u8,
    length: usize = 0,

    fn room(writer: *Writer, size: usize) error{NoSpaceLeft}![]u8 {
        if (size > writer.out.len - writer.length) return error.NoSpaceLeft;
        defer writer.length += size;
        return writer.out[writer.length..][0..size];
    }

    fn number(writer: *Writer, comptime T: type, value: T) error{NoSpaceLeft}!void {
        std.mem.writeInt(T, (try writer.room(@sizeOf(T)))[0..@sizeOf(T)], value, .big);
    }

    fn block(writer: *Writer, bytes: []const u8) error{NoSpaceLeft}!void {
        try writer.number(u32, @intCast(bytes.len));
        @memcpy(try writer.room(bytes.len), bytes);
    }

    fn certificate(writer: *Writer, given: ?*const Certificate) error{NoSpaceLeft}!void {
        const found = given orelse return writer.number(u32, 0);
        const length = openssl.i2d_X509(found, null);
        if (length <= 0) return writer.number(u32, 0);
        try writer.number(u32, @intCast(length));
        // It moves the pointer that it is given.
        var position: [*]u8 = (try writer.room(@intCast(length))).ptr;
        _ = openssl.i2d_X509(found, &position);
    }

    fn subject(writer: *Writer, given: *const Certificate) error{NoSpaceLeft}!void {
        var text: [4096]u8 = undefined;
        try writer.block(text[0..subjectOf(given, &text)]);
    }
};

fn subjectOf(certificate: *const Certificate, text: []u8) usize {
    const name = openssl.X509_get_subject_name(certificate) orelse return 0;
    const bio = openssl.BIO_new(openssl.BIO_s_mem() orelse return 0) orelse return 0;
    defer _ = openssl.BIO_free(bio);
    if (openssl.X509_NAME_print_ex(bio, name, 0, name_flags) < 0) return 0;
    return @intCast(@max(openssl.BIO_read(bio, text.ptr, @intCast(text.len)), 0));
}

fn describe(session: *Session, writer: *Writer) error{NoSpaceLeft}!void {
    const ssl = session.ssl;
    try writer.number(u16, @intCast(openssl.SSL_version(ssl)));
    const cipher = openssl.SSL_get_current_cipher(ssl);
    try writer.number(u16, if (cipher) |found| openssl.SSL_CIPHER_get_protocol_id(found) else 0);
    try writer.certificate(openssl.SSL_get_certificate(ssl));
    const peer = openssl.SSL_get1_peer_certificate(ssl) orelse return;
    defer openssl.X509_free(peer);
    try writer.subject(peer);
    try writer.certificate(peer);
    // On the server's side it begins with the issuer.
    const chain = openssl.SSL_get_peer_cert_chain(ssl) orelse return;
    var index: c_int = 0;
    while (index < openssl.OPENSSL_sk_num(chain)) : (index += 1) {
        try writer.certificate(openssl.OPENSSL_sk_value(chain, index));
    }
}

export fn us_socket_tls_number(socket: *const Socket) u64 {
    return if (socket.bottom().tls) |session| session.number else 0;
}

export fn us_socket_tls_facts(socket: *Socket, out: [*]u8, size: usize) c_int {
    const session = socket.bottom().tls orelse return 0;
    var writer: Writer = .{ .out = out[0..size] };
    // A chain that does not fit ends with the last certificate that did: the caller sees whole blocks only.
    describe(session, &writer) catch {};
    library.openssl.ERR_clear_error();
    return @intCast(writer.length);
}
