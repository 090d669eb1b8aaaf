"""What the requests to one WSGI application have in common."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Any, Callable, Optional

from ..native import capabilities
from .direct import DirectRoute
from .environ import base_environ, environ_builder, with_forwarded_scheme
from .exchange import Exchange
from .head import Heads
from .input import BodyBuffer
from .loop_exchange import loop_callback, loop_request
from .threaded_exchange import ThreadedExchange, Workers, threaded_callback, threaded_request

if TYPE_CHECKING:
    from ..app.app import App

logger = logging.getLogger("socketify")

Application = Callable[..., Any]


class Gateway:
    """Serves an application on the routes of a native app.

    Args:
        native: the app.
        application: takes environ and start_response.
        threads: 1 to call it in the loop's thread; more for a pool.
        scheme: ``http`` or ``https``.
        root_path: where it is mounted.
        multiprocess: whether other processes run it too.

    """

    def __init__(
        self, native: App, application: Application, threads: int, scheme: str, root_path: str, multiprocess: bool
    ) -> None:
        self.native = native
        self.application = application
        self.heads = Heads()
        self._base = base_environ(scheme, root_path, threads > 1, multiprocess)
        self.build = environ_builder(self._base)
        if native._trusts_proxies:
            self.build = with_forwarded_scheme(self.build, scheme)
        self._posted: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._awake = False
        self.workers: Optional[Workers] = None
        if threads > 1:
            self.workers = Workers(threads)
            native.on_start(self.workers.start)
            native.on_shutdown(self.workers.stop)

    def route(self) -> None:
        """Take all requests that no route took before."""
        threaded = self.workers is not None
        if capabilities.c_api:
            take = threaded_request(self) if threaded else loop_request(self)
            DirectRoute(self, self._base, take, everything=threaded).route(self.native)
        else:
            self.native._route_native("*", "/*", threaded_callback(self) if threaded else loop_callback(self))

    # ---- bodies

    def new_body(self) -> BodyBuffer:
        """Make the buffer of a request's body."""
        return BodyBuffer()

    def collect(self, exchange: Exchange, chunk: bytes, last: bool) -> bool:
        """Take a piece of a request's body; True when it is complete."""
        body, environ = exchange.body, exchange.environ
        assert body is not None
        assert environ is not None
        if exchange.over:
            return False
        try:
            body.add(chunk)
            if last:
                environ["wsgi.input"] = body.finish()
                # A chunked body was decoded: to the application it looks like any other.
                if environ.pop("HTTP_TRANSFER_ENCODING", None) is not None:
                    environ["CONTENT_LENGTH"] = str(body.size)
        except BaseException as error:
            # A body with a hole is never handed on.
            exchange.fail(error)
            body.close()
            return False
        return last

    # ---- errors

    def fail(self, handle: int, error: BaseException) -> None:
        """Report an error, and answer for it; see :class:`socketify.core.outcome.Outcome`. 0 is no response."""
        self.native._outcome.fail_handle(error, handle, "the WSGI application failed")

    # ---- other threads

    def post(self, function: Callable[..., object], *arguments: Any) -> bool:
        """Call a function on the loop's thread, soon; False when there is no loop any more."""
        self._posted.append((function, arguments))
        if not self._awake:
            self._awake = True
            loop = self.native._asyncio_loop
            try:
                if loop is None:
                    self._awake = False
                    return False
                loop.call_soon_threadsafe(self._call_posted)
            except RuntimeError:
                # The loop was closed meanwhile.
                return False
        return True

    def _call_posted(self) -> None:
        self._awake = False
        posted = self._posted
        while posted:
            function, arguments = posted.popleft()
            try:
                function(*arguments)
            except BaseException as error:  # the rest must be called, too
                exchange = getattr(function, "__self__", None)
                if isinstance(exchange, ThreadedExchange):
                    self.native._fail_exchange(exchange.handle, error)
                else:
                    self.native._fail(error, None, None)
