"""WSGI in a pool of threads: an application that blocks stops no other request."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections import deque
from io import BytesIO
from typing import TYPE_CHECKING, Any, Callable, Optional

from ..native import lib
from ..native.abi import BUFFERED, GONE, SCOPE_BODY
from .exchange import PIECE_BYTES, WSGIExchange, logger
from .file import FilePart
from .input import BodyBuffer
from .sending import end_response, send_response, stream_response

if TYPE_CHECKING:
    from .application import WSGIApplication
    from .environ import Environ, EnvironBuilder
    from .head import Head
    from .thread_pool import ThreadPool

#: Bytes that a thread may be ahead of its connection.
_AHEAD_MAX = 256 * 1024


class ThreadedExchange(WSGIExchange):
    """A request whose application is called by a thread of the pool.

    The thread is free as soon as the application is done: its result waits here for the client. While the application
    still yields, it waits for the client with every block once too many bytes are ahead.
    """

    __slots__ = ("_ahead", "_bounded", "_buffered", "_end_cuts", "_outbox", "_pool", "_room", "_sent", "_waiter")

    # No pieces: the loop's thread splits blocks as the connection takes them.
    _piece_bytes = sys.maxsize

    def __init__(self, application: WSGIApplication, pool: ThreadPool, handle: int, environ: Environ) -> None:
        super().__init__(application, handle, environ)
        self._pool = pool
        # Made by _open for streamed responses only: most responses are sent whole.
        self._room: Optional[threading.Condition] = None
        # Whether the application has to wait when it is too far ahead of the client.
        self._bounded = True

    def _open(self) -> threading.Condition:
        """Make the state of a streamed response."""
        # Bytes that were posted and not taken yet.
        self._ahead = 0
        # The posted pieces; the bytes of the first one that were sent, and those of them that wait for the client.
        self._outbox: deque[tuple[Optional[Head], bytes]] = deque()
        self._sent = 0
        self._buffered = 0
        # How to end when everything was sent.
        self._end_cuts: Optional[bool] = None
        self._waiter: Optional[asyncio.Future[None]] = None
        self._room = threading.Condition()
        return self._room

    def itself(self) -> ThreadedExchange:
        """Return this exchange; the app's live exchanges hold this method."""
        return self

    # ---- on a thread of the pool

    def run(self) -> None:
        """Call the application and send its result."""
        result: Any = None
        try:
            result = self._application.function(self.environ, self.start_response)
            part = self.file_of(result)
            posted = part is not None and self._post_file(part)
            if not posted and not self.answer_whole(result):
                # The blocks of a list are in memory already, so waiting would save nothing.
                self._bounded = not isinstance(result, (list, tuple))
                for data in self.blocks_of(result):
                    if not self.put_block(data):
                        break
                self.finish()
        except BaseException as error:
            # This takes effect after what was posted before; what is posted later finds no response.
            self.fail(error)
        self.close_result(result)

    def _post_file(self, part: FilePart) -> bool:
        """Let the loop's thread send a file; return False when no descriptor is left for it."""
        try:
            descriptor = os.dup(part.descriptor)
        except OSError:
            return False
        if not self._pool.post(self.handle, self._send_file_now, part._replace(descriptor=descriptor)):
            os.close(descriptor)
            self.left = True
        return True

    def _transmit(self, head: Optional[Head], data: bytes) -> None:
        room = self._room
        if room is None:
            room = self._open()
        with room:
            while self._bounded and self._ahead > _AHEAD_MAX and not self.left:
                room.wait()
            self._ahead += len(data)
        if not self.left and not self._pool.post(self.handle, self._stream_now, head, data):
            self.left = True

    def _send_whole(self, head: Head, data: bytes) -> None:
        self._pool.post(self.handle, self._send_now, head, data)

    def _end(self, cut: bool) -> None:
        self._pool.post(self.handle, self._end_now, cut)

    def _report(self, handle: int, error: BaseException) -> None:
        if not self._pool.post(0, self._application.fail, handle, error):
            logger.error("the WSGI application failed, after its server", exc_info=error)

    # ---- on the loop's thread

    def _stream_now(self, head: Optional[Head], data: bytes) -> None:
        self._outbox.append((head, data))
        if len(self._outbox) == 1:
            self._send_more()

    def _send_more(self) -> None:
        """Send what was posted, as far as the connection takes it."""
        outbox = self._outbox
        while outbox and not self.left:
            head, data = outbox[0]
            begin, end = self._sent, self._sent + PIECE_BYTES
            piece = data if len(data) <= PIECE_BYTES else data[begin:end]
            result = stream_response(self.handle, None if begin else head, piece)
            if result == GONE:
                self.on_abort()
                return
            self._sent += len(piece)
            self._buffered += len(piece)
            if self._sent >= len(data):
                outbox.popleft()
                self._sent = 0
            if result == BUFFERED:
                lib.sk_res_want_writable(self.handle)
                return
            self._took()
        if self._end_cuts is not None:
            self._end_now(self._end_cuts)

    def _took(self) -> None:
        size, self._buffered = self._buffered, 0
        assert self._room is not None
        with self._room:
            self._ahead -= size
            self._room.notify()
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _send_now(self, head: Head, data: bytes) -> None:
        self._application.core.live.pop(self.handle, None)
        send_response(self.handle, head, data, self.method)

    def _end_now(self, cut: bool) -> None:
        if (self._outbox or self._buffered) and not self.left:
            self._end_cuts = cut
            return
        self._application.core.live.pop(self.handle, None)
        end_response(self.handle, cut)

    def _send_file_now(self, part: FilePart) -> None:
        self._application.core.run_async(self._send_file(part))

    async def _send_file(self, part: FilePart) -> None:
        """Send a file whose descriptor this exchange owns."""
        try:
            await self._send_part(part)
        finally:
            os.close(part.descriptor)

    async def drained(self) -> None:
        """Wait until the connection has taken what was sent."""
        while not self.left and self._ahead:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def submit(self) -> None:
        """Let the pool call the application."""
        self._pool.submit(self.run)

    def read_body(self) -> None:
        """Collect the body, then let the pool call the application."""
        self.body = BodyBuffer()
        lib.sk_res_read_body(self.handle)

    def on_body(self, chunk: bytes, last: bool) -> None:
        """Take a piece of the request's body."""
        if self._collect(chunk, last):
            self.submit()

    def on_writable(self) -> None:
        """Go on sending."""
        self._took()
        self._send_more()

    def on_abort(self) -> None:
        """Handle that the client left."""
        self.left = True
        room = self._room
        if room is not None:
            self._outbox.clear()
            with room:
                room.notify()
            self._wake()


def threaded_request(application: WSGIApplication, pool: ThreadPool) -> Callable[[int, int, Environ, Optional[BytesIO]], None]:
    """Make the function that takes requests."""
    live = application.core.live

    def on_request(handle: int, flags: int, environ: Environ, body: Optional[BytesIO]) -> None:
        exchange = ThreadedExchange(application, pool, handle, environ)
        exchange.body = body
        live[handle] = exchange.itself
        if flags & SCOPE_BODY:
            exchange.read_body()
        else:
            exchange.submit()

    return on_request


def threaded_callback(application: WSGIApplication, pool: ThreadPool, build: EnvironBuilder) -> Callable[[int], int]:
    """Make the callback for every request, for modes in which the native side cannot make the environ itself."""
    take = threaded_request(application, pool)

    def on_request(handle: int) -> int:
        try:
            flags, environ = build(handle)
            take(handle, flags, environ, None)
        except BaseException as error:
            application.fail(handle, error)
        return 0

    return on_request
