"""The body of a request, piece by piece, at the pace of who takes it."""

from __future__ import annotations

import asyncio
from typing import Any

from .body_queue import BodyQueue
from .body_reader import BodyReader
from .exchange import Exchange


class BodyStream:
    """Reads a body. What has arrived and was not taken is bounded: then nothing is read from the connection.

    Args:
        exchange: of the request.
        res: its response.

    Raises:
        RuntimeError: the body is being read already, or another thread than the app's calls.

    """

    def __init__(self, exchange: Exchange, res: Any) -> None:
        self._exchange = exchange
        self._res = res
        self._queue = BodyQueue()
        self._is_over = False
        self._reader = BodyReader(self._take)
        exchange.read(res, self._reader)

    def _take(self, chunk: bytes, last: bool) -> None:
        if self._queue.add(chunk, last):
            self._res.pause()
        waiter = self._reader.waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def read(self) -> bytes:
        """Return the next piece; nothing at the end.

        Raises:
            EOFError: the client left before its end.
            RuntimeError: the response has ended before it.

        """
        while not self._queue.is_ready:
            if self._exchange.aborted:
                message = "the client left before all of the body had arrived"
                raise EOFError(message)
            if not self._exchange.handle:
                self._exchange.refuse_late_reading("reading the body")
            # Its end is known to the response, too: when the client leaves.
            self._reader.waiter = asyncio.get_running_loop().create_future()
            await self._reader.waiter
        if self._is_over:
            return b""
        data, more, resume = self._queue.take()
        self._is_over = not more
        if resume:
            self._res.resume()
        return data if data or not more else await self.read()
