"""Addresses of the other end of a connection."""

from __future__ import annotations

import socket


def address_text(packed: bytes) -> str:
    """Return a packed address as text; empty for none."""
    if not packed:
        return ""
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
