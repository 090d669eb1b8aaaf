"""The same client over HTTP/2: one request or websocket on a connection, and in the same words what became of it."""

from __future__ import annotations

import socket

from client import masked
from http2_client import Answer, Client

_HANDSHAKE = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", "a")]


def request(port: int, callback: str) -> str:
    """Send a request with a body, and another one on the same connection."""
    with Client(port) as client:
        head = [(":method", "POST"), (":scheme", "http"), (":authority", "own.example"), (":path", f"/{callback}/value?q=1")]
        try:
            stream = client.open(head)
            client.h2.send_data(stream, b"body", end_stream=True)
            client.flush()
            answer = client.wait(stream)
        except ConnectionError:
            return "cut"
        except socket.timeout:
            return "silence"
        # A whole answer may be followed by a reset: the rest of the request is not wanted (RFC 9113 section 8.1).
        if not answer.ended:
            return "cut"
        said = f"{answer.status} {answer.body.decode().lstrip('x')}"
        try:
            after = client.get("/ok")
        except (ConnectionError, OSError):
            return said + ", then cut"
        return said if after.reset is None and after.status == 200 else f"{said}, then {after.reset}"


class _Frames:
    """Frames of a websocket on a stream."""

    def __init__(self, client: Client, answer: Answer) -> None:
        self._client, self._answer, self._read = client, answer, 0

    def _exactly(self, length: int) -> bytes:
        end = self._read + length
        while len(self._answer.body) < end:
            if self._answer.ended or self._answer.reset is not None or not self._client.receive():
                raise EOFError
        data = self._answer.body[self._read : end]
        self._read = end
        return data

    def next(self) -> tuple[int, bytes]:
        first, length = self._exactly(2)
        if length >= 126:
            length = int.from_bytes(self._exactly(2 if length == 126 else 8), "big")
        return first & 15, self._exactly(length)


def websocket(port: int, path: str, callback: str) -> str:
    """Open, send a message that is echoed, and close."""
    with Client(port) as client:
        try:
            client.wait_for(lambda: client.h2.remote_settings.enable_connect_protocol)
            stream = client.open([*_HANDSHAKE, (":path", f"/{path}"), ("sec-websocket-version", "13")])
            answer = client.answers[stream]
            client.wait_for(lambda: answer.head or answer.reset is not None)
            if not answer.head:
                return "cut"
            is_empty = answer.ended and not answer.body
            if is_empty or answer.status != 200 or answer.field("content-length") is not None:
                client.wait(stream)
                return f"{answer.status} {answer.body.decode()}" if answer.ended else "cut"
            return _converse(client, stream, callback)
        except (EOFError, ConnectionError):
            return "cut"
        except socket.timeout:
            return "silence"


def _converse(client: Client, stream: int, callback: str) -> str:
    incoming = _Frames(client, client.answers[stream])
    sent = {"ws ping": masked(9, b"ping"), "ws pong": masked(10, b"pong")}.get(callback, b"") + masked(1, b"echo")
    _send(client, stream, sent)
    while True:
        opcode, payload = incoming.next()
        if opcode == 8:
            return f"closed {int.from_bytes(payload[:2], 'big')}"
        if (opcode, payload) == (1, b"echo"):
            break
    _send(client, stream, masked(8, b"\x03\xe8"))
    while True:
        opcode, payload = incoming.next()
        if opcode == 8:
            return f"echo, closed {int.from_bytes(payload[:2], 'big')}"


def _send(client: Client, stream: int, data: bytes) -> None:
    # What was reset meanwhile is told by what arrives.
    if client.answers[stream].reset is None:
        client.send(stream, data)
