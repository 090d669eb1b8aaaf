"""WSGI in the event loop's own thread: one native call in and one out for a response that is complete."""

from __future__ import annotations

import asyncio
import itertools
import time
from asyncio.events import _set_running_loop
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any, Callable, Optional

from ..core.references import count_references, references_of
from ..native import lib
from ..native import send as _send
from ..native.abi import BUFFERED, GONE, KEEP_LENGTH, SCOPE_BODY, WSGI_FULL, WSGI_TURN
from .exchange import PIECE_BYTES, WSGIExchange
from .file import FilePart
from .input import BodyBuffer
from .sending import end_response, send_response, stream_response

if TYPE_CHECKING:
    from .application import WSGIApplication
    from .environ import Environ, EnvironBuilder
    from .head import Head

#: Seconds after which a response lets others have their turn; one block may take longer.
TURN_SECONDS = 0.001

_ALONE = references_of(1)
_now = time.perf_counter


class LoopExchange(WSGIExchange):
    """A request whose application is called in the loop's thread.

    While the application runs, no event loop does as far as :mod:`asyncio` is concerned: it may run one itself, and
    Django's ORM, which refuses to block a loop, works.
    """

    __slots__ = ("_blocks", "_buffered", "_result", "_suspended", "_waiter")

    def __init__(self, application: WSGIApplication, handle: int, environ: Environ) -> None:
        super().__init__(application, handle, environ)
        self._result: Any = None
        self._blocks: Optional[Iterator[bytes]] = None
        self._suspended = False
        self._buffered = False
        self._waiter: Optional[asyncio.Future[None]] = None

    def itself(self) -> LoopExchange:
        """Return this exchange; the app's live exchanges hold this method."""
        return self

    def reuse(self, handle: int, environ: Environ) -> None:
        """Begin another request after one that :meth:`run` answered."""
        self.handle = handle
        self.environ = environ
        self.method = environ["REQUEST_METHOD"]
        self.head = None
        self.started = self.over = False

    def run(self) -> bool:
        """Call the application; return True when its result, a short list, was sent at once."""
        application = self._application
        _set_running_loop(None)
        try:
            result = application.function(self.environ, self.start_response)
            head = self.head
            if type(result) is list and len(result) == 1 and head is not None and not self.started:
                data = result[0]
                if type(data) is bytes and 0 < len(data) <= PIECE_BYTES:
                    sent = _send(self.handle, head.block, head.fields, data, KEEP_LENGTH)
                    # The native side refuses a body that does not fit its Content-Length; then the general way handles it.
                    if sent >= 0:
                        self.environ = None
                        self.started = self.over = True
                        if self.body is not None:
                            self.body.close()
                        return True
            self.respond(result)
        except BaseException as error:
            self.fail(error)
            self.close_result(None)
        finally:
            _set_running_loop(application.core.loop)
        return False

    def respond(self, result: Any) -> None:
        """Send the application's result."""
        self._result = result
        try:
            part = self.file_of(result)
            if part is not None:
                self._track()
                self._application.core.run_async(self._send_file(part))
                return
            if not self.answer_whole(result):
                self._blocks = self.blocks_of(result)
                if not self._pump():
                    return
        except BaseException as error:
            self.fail(error)
        self._complete()

    def _pump(self) -> bool:
        """Send blocks while the connection takes them and others need not wait; return False if some are left for later."""
        assert self._blocks is not None
        turn_ends = _now() + TURN_SECONDS
        for data in self._blocks:
            if not self.put_block(data):
                break
            if self._buffered and not self.over:
                self._await_room()
                return False
            if _now() >= turn_ends:
                self._let_others()
                return False
        self.finish()
        return True

    def go_on(self, result: Any, first: tuple[bytes, ...], blocks: Optional[Iterator[bytes]], why: int) -> None:
        """Send the rest of a result whose first blocks the native side sent.

        Args:
            result: what the application returned.
            first: the next block, if there is one.
            blocks: the iterator of those behind it; None after its end.
            why: WSGI_FULL or WSGI_TURN to do so later, WSGI_GO_ON to do so now.

        """
        self._result = result
        self._blocks = self._pieces(first if blocks is None else itertools.chain(first, blocks))
        if why == WSGI_FULL:
            self._await_room()
        elif why == WSGI_TURN:
            self._let_others()
        else:
            self._send_rest()

    def _send_rest(self) -> None:
        try:
            if not self._pump():
                return
        except BaseException as error:
            self.fail(error)
        self._complete()

    def _await_room(self) -> None:
        self._suspend()
        lib.sk_res_want_writable(self.handle)

    def _let_others(self) -> None:
        self._suspend()
        loop = self._application.core.loop
        assert loop is not None
        loop.call_soon(self.on_writable)

    def _suspend(self) -> None:
        self._suspended = True
        if not self.over:
            self._track()

    async def _send_file(self, part: FilePart) -> None:
        await self._send_part(part)
        loop = asyncio.get_running_loop()
        _set_running_loop(None)
        try:
            self._complete()
        finally:
            _set_running_loop(loop)

    async def drained(self) -> None:
        """Wait until the connection has taken what was sent."""
        if self._buffered and not self.left:
            self._waiter = asyncio.get_running_loop().create_future()
            lib.sk_res_want_writable(self.handle)
            await self._waiter

    def _track(self) -> None:
        self._application.core.live[self.handle] = self.itself

    def _complete(self) -> None:
        result, self._result, self._blocks = self._result, None, None
        self._application.core.live.pop(self.handle, None)
        self.over = True
        self.close_result(result)

    def fail(self, error: BaseException) -> None:
        """Answer with 500, or cut a response that has begun."""
        super().fail(self._application.core.ended_by(error))

    # ---- what the connection takes

    def _transmit(self, head: Optional[Head], data: bytes) -> None:
        result = stream_response(self.handle, head, data)
        self._buffered = result == BUFFERED
        if result == GONE:
            self.left = True

    def _send_whole(self, head: Head, data: bytes) -> None:
        send_response(self.handle, head, data, self.method)

    def _end(self, cut: bool) -> None:
        self._application.core.live.pop(self.handle, None)
        end_response(self.handle, cut)

    # ---- events

    def read_body(self) -> None:
        """Collect the body, then call the application."""
        self.body = BodyBuffer()
        self._track()
        lib.sk_res_read_body(self.handle)

    def on_body(self, chunk: bytes, last: bool) -> None:
        """Take a piece of the request's body."""
        if self._collect(chunk, last):
            self._application.core.live.pop(self.handle, None)
            self.run()

    def on_writable(self) -> None:
        """Go on sending."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        if not self._suspended:
            return
        self._suspended = False
        _set_running_loop(None)
        try:
            self._send_rest()
        finally:
            _set_running_loop(self._application.core.loop)

    def on_abort(self) -> None:
        """Handle that the client left."""
        self.left = True
        if self._waiter is not None:
            self.on_writable()
        elif self._suspended:
            self._suspended = False
            _set_running_loop(None)
            try:
                self._complete()
            finally:
                _set_running_loop(self._application.core.loop)
        elif self._blocks is None and self.body is not None:
            # The client left before its body was complete, so the application was never called.
            self.body.close()


def loop_request(application: WSGIApplication) -> Callable[[int, int, Environ, Optional[BytesIO]], None]:
    """Make the function that takes requests whose body is still to come."""

    def on_request(handle: int, _flags: int, environ: Environ, _body: Optional[BytesIO]) -> None:
        LoopExchange(application, handle, environ).read_body()

    return on_request


def loop_callback(application: WSGIApplication, build: EnvironBuilder) -> Callable[[int], int]:
    """Make the callback for every request, for modes in which the native side cannot call the application itself."""
    # An exchange that nothing else refers to serves the next request, too.
    spare: Optional[LoopExchange] = None

    def on_request(handle: int) -> int:
        nonlocal spare
        try:
            flags, environ = build(handle)
            if flags & SCOPE_BODY:
                LoopExchange(application, handle, environ).read_body()
                return 0
            exchange, spare = spare, None
            if exchange is None:
                exchange = LoopExchange(application, handle, environ)
            else:
                exchange.reuse(handle, environ)
            if exchange.run() and count_references(exchange) == _ALONE:
                spare = exchange
        except BaseException as error:
            application.fail(handle, error)
        return 0

    return on_request
