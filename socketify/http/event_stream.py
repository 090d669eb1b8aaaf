"""A response that is a stream of events: what ``res.sse()`` returns."""

from __future__ import annotations

import asyncio
import sys
from types import TracebackType
from typing import Any, Optional

from ..native import header, lib, method
from ..native.abi import STALE
from ..wire.event_streams import checked_retry, encode_event

#: A comment, which clients ignore.
_COMMENT = b":\n\n"


class EventStream:
    """Server-sent events (HTML standard, section 9.2): ``async with res.sse() as events``, then ``await events.send(...)``.

    The block ends where it waits when the client leaves, or when the app stops: what comes behind it runs then, as does what
    ``finally`` holds within. The stream ends with the block, and the client connects again.

    Args:
        res: the response, of which nothing was sent.
        heartbeat: seconds of silence after which a comment is sent.
        retry: milliseconds after which clients connect again; None for their own.
        max_buffered: bytes that may wait for the client before :meth:`try_send` refuses more.

    """

    def __init__(self, res: Any, heartbeat: float, retry: Optional[int], max_buffered: int) -> None:
        if not isinstance(heartbeat, (int, float)) or isinstance(heartbeat, bool) or not heartbeat > 0:
            message = f"heartbeat must be a number of seconds above 0, not {heartbeat!r}"
            raise ValueError(message)
        if not isinstance(max_buffered, int) or isinstance(max_buffered, bool) or max_buffered < 1:
            message = f"max_buffered must be an int of 1 or more, not {max_buffered!r}"
            raise ValueError(message)
        self._res = res
        self._heartbeat = heartbeat
        self._retry = None if retry is None else checked_retry(retry)
        self._max_buffered = max_buffered
        exchange = res.exchange_
        exchange.check_thread("sse")
        self._is_head = self._method() == "HEAD"
        self._task: Optional[asyncio.Task[Any]] = None
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._timer: Optional[asyncio.TimerHandle] = None
        self._written_at = 0.0
        self._is_over = False
        # Whether this cancelled the task, and how often it was asked to end before.
        self._cancelled = False
        self._cancelling = 0
        #: The id of the last event that the client got before it connected again; None for a new client.
        self.last_event_id = self._last_event_id()

    def _method(self) -> str:
        exchange = self._res.exchange_
        if exchange.snapshot is not None:
            return str(exchange.snapshot.method)
        return method(exchange.request_handle) if exchange.request_handle else ""

    def _last_event_id(self) -> Optional[str]:
        exchange = self._res.exchange_
        if exchange.snapshot is not None:
            found = next((value for name, value in exchange.snapshot.headers if name == "last-event-id"), None)
        else:
            found = header(exchange.request_handle, "last-event-id") if exchange.request_handle else None
        # Browsers send UTF-8.
        return None if found is None else found.encode("latin-1").decode("utf-8", "replace")

    @property
    def closed(self) -> bool:
        """Whether the client left, the app stops, or the block ended: what is sent then is lost."""
        return self._is_over or self._res.has_responded()

    # ---- the block

    async def __aenter__(self) -> EventStream:
        if self._task is not None or self._is_over:
            message = "a stream of events is begun once: async with res.sse() as events"
            raise RuntimeError(message)
        res = self._res
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        if sys.version_info >= (3, 11) and self._task is not None:
            self._cancelling = self._task.cancelling()
        if res.has_responded():
            res.exchange_.refuse_late("sse")
            self._on_left(res)
            return self
        given = {name.lower() for name in res.exchange_.head.fields[::2]}
        for name, value in (
            (b"Content-Type", b"text/event-stream"),
            (b"Cache-Control", b"no-cache"),
            # Proxies of nginx's kind would keep events until they have enough of them.
            (b"X-Accel-Buffering", b"no"),
        ):
            if name.lower() not in given:
                res.write_header(name, value)
        if self._is_head:
            res.end_without_body()
            self._on_left(res)
            return self
        res.on_aborted(self._on_left)
        self._write(_COMMENT if self._retry is None else encode_event(None, None, None, self._retry))
        self._timer = self._loop.call_later(self._heartbeat, self._beat)
        return self

    async def __aexit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> bool:
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
            # The response is freed with the last reference to it, not when garbage is collected.
            exchange = self._res.exchange_
            exchange.abort_handlers = tuple(each for each in exchange.abort_handlers if each != self._on_left)
        if error is None:
            if not self._res.has_responded():
                self._res.end()
            return False
        return isinstance(error, asyncio.CancelledError) and self._takes_back()

    def _takes_back(self) -> bool:
        """Return whether nobody but this cancelled the task."""
        if not self._cancelled:
            return False
        task = self._task
        if sys.version_info >= (3, 11) and task is not None:
            return task.uncancel() <= self._cancelling
        return True

    def _on_left(self, _res: Any) -> None:
        # The task itself may be running: then it has to wait first.
        if self._loop is not None:
            self._loop.call_soon(self._cancel)

    def _cancel(self) -> None:
        if not self._is_over and not self._cancelled and self._task is not None:
            self._cancelled = True
            self._task.cancel()

    def _beat(self) -> None:
        loop = self._loop
        if self.closed or loop is None:
            return
        silence = loop.time() - self._written_at
        if silence >= self._heartbeat:
            # Where something waits for the client, there is no silence.
            if lib.sk_res_buffered_bytes(self._res.exchange_.handle) == 0:
                self._write(_COMMENT)
            silence = 0.0
        self._timer = loop.call_later(self._heartbeat - silence, self._beat)

    # ---- events

    async def send(
        self,
        data: Any = None,
        *,
        event: Optional[str] = None,
        id: Optional[str] = None,  # noqa: A002 - the word of the format
        retry: Optional[int] = None,
    ) -> None:
        """Send an event, and wait until the client has taken it.

        Args:
            data: str of any number of lines; anything else goes through the JSON serializer; None for no data.
            event: its type; None for ``message``.
            id: what the client names when it connects again, see :attr:`last_event_id`.
            retry: milliseconds after which it connects again.

        Raises:
            asyncio.CancelledError: the client left, or the app stops; it ends the block, see the class.
            TypeError, ValueError: an argument cannot be sent.
            RuntimeError: before the block.

        """
        if self._encoded(data, event, id, retry):
            await self._res.drain()
        # A client that is fast enough must not keep all others waiting.
        await asyncio.sleep(0)

    def try_send(
        self,
        data: Any = None,
        *,
        event: Optional[str] = None,
        id: Optional[str] = None,  # noqa: A002 - the word of the format
        retry: Optional[int] = None,
    ) -> bool:
        """Send an event without waiting, if no more than ``max_buffered`` bytes wait for the client: for many clients at once.

        Returns:
            Whether it was sent; False where the client is too slow, and after the stream has ended.

        Raises:
            TypeError, ValueError: an argument cannot be sent.
            RuntimeError: before the block, or in another thread than the app's.

        """
        exchange = self._res.exchange_
        exchange.check_thread("try_send")
        waiting = lib.sk_res_buffered_bytes(exchange.handle) if exchange.handle else STALE
        return waiting <= self._max_buffered and self._encoded(data, event, id, retry)

    def _encoded(self, data: Any, event: Optional[str], event_id: Optional[str], retry: Optional[int]) -> bool:
        """Write an event; return False when the stream has ended."""
        if self._task is None:
            message = "the stream of events has not begun: async with res.sse() as events"
            raise RuntimeError(message)
        if data is not None and not isinstance(data, str):
            text = self._res.exchange_.core.dumps(data)
            data = text.decode() if isinstance(text, bytes) else text
        encoded = encode_event(data, event, event_id, retry)
        if self.closed:
            return False
        self._write(encoded)
        return True

    def _write(self, encoded: bytes) -> None:
        assert self._loop is not None
        self._written_at = self._loop.time()
        self._res.write(encoded)
