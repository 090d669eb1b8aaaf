//! OpenSSL 3, found at run time: neither its headers nor its libraries are needed to build, and a program that serves no TLS
//! runs without it. Only functions of its stable interface are declared, macros by their numbers.
const std = @import("std");

pub const Ssl = opaque {};
pub const Ctx = opaque {};
pub const Method = opaque {};
pub const Bio = opaque {};
pub const BioMethod = opaque {};
pub const Key = opaque {};
pub const Certificate = opaque {};
pub const Time = opaque {};
pub const Names = opaque {};
pub const Name = opaque {};
pub const Stack = opaque {};
pub const Cipher = opaque {};
pub const Store = opaque {};
pub const Lookup = opaque {};
pub const LookupMethod = opaque {};

pub const PasswordCallback = *const fn ([*]u8, c_int, c_int, ?*anyopaque) callconv(.c) c_int;
pub const ClientHelloCallback = *const fn (*Ssl, *c_int, ?*anyopaque) callconv(.c) c_int;
pub const AlpnCallback = *const fn (*Ssl, *[*]const u8, *u8, [*]const u8, c_uint, ?*anyopaque) callconv(.c) c_int;
pub const BioTransfer = *const fn (*Bio, ?[*]u8, c_int) callconv(.c) c_int;
pub const BioWrite = *const fn (*Bio, ?[*]const u8, c_int) callconv(.c) c_int;
pub const BioControl = *const fn (*Bio, c_int, c_long, ?*anyopaque) callconv(.c) c_long;

const Functions = struct {
    OpenSSL_version_num: *const fn () callconv(.c) c_ulong,
    ERR_clear_error: *const fn () callconv(.c) void,
    ERR_peek_last_error: *const fn () callconv(.c) c_ulong,
    ERR_reason_error_string: *const fn (c_ulong) callconv(.c) ?[*:0]const u8,
    RAND_bytes: *const fn ([*]u8, c_int) callconv(.c) c_int,

    BIO_new: *const fn (*const BioMethod) callconv(.c) ?*Bio,
    BIO_s_mem: *const fn () callconv(.c) ?*const BioMethod,
    BIO_read: *const fn (*Bio, [*]u8, c_int) callconv(.c) c_int,
    BIO_new_file: *const fn ([*:0]const u8, [*:0]const u8) callconv(.c) ?*Bio,
    BIO_free: *const fn (*Bio) callconv(.c) c_int,
    BIO_get_new_index: *const fn () callconv(.c) c_int,
    BIO_meth_new: *const fn (c_int, [*:0]const u8) callconv(.c) ?*BioMethod,
    BIO_meth_set_read: *const fn (*BioMethod, BioTransfer) callconv(.c) c_int,
    BIO_meth_set_write: *const fn (*BioMethod, BioWrite) callconv(.c) c_int,
    BIO_meth_set_ctrl: *const fn (*BioMethod, BioControl) callconv(.c) c_int,
    BIO_set_data: *const fn (*Bio, ?*anyopaque) callconv(.c) void,
    BIO_get_data: *const fn (*Bio) callconv(.c) ?*anyopaque,
    BIO_set_init: *const fn (*Bio, c_int) callconv(.c) void,
    BIO_set_flags: *const fn (*Bio, c_int) callconv(.c) void,
    BIO_clear_flags: *const fn (*Bio, c_int) callconv(.c) void,

    PEM_read_bio_PrivateKey: *const fn (*Bio, ?*?*Key, ?PasswordCallback, ?*anyopaque) callconv(.c) ?*Key,
    PEM_read_bio_Parameters: *const fn (*Bio, ?*?*Key) callconv(.c) ?*Key,
    EVP_PKEY_free: *const fn (*Key) callconv(.c) void,
    EVP_PKEY_get_base_id: *const fn (*const Key) callconv(.c) c_int,
    X509_get0_notBefore: *const fn (*const Certificate) callconv(.c) *const Time,
    X509_get0_notAfter: *const fn (*const Certificate) callconv(.c) *const Time,
    X509_cmp_current_time: *const fn (*const Time) callconv(.c) c_int,
    X509_free: *const fn (*Certificate) callconv(.c) void,
    X509_get_subject_name: *const fn (*const Certificate) callconv(.c) ?*const Name,
    X509_NAME_print_ex: *const fn (*Bio, *const Name, c_int, c_ulong) callconv(.c) c_int,
    OPENSSL_sk_num: *const fn (*const Stack) callconv(.c) c_int,
    OPENSSL_sk_value: *const fn (*const Stack, c_int) callconv(.c) ?*const Certificate,
    i2d_X509: *const fn (*const Certificate, ?*[*]u8) callconv(.c) c_int,

    TLS_server_method: *const fn () callconv(.c) *const Method,
    SSL_CTX_new: *const fn (*const Method) callconv(.c) ?*Ctx,
    SSL_CTX_free: *const fn (*Ctx) callconv(.c) void,
    SSL_CTX_ctrl: *const fn (*Ctx, c_int, c_long, ?*const anyopaque) callconv(.c) c_long,
    SSL_CTX_set_options: *const fn (*Ctx, u64) callconv(.c) u64,
    SSL_CTX_set_cipher_list: *const fn (*Ctx, [*:0]const u8) callconv(.c) c_int,
    SSL_CTX_set_ciphersuites: *const fn (*Ctx, [*:0]const u8) callconv(.c) c_int,
    SSL_CTX_set_session_id_context: *const fn (*Ctx, [*]const u8, c_uint) callconv(.c) c_int,
    SSL_CTX_set_default_passwd_cb: *const fn (*Ctx, ?PasswordCallback) callconv(.c) void,
    SSL_CTX_use_certificate_chain_file: *const fn (*Ctx, [*:0]const u8) callconv(.c) c_int,
    SSL_CTX_use_PrivateKey: *const fn (*Ctx, *Key) callconv(.c) c_int,
    SSL_CTX_check_private_key: *const fn (*const Ctx) callconv(.c) c_int,
    SSL_CTX_get0_certificate: *const fn (*const Ctx) callconv(.c) ?*const Certificate,
    SSL_CTX_set0_tmp_dh_pkey: *const fn (*Ctx, *Key) callconv(.c) c_int,
    SSL_CTX_load_verify_locations: *const fn (*Ctx, ?[*:0]const u8, ?[*:0]const u8) callconv(.c) c_int,
    SSL_load_client_CA_file: *const fn ([*:0]const u8) callconv(.c) ?*Names,
    SSL_CTX_set_client_CA_list: *const fn (*Ctx, *Names) callconv(.c) void,
    SSL_CTX_get_cert_store: *const fn (*const Ctx) callconv(.c) ?*Store,
    X509_STORE_add_lookup: *const fn (*Store, *const LookupMethod) callconv(.c) ?*Lookup,
    X509_STORE_set_flags: *const fn (*Store, c_ulong) callconv(.c) c_int,
    X509_LOOKUP_file: *const fn () callconv(.c) *const LookupMethod,
    X509_load_crl_file: *const fn (*Lookup, [*:0]const u8, c_int) callconv(.c) c_int,
    SSL_CTX_set_verify: *const fn (*Ctx, c_int, ?*const anyopaque) callconv(.c) void,
    SSL_CTX_get_verify_mode: *const fn (*const Ctx) callconv(.c) c_int,
    SSL_CTX_set_client_hello_cb: *const fn (*Ctx, ClientHelloCallback, ?*anyopaque) callconv(.c) void,
    SSL_CTX_set_alpn_select_cb: *const fn (*Ctx, AlpnCallback, ?*anyopaque) callconv(.c) void,

    SSL_new: *const fn (*Ctx) callconv(.c) ?*Ssl,
    SSL_free: *const fn (*Ssl) callconv(.c) void,
    SSL_set_bio: *const fn (*Ssl, *Bio, *Bio) callconv(.c) void,
    SSL_set_accept_state: *const fn (*Ssl) callconv(.c) void,
    SSL_set_SSL_CTX: *const fn (*Ssl, *Ctx) callconv(.c) ?*Ctx,
    SSL_ctrl: *const fn (*Ssl, c_int, c_long, ?*const anyopaque) callconv(.c) c_long,
    SSL_set_verify: *const fn (*Ssl, c_int, ?*const anyopaque) callconv(.c) void,
    SSL_client_hello_get0_ext: *const fn (*Ssl, c_uint, *[*]const u8, *usize) callconv(.c) c_int,
    SSL_do_handshake: *const fn (*Ssl) callconv(.c) c_int,
    SSL_read: *const fn (*Ssl, [*]u8, c_int) callconv(.c) c_int,
    SSL_has_pending: *const fn (*const Ssl) callconv(.c) c_int,
    SSL_write: *const fn (*Ssl, [*]const u8, c_int) callconv(.c) c_int,
    SSL_shutdown: *const fn (*Ssl) callconv(.c) c_int,
    SSL_get_error: *const fn (*const Ssl, c_int) callconv(.c) c_int,
    SSL_version: *const fn (*const Ssl) callconv(.c) c_int,
    SSL_get_current_cipher: *const fn (*const Ssl) callconv(.c) ?*const Cipher,
    SSL_CIPHER_get_protocol_id: *const fn (*const Cipher) callconv(.c) u16,
    SSL_get_certificate: *const fn (*const Ssl) callconv(.c) ?*const Certificate,
    SSL_get_peer_cert_chain: *const fn (*const Ssl) callconv(.c) ?*const Stack,
    SSL_get1_peer_certificate: *const fn (*const Ssl) callconv(.c) ?*Certificate,
};

/// Undefined until `load` succeeded; no session or context is made before.
pub var openssl: Functions = undefined;
var loaded = false;

const version_three: c_ulong = 0x30000000;

pub fn isLoaded() bool {
    return loaded;
}

pub const LoadResult = enum(c_int) { ok = 1, absent = 0, too_old = -1, incomplete = -2 };

/// Binds all functions that one library and those it needs have, or none; of the program itself when the path is empty. A library
/// that was loaded stays.
pub fn load(path: [*:0]const u8) LoadResult {
    if (loaded) return .ok;
    const library = std.c.dlopen(if (path[0] == 0) null else path, .{ .NOW = true }) orelse return .absent;
    const result = bind(library);
    if (result != .ok) _ = std.c.dlclose(library);
    return result;
}

fn bind(library: *anyopaque) LoadResult {
    // Before all others: an older library lacks some of them, and its age is what to report.
    const found_version = std.c.dlsym(library, "OpenSSL_version_num") orelse return .too_old;
    // Functions begin at multiples of an instruction's size.
    const version: *const fn () callconv(.c) c_ulong = @ptrCast(@alignCast(found_version));
    if (version() < version_three) return .too_old;
    var found: Functions = undefined;
    inline for (comptime std.meta.fieldNames(Functions)) |name| {
        @field(found, name) = @ptrCast(@alignCast(std.c.dlsym(library, name) orelse return .incomplete));
    }
    openssl = found;
    loaded = true;
    return .ok;
}

/// Why the last call failed, for people; empty when OpenSSL has nothing to say.
pub fn lastReason() [*:0]const u8 {
    const code = openssl.ERR_peek_last_error();
    if (code == 0) return "";
    return openssl.ERR_reason_error_string(code) orelse "unknown reason";
}

const library_ssl = 20;

/// The reason's number when the last error is one of TLS itself.
pub fn lastTlsReason() ?u32 {
    const code = openssl.ERR_peek_last_error();
    if ((code >> 23) & 0xff != library_ssl) return null;
    return @intCast(code & 0x7fffff);
}

export fn us_tls_load(path: [*:0]const u8) c_int {
    return @backingInt(load(path));
}
