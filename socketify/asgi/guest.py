"""The client that asks for a websocket, as the admission of websockets sees it."""

from __future__ import annotations

import socket
from typing import Optional

from .protocol import Scope


class Guest:
    """A client, by the scope of its handshake."""

    __slots__ = ("_address", "_headers")

    def __init__(self, scope: Scope) -> None:
        self._headers = scope["headers"]
        client = scope["client"]
        family = socket.AF_INET6 if client is not None and ":" in client[0] else socket.AF_INET
        self._address = b"" if client is None else socket.inet_pton(family, client[0])

    def get_header(self, name: str) -> Optional[str]:
        """Return the first field of that name, or None."""
        wanted = name.encode()
        return next((value.decode("latin-1") for field, value in self._headers if field == wanted), None)

    def get_remote_address_bytes(self) -> bytes:
        """Return the packed address."""
        return self._address
