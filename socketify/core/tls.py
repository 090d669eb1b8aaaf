"""TLS: OpenSSL, found at run time, and the certificates of an app."""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import functools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from ..loop.loop_thread import scratch_view
from ..native import abi, lib

if TYPE_CHECKING:
    from .options import AppOptions, StrPath

#: What OpenSSL 3 is called, and where package managers of macOS have it.
_NAMES = ("libssl.so.3",)
_NAMES_OF_MACOS = (
    "libssl.3.dylib",
    "/opt/homebrew/opt/openssl@3/lib/libssl.3.dylib",
    "/usr/local/opt/openssl@3/lib/libssl.3.dylib",
    "/opt/local/libexec/openssl3/lib/libssl.3.dylib",
)
#: Stands for the running program where a library could be named.
_PROGRAM = ""
_CLIENT_CERTIFICATE = {
    None: abi.TLS_CLIENT_NONE,
    "optional": abi.TLS_CLIENT_OPTIONAL,
    "required": abi.TLS_CLIENT_REQUIRED,
}
#: As records say them.
_VERSIONS = {None: 0, "1.2": 0x0303, "1.3": 0x0304}
#: RFC 8446 appendix B.4.
_TLS13_SUITES = frozenset(
    (
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_AES_128_CCM_SHA256",
        "TLS_AES_128_CCM_8_SHA256",
    )
)
#: The native library's TLS errors: the option that is wrong, and a message.
_PROBLEMS = {
    abi.TLS_MEMORY: ("cert_file_name", "OpenSSL cannot make a context"),
    abi.TLS_CERTIFICATE: ("cert_file_name", "no certificate that can be used"),
    abi.TLS_CERTIFICATE_EXPIRED: ("cert_file_name", "the certificate has expired"),
    abi.TLS_CERTIFICATE_EARLY: ("cert_file_name", "the certificate is not valid yet"),
    abi.TLS_KEY: ("key_file_name", "no private key that can be used"),
    abi.TLS_PASSPHRASE_MISSING: ("passphrase", "is missing: the private key is encrypted"),
    abi.TLS_PASSPHRASE_WRONG: ("passphrase", "is wrong for the private key"),
    abi.TLS_KEY_MISMATCH: ("key_file_name", "the key does not belong to the certificate"),
    abi.TLS_DH_PARAMS: ("dh_params_file_name", "no DH parameters that can be used"),
    abi.TLS_CA: ("ca_file_name", "no CA certificates that can be used"),
    abi.TLS_CIPHERS: ("ssl_ciphers", "no TLS 1.2 cipher that can be used"),
    abi.TLS_CIPHERSUITES: ("ssl_ciphers", "no TLS 1.3 cipher suite that can be used"),
    abi.TLS_CRL: ("crl_file_name", "no list of revoked certificates that can be used"),
    abi.TLS_VERSIONS: ("minimum_version", "the library does not have these versions"),
    abi.TLS_SAME_KIND: ("key_file_name", "another key is of the same kind; one of each is served"),
}


def _libraries() -> list[str]:
    """Return where OpenSSL may be, first the copy that Python's own ssl module uses, so that the process has only one."""
    names = [os.environ["SOCKETIFY_LIBSSL"]] if os.environ.get("SOCKETIFY_LIBSSL") else []
    with contextlib.suppress(ImportError):
        import _ssl  # noqa: PLC0415 - loads it

        # By way of the module the system finds the copy that it is linked to, whatever its name, even one inside the module.
        module = sys.modules.get("_pypy_openssl", _ssl)
        names.append(getattr(module, "__file__", None) or _PROGRAM)
    maps = Path("/proc/self/maps")
    if maps.exists():
        paths = {line.split(maxsplit=5)[-1] for line in maps.read_text().splitlines() if "/libssl" in line}
        names.extend(sorted(path for path in paths if ".so" in path))
    if sys.platform == "darwin":
        # What find_library() finds is Apple's libssl.dylib, which ends the process that loads it.
        return list(dict.fromkeys((*names, *_NAMES_OF_MACOS)))
    found = ctypes.util.find_library("ssl")
    return list(dict.fromkeys((*names, *_NAMES, *([found] if found else ()))))


def name_of_openssl() -> str:
    """Return what the library is called here."""
    return (_NAMES_OF_MACOS if sys.platform == "darwin" else _NAMES)[0]


@functools.cache
def load_openssl() -> None:
    """Load OpenSSL 3.

    Raises:
        RuntimeError: there is none; the message says which libraries were tried, and why each was not taken.

    """
    tried = []
    for name in _libraries():
        result = lib.sk_tls_load(os.fsencode(name))
        if result == abi.TLS_LOADED:
            return
        reasons = {abi.TLS_ABSENT: "not found", abi.TLS_TOO_OLD: "without OpenSSL 3", abi.TLS_INCOMPLETE: "incomplete"}
        tried.append(f"{name or 'the Python program'} ({reasons[result]})")
    message = (
        f"TLS needs OpenSSL 3, which was not found; install it ({name_of_openssl()}) or name it in the environment variable "
        f"SOCKETIFY_LIBSSL. Tried: {', '.join(tried)}"
    )
    raise RuntimeError(message)


def _ciphers(text: Optional[str]) -> tuple[Optional[bytes], Optional[bytes]]:
    """Split a list of ciphers by version: those of TLS 1.2, in OpenSSL's notation, and the suites of TLS 1.3."""
    if text is None:
        return None, None
    old, suites = [], []
    for name in filter(None, (each.strip() for each in text.replace(",", ":").split(":"))):
        if name in _TLS13_SUITES:
            suites.append(name)
            continue
        # Operators remove ciphers from the list or order it.
        plain = name[:1] not in "!-+@"
        if name.startswith("TLS_") or (plain and not lib.sk_tls_knows_cipher(name.encode())):
            message = f"ssl_ciphers: unknown cipher {name!r}"
            raise ValueError(message)
        old.append(name)
    if not old and not suites:
        message = f"ssl_ciphers: no cipher in {text!r}"
        raise ValueError(message)
    return ":".join(old).encode(), ":".join(suites).encode() if suites else None


def _optional_path(name: str, value: Optional[StrPath]) -> Optional[bytes]:
    return None if value is None else _path(name, value)


def _path(name: str, value: StrPath) -> bytes:
    try:
        with Path(value).open("rb") as file:
            file.read(1)
    except OSError as error:
        message = f"{name}: cannot read {os.fspath(value)!r}: {error.strerror}"
        raise type(error)(error.errno, message) from error
    return os.fsencode(value)


def _where(options: AppOptions, option: str, index: int) -> str:
    """Return a description of the file that a problem is about."""
    if option == "passphrase":
        return f" for {os.fspath(options.key_files[index])!r}"
    if option in ("cert_file_name", "key_file_name"):
        files = options.cert_files if option == "cert_file_name" else options.key_files
        return f" {os.fspath(files[index])!r}:" if getattr(options, option) is not None else ""
    if not option.endswith("_name"):
        return ":"
    return f" {os.fspath(getattr(options, option))!r}:"


def set_certificate(native: int, hostname: str, options: AppOptions) -> None:
    """Make an app serve TLS, or change the certificate of later connections.

    Args:
        native: address of the native app.
        hostname: only for clients that ask for this name; empty for all.
        options: what AppOptions says, with a certificate.

    Raises:
        OSError: a file cannot be read.
        RuntimeError: OpenSSL 3 is not installed.
        ValueError: an option or the content of a file is wrong; the message names it.

    """
    load_openssl()
    certificates = [_path("cert_file_name", each) for each in options.cert_files]
    keys = [_path("key_file_name", each) for each in options.key_files]
    ciphers, suites = _ciphers(options.ssl_ciphers)
    if ciphers == b"" and options.maximum_version == "1.2":
        message = f"ssl_ciphers: none of {options.ssl_ciphers!r} is of TLS 1.2, which is the maximum_version"
        raise ValueError(message)
    given = abi.TlsOptionsStruct(
        key_files=b"".join(each + b"\0" for each in keys),
        cert_files=b"".join(each + b"\0" for each in certificates),
        passphrase=None if options.passphrase is None else options.passphrase.encode(),
        dh_params_file=_optional_path("dh_params_file_name", options.dh_params_file_name),
        ca_file=_optional_path("ca_file_name", options.ca_file_name),
        crl_file=_optional_path("crl_file_name", options.crl_file_name),
        ciphers=ciphers,
        ciphersuites=suites,
        client_certificate=_CLIENT_CERTIFICATE[options.client_certificate_mode],
        minimum_version=_VERSIONS[options.minimum_version],
        maximum_version=_VERSIONS[options.maximum_version],
        low_memory=1 if options.ssl_prefer_low_memory_usage else 0,
        handshake_timeout_s=options.handshake_timeout,
    )
    host = hostname.encode()
    result = lib.sk_app_tls(native, host, len(host), ctypes.byref(given))
    if result == 0:
        return
    index, problem = divmod(result, abi.TLS_INDEX_STEP)
    reason = bytes(scratch_view()[: abi.TLS_REASON_BYTES]).partition(b"\0")[0].decode(errors="replace")
    option, text = _PROBLEMS[problem]
    subject = f" (server name {hostname})" if hostname else ""
    message = f"{option}{_where(options, option, index)} {text}{reason and ': ' + reason}{subject}"
    raise ValueError(message)
