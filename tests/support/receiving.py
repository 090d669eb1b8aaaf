"""Reading from sockets that clients have."""

from __future__ import annotations

import socket


def receive_until(connection: socket.socket, end: bytes) -> bytes:
    """Return what arrived when some bytes are among it."""
    received = b""
    while end not in received:
        part = connection.recv(65536)
        assert part, received
        received += part
    return received
