"""Options of an app and of a listener."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

_PORT_MAX = 65535
_HANDSHAKE_TIMEOUT_MAX = 24 * 60 * 60

StrPath = Union[str, "os.PathLike[str]"]


@dataclass(frozen=True)
class AppOptions:
    """Files and choices for TLS; without a certificate the app serves plain HTTP.

    Args:
        key_file_name: the private key, PEM; None when it lies in the certificate's file.
        cert_file_name: the certificate and those between it and the root, PEM.
        passphrase: of an encrypted key.
        dh_params_file_name: DH parameters, PEM, for clients of TLS 1.2 without elliptic curves; without them there is no DHE.
        ca_file_name: certificates that sign those of clients, PEM: makes TLS mutual.
        ssl_ciphers: names with colons between, of TLS 1.2 in OpenSSL's notation and of TLS 1.3 (``TLS_...``). Without any
            of TLS 1.2 only TLS 1.3 is served; None for Mozilla's intermediate recommendation.
        ssl_prefer_low_memory_usage: 1 to free the buffers of connections that wait, which costs time.
        client_certificate: ``"required"``, or ``"optional"`` to serve clients without one too; None for required where there
            is a ca_file_name.
        handshake_timeout: seconds for a handshake, then the connection is closed; 0 for no limit.

    Raises:
        FileNotFoundError: a file that is named does not exist.
        TypeError: an argument has the wrong type.
        ValueError: an argument has a wrong value, or needs another one.

    """

    key_file_name: Optional[StrPath] = None
    cert_file_name: Optional[StrPath] = None
    passphrase: Optional[str] = None
    dh_params_file_name: Optional[StrPath] = None
    ca_file_name: Optional[StrPath] = None
    ssl_ciphers: Optional[str] = None
    ssl_prefer_low_memory_usage: int = 0
    client_certificate: Optional[str] = None
    handshake_timeout: int = 10

    def __post_init__(self) -> None:
        for name in ("key_file_name", "cert_file_name", "dh_params_file_name", "ca_file_name"):
            value = getattr(self, name)
            if value is None:
                continue
            if not isinstance(value, (str, os.PathLike)):
                message = f"{name} must be a path or None, not {type(value).__name__}"
                raise TypeError(message)
            if not Path(value).is_file():
                message = f"{name}: no such file: {os.fspath(value)!r}"
                raise FileNotFoundError(message)
        for name in ("passphrase", "ssl_ciphers"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                message = f"{name} must be str or None, not {type(value).__name__}"
                raise TypeError(message)
            if value is not None and "\0" in value:
                message = f"{name} must not contain NUL"
                raise ValueError(message)
        self._check_choices()

    def _check_choices(self) -> None:
        if self.client_certificate not in (None, "optional", "required"):
            message = f"client_certificate must be 'optional', 'required' or None, not {self.client_certificate!r}"
            raise ValueError(message)
        if self.client_certificate is not None and self.ca_file_name is None:
            message = "client_certificate needs ca_file_name: the CA that signs the certificates of clients"
            raise ValueError(message)
        timeout = self.handshake_timeout
        if not isinstance(timeout, int) or not 0 <= timeout <= _HANDSHAKE_TIMEOUT_MAX:
            message = f"handshake_timeout must be an int from 0 to {_HANDSHAKE_TIMEOUT_MAX}, not {timeout!r}"
            raise ValueError(message)
        if self.cert_file_name is None:
            for name in ("key_file_name", "passphrase", "dh_params_file_name", "ca_file_name", "ssl_ciphers"):
                if getattr(self, name) is not None:
                    message = f"{name} needs cert_file_name: the certificate of the server"
                    raise ValueError(message)

    @property
    def wants_tls(self) -> bool:
        """Whether a certificate was named."""
        return self.cert_file_name is not None

    @property
    def client_certificate_mode(self) -> Optional[str]:
        """What is asked of clients: ``"required"``, ``"optional"``, or None for nothing."""
        return self.client_certificate or (None if self.ca_file_name is None else "required")


@dataclass(frozen=True)
class AppListenOptions:
    """Where to listen: a host and port, or the path of a Unix-domain socket.

    Args:
        port: 0 to 65535; 0 lets the system pick one.
        host: name or address; None for every interface, IPv6 and IPv4.
        options: 1 to refuse sharing the port with other processes.
        domain: path of a Unix-domain socket; excludes host and port.
        fd: descriptor of a socket that listens already, which is shared; excludes all others.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: the port is out of range, or domain or fd is given with another place.

    """

    port: int = 0
    host: Optional[str] = None
    options: int = 0
    domain: Optional[str] = None
    fd: Optional[int] = None

    def __post_init__(self) -> None:
        for name, types in (
            ("port", int),
            ("host", (str, type(None))),
            ("options", int),
            ("domain", (str, type(None))),
            ("fd", (int, type(None))),
        ):
            value = getattr(self, name)
            if not isinstance(value, types) or isinstance(value, bool):
                wanted = "int" if types is int else ("int or None" if name == "fd" else "str or None")
                message = f"{name} must be {wanted}, not {type(value).__name__}"
                raise TypeError(message)
        if not 0 <= self.port <= _PORT_MAX:
            message = f"port must be between 0 and {_PORT_MAX}, not {self.port}"
            raise ValueError(message)
        if self.domain is not None and (self.host is not None or self.port != 0):
            message = "domain excludes host and port"
            raise ValueError(message)
        if self.fd is not None and (self.host is not None or self.port != 0 or self.domain is not None):
            message = "fd excludes host, port and domain"
            raise ValueError(message)
