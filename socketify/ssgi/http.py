"""The response that an SSGI application gets for type ``http``."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterable
from io import BytesIO
from typing import Any, Callable, Optional, TypeVar, Union

from ..http.body_queue import BodyQueue
from ..http.response import Response
from ..native import lib

Self = TypeVar("Self", bound="SSGIHttpResponse")


class SSGIHttpResponse:
    """A response to one request. After the client left, methods do nothing.

    Args:
        res: the framework's response.

    """

    __slots__ = ("__weakref__", "_body", "_res", "_waiter", "extensions")

    def __init__(self, res: Response) -> None:
        self._res = res
        #: For servers and frameworks to put things in.
        self.extensions: dict[str, Any] = {}
        self._body: Optional[BodyQueue] = None
        self._waiter: Optional[asyncio.Future[None]] = None

    @property
    def aborted(self) -> bool:
        """Whether the client left before the response ended."""
        return self._res.aborted

    def send(self: Self, payload: Any = b"", has_more: bool = False) -> Self:
        """Send the body, or a piece of it.

        Args:
            payload: str, bytes, bytearray, memoryview, None for nothing, or what goes through the JSON serializer.
            has_more: whether further pieces follow.

        Raises:
            RuntimeError: the response ended before.

        """
        if has_more:
            self._res.write(payload)
            # Flush before the application goes on, as it may block.
            lib.sk_res_flush(self._res.exchange_.handle)
        else:
            self._res.end(payload)
        return self

    async def send_chunk(self, chunk: Any, total_size: int) -> tuple[bool, bool]:
        """Send a piece of a body of a known size, and wait until the connection has taken it.

        Returns:
            Whether it was taken, and whether the response is complete; (False, True) when the client left.

        """
        return await self._res.send_chunk(chunk, total_size)

    def send_status(self: Self, status_code: Union[int, str, bytes] = 200) -> Self:
        """Set the status, before the body.

        Raises:
            ValueError, TypeError: it is no status.

        """
        self._res.write_status(status_code)
        return self

    def send_headers(self: Self, headers: Iterable[tuple[Union[str, bytes], Union[str, bytes, int]]]) -> Self:
        """Add fields, before the body.

        Raises:
            ValueError, TypeError: a name is no token, or a value cannot be sent.

        """
        for name, value in headers:
            self._res.write_header(name, value)
        return self

    def run_async(self, handler: Any, *arguments: Any) -> asyncio.Future[Any]:
        """Run a coroutine function, or a coroutine, as a task; an error in it is answered with 500."""
        return run_async(self._res, handler, arguments)

    async def get_data(self) -> BytesIO:
        """Return the request's body, or what was received of it when the client left."""
        if self._body is not None:
            parts = []
            while (chunk := await self.get_chunk()) is not None:
                parts.append(chunk)
            return BytesIO(b"".join(parts))
        return await self._res.get_data()

    async def get_chunk(self) -> Optional[bytes]:
        """Return the next piece of the request's body; None at the end, and when the client left."""
        body = self._body
        if body is None:
            body = self._body = BodyQueue()
            if self._res.has_responded():
                body.end()
            else:
                self._res.on_aborted(lambda _: self._wake())
                self._res.on_data(self._take)
        while not body.is_ready:
            if self._res.has_responded():
                return None
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        chunk, _, resume = body.take()
        if resume:
            self._res.resume()
        return chunk or None

    def _take(self, _res: Response, chunk: bytes, is_end: bool) -> None:
        assert self._body is not None
        try:
            pause = self._body.add(chunk, is_end)
        except MemoryError:
            # The response fails, and whatever waits for the body must see that.
            self._body.end()
            self._wake()
            raise
        if pause:
            self._res.pause()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def on_aborted(self: Self, handler: Callable[..., Any], *arguments: Any) -> Self:
        """Call a function, sync or async, when the client leaves before the response ended."""
        self._res.on_aborted(lambda _: handler(*arguments))
        return self


def run_async(res: Response, handler: Any, arguments: tuple[Any, ...]) -> asyncio.Future[Any]:
    """Run what an application passes to ``run_async`` as a task.

    Raises:
        TypeError: it is neither a coroutine function nor a coroutine.

    """
    coroutine = handler(*arguments) if callable(handler) else handler
    if not inspect.isawaitable(coroutine):
        message = f"run_async takes a coroutine function and its arguments, not {handler!r}"
        raise TypeError(message)
    return res.run_async(coroutine)  # type: ignore[arg-type] # any awaitable will do
