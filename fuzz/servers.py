"""One server for many examples, and a client that reads strictly."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any, Callable

import h11
from app_servers import Server


@contextlib.contextmanager
def served(build: Callable[[Any], Any], **options: Any) -> Iterator[Any]:
    server = Server(build, **options)
    try:
        yield server
    finally:
        server.stop()


class Message:
    """A response as h11 reads it; it raises for what is not well-formed."""

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.status = status
        self.headers = headers
        self.body = b""
        self.complete = False

    def get(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key == name]


class Client:
    """A connection that sends requests and reads each response to its end."""

    def __init__(self, server: Any) -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.port))
        self._socket.settimeout(10)
        self._h11 = h11.Connection(h11.CLIENT)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def request(self, target: str = "/", method: str = "GET", headers: Any = (), version: bytes = b"1.1") -> Message | None:
        """None when the connection was closed before a response began; ``complete`` is False when it was cut inside of one."""
        if self._h11.our_state is h11.DONE:
            self._h11.start_next_cycle()
        request = h11.Request(method=method, target=target, headers=[("Host", "fuzz"), *headers])
        data = self._h11.send(request)
        assert data is not None
        self._h11.send(h11.EndOfMessage())
        self._socket.sendall(data.replace(b" HTTP/1.1\r\n", b" HTTP/" + version + b"\r\n", 1))
        return self._read()

    def _read(self) -> Message | None:
        message: Message | None = None
        while True:
            event = self._h11.next_event()
            if event is h11.NEED_DATA and not self._receive():
                # Closed: the end of a body that close delimits, or a message that was cut.
                try:
                    event = self._h11.next_event()
                except h11.RemoteProtocolError:
                    return message
            if isinstance(event, h11.Response):
                message = Message(event.status_code, list(event.headers))
            elif isinstance(event, h11.Data):
                assert message is not None
                message.body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert message is not None
                message.complete = True
                return message
            elif isinstance(event, h11.ConnectionClosed):
                return message

    def _receive(self) -> bool:
        try:
            received = self._socket.recv(65536)
        except ConnectionResetError:
            received = b""
        self._h11.receive_data(received)
        return bool(received)

    @property
    def reusable(self) -> bool:
        return self._h11.their_state is h11.DONE and self._h11.our_state is h11.DONE
