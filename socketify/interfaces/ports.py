"""Ports that are kept between two listeners."""

from __future__ import annotations

import socket

from ..options import AppListenOptions


class ReservedPort:
    """Binds the port of a listener without listening: nobody else can take it, and no connection comes here.

    Args:
        config: where the listener is, with its bound port.

    Raises:
        OSError: the port cannot be shared any more.

    """

    def __init__(self, config: AppListenOptions) -> None:
        found = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # The native side takes the first address too, IPv6 before IPv4.
        family, kind, protocol, _, address = sorted(found, key=lambda each: each[0] != socket.AF_INET6)[0]
        self._socket = socket.socket(family, kind, protocol)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(config.host is not None))
            self._socket.bind(address)
        except BaseException:
            self._socket.close()
            raise

    def close(self) -> None:
        """Let the port go."""
        self._socket.close()
