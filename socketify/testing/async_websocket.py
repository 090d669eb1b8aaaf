"""The websocket of tests that run in an event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable
from types import TracebackType
from typing import Any, Optional

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from .base_websocket import BaseTestWebSocket
from .handshake import Message, decode_json, encode_json, end, reject


class AsyncTestWebSocket(BaseTestWebSocket[Awaitable[int], ClientConnection]):
    """A websocket to the application, connected by ``async with``; see :meth:`AsyncTestClient.websocket_connect`."""

    _statement = "async with"

    async def __aenter__(self) -> AsyncTestWebSocket:
        # The system accepts it for the application at once.
        connection = socket.create_connection(("127.0.0.1", await self._begin()), self._seconds)
        try:
            connection.setblocking(False)
            self._connection = await connect(self._handshake.uri, sock=connection, **self._options())
        except InvalidStatus as error:
            connection.close()
            reject(self._handshake, error, self._failures)
        except BaseException:
            connection.close()
            self._failures.raise_first()
            raise
        self._take(self._connection.response)
        return self

    async def __aexit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        await self.close()

    @property
    def subprotocol(self) -> Optional[str]:
        """The subprotocol that was agreed on."""
        return self._open.subprotocol

    async def send(self, message: Message) -> None:
        """Send text (str) or bytes.

        Raises:
            WebSocketClosed: it is closed.
            Exception: what a handler raised, so that it was closed.

        """
        try:
            await self._open.send(message)
        except ConnectionClosed as error:
            end(error, self._failures)

    async def receive(self, timeout: Optional[float] = None) -> Message:
        """Return the next message, str for text and bytes for binary.

        Args:
            timeout: seconds; None for those of the client.

        Raises:
            TimeoutError: there was none in time.
            WebSocketClosed: it is closed.
            Exception: what a handler raised, so that it was closed.

        """
        try:
            return await asyncio.wait_for(self._open.recv(), self._seconds if timeout is None else timeout)
        except ConnectionClosed as error:
            end(error, self._failures)
        except asyncio.TimeoutError as error:
            # Another class before CPython 3.11.
            message = "no message arrived in time"
            raise TimeoutError(message) from error

    async def send_json(self, value: Any) -> None:
        """Send a value as JSON, in a text message; see :meth:`send`."""
        await self.send(encode_json(value))

    async def receive_json(self, timeout: Optional[float] = None) -> Any:
        """Return the value of the next message, which is JSON; see :meth:`receive`."""
        return decode_json(await self.receive(timeout))

    async def __aiter__(self) -> AsyncIterator[Message]:
        """Return the messages until it is closed with 1000 or 1001; see :meth:`receive`."""
        try:
            async for message in self._open:
                yield message
        except ConnectionClosed as error:
            end(error, self._failures)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close it, and wait until the application has closed it too."""
        if self._connection is not None:
            await self._connection.close(code, reason)
