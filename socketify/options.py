"""Options of an app and of a listener."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

_PORT_MAX = 65535


@dataclass(frozen=True)
class AppOptions:
    """Files and choices for TLS.

    Raises:
        FileNotFoundError: a file that is named does not exist.

    """

    key_file_name: Optional[str] = None
    cert_file_name: Optional[str] = None
    passphrase: Optional[str] = None
    dh_params_file_name: Optional[str] = None
    ca_file_name: Optional[str] = None
    ssl_ciphers: Optional[str] = None
    ssl_prefer_low_memory_usage: int = 0

    def __post_init__(self) -> None:
        for name in ("key_file_name", "cert_file_name", "dh_params_file_name", "ca_file_name"):
            value = getattr(self, name)
            if value is not None and not Path(value).is_file():
                message = f"{name}: no such file: {value!r}"
                raise FileNotFoundError(message)

    @property
    def wants_tls(self) -> bool:
        """Whether a certificate or key was named."""
        return self.key_file_name is not None or self.cert_file_name is not None


@dataclass(frozen=True)
class AppListenOptions:
    """Where to listen: a host and port, or the path of a Unix-domain socket.

    Args:
        port: 0 to 65535; 0 lets the system pick one.
        host: name or address; None for every interface, IPv6 and IPv4.
        options: 1 to refuse sharing the port with other processes.
        domain: path of a Unix-domain socket; excludes host and port.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: the port is out of range, or domain is given with host or port.

    """

    port: int = 0
    host: Optional[str] = None
    options: int = 0
    domain: Optional[str] = None

    def __post_init__(self) -> None:
        for name, types in (
            ("port", int),
            ("host", (str, type(None))),
            ("options", int),
            ("domain", (str, type(None))),
        ):
            value = getattr(self, name)
            if not isinstance(value, types) or isinstance(value, bool):
                wanted = "int" if types is int else "str or None"
                message = f"{name} must be {wanted}, not {type(value).__name__}"
                raise TypeError(message)
        if not 0 <= self.port <= _PORT_MAX:
            message = f"port must be between 0 and {_PORT_MAX}, not {self.port}"
            raise ValueError(message)
        if self.domain is not None and (self.host is not None or self.port != 0):
            message = "domain excludes host and port"
            raise ValueError(message)
