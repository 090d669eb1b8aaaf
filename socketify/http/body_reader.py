"""The reading of a request's body: once, piece by piece."""

from __future__ import annotations

import asyncio
from typing import Callable, Optional

from ..native.collected_bytes import CollectedBytes

#: Takes a piece, and whether it is the last one.
Sink = Callable[[bytes, bool], None]


class BodyReader:
    """Who reads the body.

    Args:
        sink: takes the pieces.
        waiter: gets the error of the sink, if somebody waits for the body.
        collected: where the content goes instead of to the sink, if anywhere.

    """

    __slots__ = ("_sink", "collected", "waiter")

    def __init__(
        self, sink: Sink, waiter: Optional[asyncio.Future[None]] = None, collected: Optional[CollectedBytes] = None
    ) -> None:
        self._sink: Optional[Sink] = sink
        self.waiter = waiter
        self.collected = collected

    @property
    def is_reading(self) -> bool:
        """Whether more of the body is expected."""
        return self._sink is not None

    def stop(self) -> None:
        """Take nothing more: either nothing follows, or something before it is missing."""
        self._sink = None

    def fail(self, error: BaseException) -> None:
        """Take nothing more, and let who waits for the rest get an error."""
        self._sink = None
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_exception(error)

    def take(self, chunk: bytes, last: bool) -> None:
        """Pass a piece on.

        Raises:
            BaseException: what the sink raises, when nobody waits for the body.

        """
        sink = self._sink
        if sink is None:
            return
        if last:
            # It may refer to the response.
            self._sink = None
        try:
            sink(chunk, last)
        except BaseException as error:
            self._sink = None
            waiter = self.waiter
            if waiter is None or waiter.done():
                raise
            waiter.set_exception(error)
