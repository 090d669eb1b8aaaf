"""Options of an app and of a listener."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union, cast

from .tls_context import settings_of_context

if TYPE_CHECKING:
    import ssl

_PORT_MAX = 65535
_PERMISSIONS_MAX = 0o777
_RELOAD_INTERVAL_MAX = 24 * 60 * 60
_HANDSHAKE_TIMEOUT_MAX = 24 * 60 * 60
#: The kinds of keys that OpenSSL knows, each of which may have a certificate.
_CERTIFICATES_MAX = 5
#: What :class:`AppOptions` takes as versions.
TLS_VERSIONS = ("1.2", "1.3")
_MAY_BE_SEVERAL = ("key_file_name", "cert_file_name")

_NEED_CERTIFICATE = (
    "key_file_name",
    "passphrase",
    "dh_params_file_name",
    "ca_file_name",
    "ssl_ciphers",
    "minimum_version",
    "maximum_version",
    "reload_interval",
)

StrPath = Union[str, "os.PathLike[str]"]


@dataclass(frozen=True)
class AppOptions:
    """Files and choices for TLS; without a certificate the app serves plain HTTP.

    Args:
        key_file_name: the private key, PEM; None when it lies in the certificate's file. As many as there are certificates.
        cert_file_name: the certificate and those between it and the root, PEM. Several with keys of different kinds, as
            ECDSA and RSA, in a list or tuple: clients get the one that they can check.
        passphrase: of an encrypted key.
        dh_params_file_name: DH parameters, PEM, for clients of TLS 1.2 without elliptic curves; without them there is no DHE.
        ca_file_name: certificates that sign those of clients, PEM: makes TLS mutual.
        ssl_ciphers: names with colons between, of TLS 1.2 in OpenSSL's notation and of TLS 1.3 (``TLS_...``). Without any
            of TLS 1.2 only TLS 1.3 is served; None for Mozilla's intermediate recommendation.
        ssl_prefer_low_memory_usage: 1 to free the buffers of connections that wait, which costs time.
        client_certificate: ``"required"``, or ``"optional"`` to serve clients without one too; None for required where there
            is a ca_file_name.
        handshake_timeout: seconds for a handshake, then the connection is closed; 0 for no limit.
        minimum_version: of TLS, ``"1.2"`` or ``"1.3"``; None for 1.2.
        maximum_version: likewise; None for the newest.
        crl_file_name: which certificates of clients are revoked (RFC 5280 section 5): the lists, PEM, of each CA in the chain
            of a client's certificate. A CA without a list signs for nobody, and neither does one whose list is too old.
        reload_interval: seconds between two looks whether the files have changed, which are read again then, those of server
            names, too; at least 1, or 0 for never.

    Raises:
        FileNotFoundError: a file that is named does not exist.
        TypeError: an argument has the wrong type.
        ValueError: an argument has a wrong value, or needs another one.

    """

    key_file_name: Union[StrPath, Sequence[StrPath], None] = None
    cert_file_name: Union[StrPath, Sequence[StrPath], None] = None
    passphrase: Optional[str] = None
    dh_params_file_name: Optional[StrPath] = None
    ca_file_name: Optional[StrPath] = None
    ssl_ciphers: Optional[str] = None
    ssl_prefer_low_memory_usage: int = 0
    client_certificate: Optional[str] = None
    handshake_timeout: int = 10
    minimum_version: Optional[str] = None
    maximum_version: Optional[str] = None
    crl_file_name: Optional[StrPath] = None
    reload_interval: float = 0

    @classmethod
    def from_context(cls, context: ssl.SSLContext, **options: Any) -> AppOptions:
        """Return options with what can be had of an :class:`ssl.SSLContext`.

        That is: the versions of TLS, the ciphers, whether clients have to show a certificate, and the CA certificates that were
        loaded by then. Certificate and key cannot be read from a context, nor can lists of revoked certificates: they are
        given as options. ALPN and session tickets are the server's own.

        Args:
            context: is only read.
            **options: all others, with a cert_file_name; they go before what the context has.

        Raises:
            TypeError: it is none.
            ValueError: it has something that could only be ignored; the message says what.

        """
        found = settings_of_context(context, options.get("crl_file_name"))
        return cls(**{**found, **options})

    def __post_init__(self) -> None:
        for name in ("key_file_name", "cert_file_name", "dh_params_file_name", "ca_file_name", "crl_file_name"):
            value = getattr(self, name)
            if name in _MAY_BE_SEVERAL and isinstance(value, (list, tuple)):
                self._check_several(name, value)
            elif value is not None:
                _check_file(name, value)
        for name in ("passphrase", "ssl_ciphers"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                message = f"{name} must be str or None, not {type(value).__name__}"
                raise TypeError(message)
            if value is not None and "\0" in value:
                message = f"{name} must not contain NUL"
                raise ValueError(message)
        self._check_choices()

    def _check_several(self, name: str, files: Sequence[StrPath]) -> None:
        if not 0 < len(files) <= _CERTIFICATES_MAX:
            message = f"{name} must name 1 to {_CERTIFICATES_MAX} files, not {len(files)}"
            raise ValueError(message)
        for each in files:
            _check_file(name, each)

    def _check_choices(self) -> None:
        if self.client_certificate not in (None, "optional", "required"):
            message = f"client_certificate must be 'optional', 'required' or None, not {self.client_certificate!r}"
            raise ValueError(message)
        if self.client_certificate is not None and self.ca_file_name is None:
            message = "client_certificate needs ca_file_name: the CA that signs the certificates of clients"
            raise ValueError(message)
        if self.crl_file_name is not None and self.ca_file_name is None:
            message = "crl_file_name needs ca_file_name: the CA that signs the certificates of clients"
            raise ValueError(message)
        self._check_versions()
        timeout = self.handshake_timeout
        if not isinstance(timeout, int) or not 0 <= timeout <= _HANDSHAKE_TIMEOUT_MAX:
            message = f"handshake_timeout must be an int from 0 to {_HANDSHAKE_TIMEOUT_MAX}, not {timeout!r}"
            raise ValueError(message)
        interval = self.reload_interval
        if not isinstance(interval, (int, float)) or not (interval == 0 or 1 <= interval <= _RELOAD_INTERVAL_MAX):
            message = f"reload_interval must be 0, or from 1 to {_RELOAD_INTERVAL_MAX} seconds, not {interval!r}"
            raise ValueError(message)
        if self.cert_file_name is None:
            for name in _NEED_CERTIFICATE:
                # Only the interval is never None.
                if getattr(self, name) not in (None, 0):
                    message = f"{name} needs cert_file_name: the certificate of the server"
                    raise ValueError(message)

        if len(self.key_files) != len(self.cert_files):
            message = f"key_file_name names {len(self.key_files)} files, and cert_file_name {len(self.cert_files)}"
            raise ValueError(message)

    def _check_versions(self) -> None:
        versions = (self.minimum_version, self.maximum_version)
        for name, value in zip(("minimum_version", "maximum_version"), versions):
            if value not in (None, *TLS_VERSIONS):
                message = f"{name} must be one of {', '.join(TLS_VERSIONS)} or None, not {value!r}"
                raise ValueError(message)
        if versions == ("1.3", "1.2"):
            message = "minimum_version is above maximum_version"
            raise ValueError(message)

    @property
    def cert_files(self) -> tuple[StrPath, ...]:
        """All certificates."""
        return _several(self.cert_file_name)

    @property
    def key_files(self) -> tuple[StrPath, ...]:
        """The files of their keys, in the same order."""
        return self.cert_files if self.key_file_name is None else _several(self.key_file_name)

    @property
    def files(self) -> tuple[StrPath, ...]:
        """All files that are named."""
        others = (self.dh_params_file_name, self.ca_file_name, self.crl_file_name)
        return (*self.cert_files, *self.key_files, *(each for each in others if each is not None))

    @property
    def wants_tls(self) -> bool:
        """Whether a certificate was named."""
        return self.cert_file_name is not None

    @property
    def client_certificate_mode(self) -> Optional[str]:
        """What is asked of clients: ``"required"``, ``"optional"``, or None for nothing."""
        return self.client_certificate or (None if self.ca_file_name is None else "required")


#: What an environment variable, or a flag, says for yes.
TRUE_WORDS = ("1", "true", "yes", "on", "t", "y")


def is_debug() -> bool:
    """Return whether the environment asks for debugging."""
    return os.environ.get("SOCKETIFY_DEBUG", "").lower() in TRUE_WORDS


def check_counts(**counts: object) -> None:
    """Raise a ValueError for what is no int of 0 or more; the message names it."""
    for name, value in counts.items():
        if not isinstance(value, int) or value < 0:
            message = f"{name} must be an int of 0 or more, not {value!r}"
            raise ValueError(message)


def _several(value: Union[StrPath, Sequence[StrPath], None]) -> tuple[StrPath, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, (list, tuple)) else (cast("StrPath", value),)


def _check_file(name: str, value: object) -> None:
    if not isinstance(value, (str, os.PathLike)):
        message = f"{name} must be a path or None, not {type(value).__name__}"
        raise TypeError(message)
    if not Path(value).is_file():
        message = f"{name}: no such file: {os.fspath(value)!r}"
        raise FileNotFoundError(message)


@dataclass(frozen=True)
class AppListenOptions:
    """Where to listen: a host and port, or the path of a Unix-domain socket.

    Args:
        port: 0 to 65535; 0 lets the system pick one.
        host: name or address; None for every interface, IPv6 and IPv4.
        options: 1 to refuse sharing the port with other processes.
        domain: path of a Unix-domain socket; excludes host and port.
        fd: descriptor of a socket that listens already, or of a bound one that will; it is shared. Excludes all others.
        permissions: who may connect to a Unix-domain socket: the mode of its file, as 0o660. None for 0o666, or for that of the
            file of a dead process which it replaces.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: the port is out of range, or domain or fd is combined with another place.

    """

    port: int = 0
    host: Optional[str] = None
    options: int = 0
    domain: Optional[str] = None
    fd: Optional[int] = None
    permissions: Optional[int] = None

    def __post_init__(self) -> None:
        for name, types in (
            ("port", int),
            ("host", (str, type(None))),
            ("options", int),
            ("domain", (str, type(None))),
            ("fd", (int, type(None))),
            ("permissions", (int, type(None))),
        ):
            value = getattr(self, name)
            if not isinstance(value, types) or isinstance(value, bool):
                wanted = "int" if types is int else ("int or None" if name in ("fd", "permissions") else "str or None")
                message = f"{name} must be {wanted}, not {type(value).__name__}"
                raise TypeError(message)
        self._check_places()

    def _check_places(self) -> None:
        if not 0 <= self.port <= _PORT_MAX:
            message = f"port must be between 0 and {_PORT_MAX}, not {self.port}"
            raise ValueError(message)
        if self.domain is not None and (self.host is not None or self.port != 0):
            message = "domain excludes host and port"
            raise ValueError(message)
        if self.fd is not None and (self.host is not None or self.port != 0 or self.domain is not None):
            message = "fd excludes host, port and domain"
            raise ValueError(message)
        if self.permissions is None:
            return
        if self.domain is None:
            message = "permissions needs domain: only a Unix-domain socket has a file"
            raise ValueError(message)
        if not 0 <= self.permissions <= _PERMISSIONS_MAX:
            message = f"permissions must be from 0 to 0o777, not {oct(self.permissions)}"
            raise ValueError(message)


#: What says where to listen: a port, options, or a dict of their names and values; None to pick a port.
ListenPlace = Union[int, AppListenOptions, Mapping[str, Any], None]


def listen_options(place: ListenPlace) -> AppListenOptions:
    """Return options for a place.

    Raises:
        TypeError, ValueError: see :class:`AppListenOptions`.

    """
    if isinstance(place, AppListenOptions):
        return place
    if isinstance(place, Mapping):
        return AppListenOptions(**place)
    return AppListenOptions(port=0 if place is None else place)
