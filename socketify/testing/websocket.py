"""The websocket of tests that do not wait."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Optional

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from .base_websocket import BaseTestWebSocket
from .handshake import Message, decode_json, encode_json, end, reject


class TestWebSocket(BaseTestWebSocket[int, ClientConnection]):
    """A websocket to the application, connected by ``with``; made by :meth:`TestClient.websocket_connect`."""

    __test__ = False
    _statement = "with"

    def __enter__(self) -> TestWebSocket:
        connection = socket.create_connection(("127.0.0.1", self._begin()), self._seconds)
        try:
            opened = connect(self._handshake.uri, sock=connection, **self._options())
            self._connection = opened.__enter__()
        except InvalidStatus as error:
            connection.close()
            reject(self._handshake, error, self._failures)
        except BaseException:
            connection.close()
            self._failures.raise_first()
            raise
        self._take(self._connection.response)
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    @property
    def subprotocol(self) -> Optional[str]:
        """The subprotocol that was agreed on."""
        return self._open.subprotocol

    def send(self, message: Message) -> None:
        """Send text (str) or bytes.

        Raises:
            WebSocketClosed: it is closed.
            Exception: what a handler raised, so that it was closed.

        """
        try:
            self._open.send(message)
        except ConnectionClosed as error:
            end(error, self._failures)

    def receive(self, timeout: Optional[float] = None) -> Message:
        """Return the next message, str for text and bytes for binary.

        Args:
            timeout: seconds; None for those of the client.

        Raises:
            TimeoutError: there was none in time.
            WebSocketClosed: it is closed.
            Exception: what a handler raised, so that it was closed.

        """
        try:
            return self._open.recv(self._seconds if timeout is None else timeout)
        except ConnectionClosed as error:
            end(error, self._failures)

    def send_json(self, value: Any) -> None:
        """Send a value as JSON, in a text message; see :meth:`send`."""
        self.send(encode_json(value))

    def receive_json(self, timeout: Optional[float] = None) -> Any:
        """Return the value of the next message, which is JSON; see :meth:`receive`."""
        return decode_json(self.receive(timeout))

    def __iter__(self) -> Iterator[Message]:
        """Return the messages until it is closed with 1000 or 1001; see :meth:`receive`."""
        try:
            yield from self._open
        except ConnectionClosed as error:
            end(error, self._failures)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close it, and wait until the application has closed it too."""
        if self._connection is not None:
            self._connection.close(code, reason)
