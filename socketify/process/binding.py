"""Binding of TCP sockets that several processes may share a port by."""

from __future__ import annotations

import socket
import sys
from typing import Any, Optional

from ..system.descriptors import answer_without_delay

#: Whether the system spreads connections among the sockets that share a port. Elsewhere, as on macOS, one of them gets all, so
#: that processes have to share a socket.
SPREADS_CONNECTIONS = sys.platform == "linux"


def bound_socket(family: int, address: Any, *, shares_port: bool, only_ipv6: Optional[bool] = None) -> socket.socket:
    """Bind a stream socket that does not listen yet.

    Args:
        family: AF_INET or AF_INET6.
        address: to bind, as :func:`socket.getaddrinfo` has it.
        shares_port: whether others may bind the port, too (SO_REUSEPORT).
        only_ipv6: of AF_INET6: whether IPv4 has a socket of its own; None for what the system says.

    Raises:
        OSError: the address is taken, unknown or not permitted.

    """
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shares_port:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6 and only_ipv6 is not None:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(only_ipv6))
        answer_without_delay(bound)
        bound.bind(address)
    except BaseException:
        bound.close()
        raise
    return bound
