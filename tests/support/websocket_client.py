"""Clients of websockets, for the tests."""

from __future__ import annotations

from typing import Any

from websockets.sync.client import ClientConnection, connect

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: %s\r\nConnection: %s\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Version: %s\r\n\r\n"
)
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="


def open_(server: Any, path: str = "/", **options: Any) -> ClientConnection:
    options.setdefault("compression", None)
    return connect(f"{server.ws_url}{path}", **options)
