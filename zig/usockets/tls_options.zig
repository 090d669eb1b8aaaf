//! From files and choices to an SSL_CTX. What is wrong is reported by its part and OpenSSL's reason.
const std = @import("std");
const library = @import("tls_library.zig");
const openssl = &library.openssl;
const Ctx = library.Ctx;

/// What a client certificate means to a server.
const ClientCertificate = enum(c_int) { none = 0, optional = 1, required = 2 };

/// us_tls_options. Null for what is not given; text ends with NUL and is not kept.
pub const Options = extern struct {
    /// One path behind the other, and an empty one at last; as many keys as certificates.
    key_files: [*:0]const u8,
    cert_files: [*:0]const u8,
    passphrase: ?[*:0]const u8,
    dh_params_file: ?[*:0]const u8,
    ca_file: ?[*:0]const u8,
    /// What those who signed certificates have revoked.
    crl_file: ?[*:0]const u8,
    /// Of TLS 1.2; empty for TLS 1.3 only.
    ciphers: ?[*:0]const u8,
    /// Of TLS 1.3.
    ciphersuites: ?[*:0]const u8,
    client_certificate: ClientCertificate,
    /// As records say them, 0x0303 for TLS 1.2; 0 for what is usual.
    minimum_version: c_int,
    maximum_version: c_int,
    low_memory: c_int,
    handshake_timeout_s: c_uint,
};

/// us_tls_problem.
pub const Problem = enum(c_int) {
    none = 0,
    memory = 1,
    certificate = 2,
    certificate_expired = 3,
    certificate_early = 4,
    key = 5,
    passphrase_missing = 6,
    passphrase_wrong = 7,
    key_mismatch = 8,
    dh_params = 9,
    ca = 10,
    ciphers = 11,
    ciphersuites = 12,
    same_kind = 13,
    crl = 14,
    versions = 15,
};

pub const Failure = struct {
    problem: Problem = .none,
    /// Of the certificate and key that it is about.
    index: u8 = 0,
    reason: [*:0]const u8 = "",
};

/// Mozilla's intermediate recommendation.
const default_ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:" ++
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:" ++
    "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305";
const groups = "X25519:P-256:P-384";
const groups_with_ml_kem = "X25519MLKEM768:" ++ groups;

const version_1_2 = 0x0303;
const version_1_3 = 0x0304;

const ctrl_mode = 33;
const ctrl_read_ahead = 41;
const ctrl_session_cache_mode = 44;
const ctrl_groups_list = 92;
const ctrl_clear_mode = 78;
const ctrl_min_version = 123;
const ctrl_max_version = 124;
const ctrl_get_min_version = 130;
const ctrl_get_max_version = 131;

const mode_partial_write = 1;
const mode_moving_write_buffer = 2;
const mode_release_buffers = 16;
const session_cache_off = 0;

const option_no_compression: u64 = 1 << 17;
const option_no_renegotiation: u64 = 1 << 30;

/// RSA, RSA-PSS, ECDSA, Ed25519, Ed448: more kinds of keys there are not. As socketify/core/options.py has it.
const certificates_max = 5;

const file_type_pem = 1;
/// Every certificate of the chain is looked up, and a CA without a list has signed none that is taken.
const check_revocation: c_ulong = 4 | 8;

const verify_none = 0;
const verify_peer = 1;
const verify_fail_without = 2;

pub fn create(options: *const Options, failure: *Failure) ?*Ctx {
    openssl.ERR_clear_error();
    // Python's ssl module shares the queue: nothing of ours may be left in it.
    defer openssl.ERR_clear_error();
    const ctx = openssl.SSL_CTX_new(openssl.TLS_server_method()) orelse {
        failure.* = .{ .problem = .memory, .reason = library.lastReason() };
        return null;
    };
    failure.problem = fill(ctx, options, &failure.index);
    if (failure.problem == .none) return ctx;
    failure.reason = library.lastReason();
    openssl.SSL_CTX_free(ctx);
    return null;
}

fn fill(ctx: *Ctx, options: *const Options, index: *u8) Problem {
    const release: c_long = if (options.low_memory != 0) mode_release_buffers else 0;
    _ = openssl.SSL_CTX_ctrl(ctx, ctrl_mode, mode_partial_write | mode_moving_write_buffer | release, null);
    _ = openssl.SSL_CTX_ctrl(ctx, ctrl_read_ahead, 1, null);
    // Tickets need no memory of ours.
    _ = openssl.SSL_CTX_ctrl(ctx, ctrl_session_cache_mode, session_cache_off, null);
    _ = openssl.SSL_CTX_set_options(ctx, option_no_compression | option_no_renegotiation);
    if (openssl.SSL_CTX_ctrl(ctx, ctrl_groups_list, 0, groups_with_ml_kem) != 1)
        _ = openssl.SSL_CTX_ctrl(ctx, ctrl_groups_list, 0, groups);
    var session_id_context: [16]u8 = undefined;
    if (openssl.RAND_bytes(&session_id_context, session_id_context.len) != 1) return .memory;
    if (openssl.SSL_CTX_set_session_id_context(ctx, &session_id_context, session_id_context.len) != 1) return .memory;
    const problem = setCertificates(ctx, options, index);
    if (problem != .none) return problem;
    inline for (.{ setVersions, setCiphers, setDhParameters, setClientAuthority, setRevoked }) |step| {
        openssl.ERR_clear_error();
        const other = step(ctx, options);
        if (other != .none) return other;
    }
    return .none;
}

/// What SSL_set_SSL_CTX leaves as the first context had it.
pub fn followContext(ssl: *library.Ssl, ctx: *Ctx) void {
    _ = openssl.SSL_ctrl(ssl, ctrl_min_version, openssl.SSL_CTX_ctrl(ctx, ctrl_get_min_version, 0, null), null);
    _ = openssl.SSL_ctrl(ssl, ctrl_max_version, openssl.SSL_CTX_ctrl(ctx, ctrl_get_max_version, 0, null), null);
    const mode = openssl.SSL_CTX_ctrl(ctx, ctrl_mode, 0, null);
    _ = openssl.SSL_ctrl(ssl, ctrl_clear_mode, mode_release_buffers, null);
    _ = openssl.SSL_ctrl(ssl, ctrl_mode, mode, null);
}

fn setVersions(ctx: *Ctx, options: *const Options) Problem {
    const least: c_int = if (options.minimum_version == 0) version_1_2 else options.minimum_version;
    if (least < version_1_2 or openssl.SSL_CTX_ctrl(ctx, ctrl_min_version, least, null) != 1) return .versions;
    // 0 is what the library has.
    if (openssl.SSL_CTX_ctrl(ctx, ctrl_max_version, options.maximum_version, null) != 1) return .versions;
    return .none;
}

fn setCiphers(ctx: *Ctx, options: *const Options) Problem {
    const ciphers = options.ciphers orelse default_ciphers;
    const only_1_3 = ciphers[0] == 0;
    if (only_1_3 and openssl.SSL_CTX_ctrl(ctx, ctrl_min_version, version_1_3, null) != 1) return .ciphers;
    if (!only_1_3 and openssl.SSL_CTX_set_cipher_list(ctx, ciphers) != 1) return .ciphers;
    if (options.ciphersuites) |suites| {
        if (openssl.SSL_CTX_set_ciphersuites(ctx, suites) != 1) return .ciphersuites;
    }
    return .none;
}

/// Clients get the first whose kind of key they can check: OpenSSL has one place for each kind.
fn setCertificates(ctx: *Ctx, options: *const Options, index: *u8) Problem {
    // An encrypted PEM block must never ask on the terminal.
    openssl.SSL_CTX_set_default_passwd_cb(ctx, refusePassword);
    var kinds: [certificates_max]c_int = undefined;
    var cert_file = options.cert_files;
    var key_file = options.key_files;
    while (cert_file[0] != 0 and index.* < certificates_max) : (index.* += 1) {
        openssl.ERR_clear_error();
        var problem = setCertificate(ctx, cert_file);
        if (problem == .none) problem = setKey(ctx, key_file, options.passphrase, &kinds[index.*]);
        if (problem == .none and std.mem.indexOfScalar(c_int, kinds[0..index.*], kinds[index.*]) != null) problem = .same_kind;
        if (problem != .none) return problem;
        cert_file += std.mem.len(cert_file) + 1;
        key_file += std.mem.len(key_file) + 1;
    }
    return .none;
}

fn setCertificate(ctx: *Ctx, path: [*:0]const u8) Problem {
    if (openssl.SSL_CTX_use_certificate_chain_file(ctx, path) != 1) return .certificate;
    const certificate = openssl.SSL_CTX_get0_certificate(ctx) orelse return .certificate;
    if (openssl.X509_cmp_current_time(openssl.X509_get0_notAfter(certificate)) < 0) return .certificate_expired;
    if (openssl.X509_cmp_current_time(openssl.X509_get0_notBefore(certificate)) > 0) return .certificate_early;
    return .none;
}

fn refusePassword(_: [*]u8, _: c_int, _: c_int, _: ?*anyopaque) callconv(.c) c_int {
    return -1;
}

const Password = struct {
    text: ?[]const u8,
    asked: bool = false,

    fn copyPassword(buffer: [*]u8, size: c_int, _: c_int, user: ?*anyopaque) callconv(.c) c_int {
        const password: *Password = @ptrCast(@alignCast(user.?));
        password.asked = true;
        const text = password.text orelse return -1;
        if (text.len > size) return -1;
        @memcpy(buffer[0..text.len], text);
        return @intCast(text.len);
    }
};

fn setKey(ctx: *Ctx, path: [*:0]const u8, passphrase: ?[*:0]const u8, kind: *c_int) Problem {
    const file = openssl.BIO_new_file(path, "r") orelse return .key;
    defer _ = openssl.BIO_free(file);
    var password: Password = .{ .text = if (passphrase) |text| std.mem.span(text) else null };
    const key = openssl.PEM_read_bio_PrivateKey(file, null, Password.copyPassword, &password) orelse {
        if (!password.asked) return .key;
        return if (password.text == null) .passphrase_missing else .passphrase_wrong;
    };
    defer openssl.EVP_PKEY_free(key);
    kind.* = openssl.EVP_PKEY_get_base_id(key);
    if (openssl.SSL_CTX_use_PrivateKey(ctx, key) != 1 or openssl.SSL_CTX_check_private_key(ctx) != 1) return .key_mismatch;
    return .none;
}

fn setDhParameters(ctx: *Ctx, options: *const Options) Problem {
    const path = options.dh_params_file orelse return .none;
    const file = openssl.BIO_new_file(path, "r") orelse return .dh_params;
    defer _ = openssl.BIO_free(file);
    const parameters = openssl.PEM_read_bio_Parameters(file, null) orelse return .dh_params;
    if (openssl.SSL_CTX_set0_tmp_dh_pkey(ctx, parameters) != 1) {
        openssl.EVP_PKEY_free(parameters);
        return .dh_params;
    }
    return .none;
}

fn setClientAuthority(ctx: *Ctx, options: *const Options) Problem {
    const path = options.ca_file orelse return .none;
    if (openssl.SSL_CTX_load_verify_locations(ctx, path, null) != 1) return .ca;
    const names = openssl.SSL_load_client_CA_file(path) orelse return .ca;
    openssl.SSL_CTX_set_client_CA_list(ctx, names);
    const mode: c_int = switch (options.client_certificate) {
        .none => verify_none,
        .optional => verify_peer,
        .required => verify_peer | verify_fail_without,
    };
    openssl.SSL_CTX_set_verify(ctx, mode, null);
    return .none;
}

fn setRevoked(ctx: *Ctx, options: *const Options) Problem {
    const path = options.crl_file orelse return .none;
    const store = openssl.SSL_CTX_get_cert_store(ctx) orelse return .memory;
    const lookup = openssl.X509_STORE_add_lookup(store, openssl.X509_LOOKUP_file()) orelse return .memory;
    if (openssl.X509_load_crl_file(lookup, path, file_type_pem) < 1) return .crl;
    if (openssl.X509_STORE_set_flags(store, check_revocation) != 1) return .crl;
    return .none;
}

/// Whether a cipher's name or keyword stands for anything in TLS 1.2.
export fn us_tls_knows_cipher(name: [*:0]const u8) c_int {
    openssl.ERR_clear_error();
    defer openssl.ERR_clear_error();
    const ctx = openssl.SSL_CTX_new(openssl.TLS_server_method()) orelse return 0;
    defer openssl.SSL_CTX_free(ctx);
    return openssl.SSL_CTX_set_cipher_list(ctx, name);
}
