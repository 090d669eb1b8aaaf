"""The outcome of requests and websockets whose handler failed. No other module decides that."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import traceback
from collections.abc import Awaitable
from contextlib import AbstractContextManager
from typing import Any, Callable, Optional, Protocol

from ..loop.coroutines import StoppedError
from ..loop.loop_thread import scratch_view
from ..native import abi, lib
from ..system.worker_name import NameWorker
from ..wire.errors import HTTPError
from ..wire.headers import status_line
from .error_page import error_page
from .live import LiveExchanges

logger = logging.getLogger("socketify")
logger.addFilter(NameWorker())

#: ``handler(error, res, req)``; res and req may be None.
ErrorHandler = Callable[[BaseException, Any, Any], Any]

_TEXT = b"text/plain; charset=utf-8"
_HTML = b"text/html; charset=utf-8"
_FAILED = "a handler failed"


class AnsweredExchange(Protocol):
    """An exchange that an outcome can end."""

    handle: int
    request_handle: int
    failed: bool

    @property
    def has_begun(self) -> bool:
        """Whether the head of the response was sent."""

    def preserve(self) -> None:
        """Copy the request's contents, while they can be read."""

    def asks_for(self, content_type: str) -> bool:
        """Return whether the request names a content type that its client takes; False where it cannot be read any more."""

    def answer(self, status: bytes, content_type: bytes, text: str) -> None:
        """Send a whole response in place of what was written before."""

    def cut(self, res: Any) -> None:
        """Close the connection, as the response that has begun cannot be completed."""


class ExchangeOwner(Protocol):
    """A response, or a request."""

    @property
    def exchange_(self) -> AnsweredExchange:
        """The exchange that it belongs to."""


class OutcomeHost(Protocol):
    """The owner of the exchanges."""

    live: LiveExchanges
    loop: Optional[asyncio.AbstractEventLoop]
    thread: int
    request_id_field: str
    #: Makes a response for a handle that has none.
    new_response: Callable[[int], Any]

    def run_async(self, coroutine: Any, response: Any = None) -> Any:
        """Run a coroutine as a task."""

    def ended_by(self, error: BaseException) -> BaseException:
        """Return what ended a coroutine: the error, or a StoppedError when the server stops."""


class Outcome:
    """Reports a handler's failure to the log, the error handler and the client.

    The client gets a 500, or the status of an :class:`HTTPError`; when the head of the response was sent already, only a cut
    of the connection shows it that the rest is missing. A websocket is closed with 1011. None of the methods raises, whatever
    the error handler does, as most callers are called by native code.

    Args:
        host: whose requests and websockets these are.
        debug: whether the client sees the error.

    """

    def __init__(self, host: OutcomeHost, debug: bool) -> None:
        self._host = host
        self._debug = debug
        #: Of responses that their handlers left unanswered: what describes them, by handle; None where nobody wants to know.
        self.places: Optional[dict[int, str]] = {} if debug else None
        #: Called as ``handler(error, res, req)``; a response that it leaves unanswered is logged and gets the usual answer.
        self.handler: Optional[ErrorHandler] = None
        #: Called with every error that no handler answered for, before the client gets its answer; for tests of applications.
        self.on_unhandled: Optional[Callable[[BaseException], object]] = None
        #: Surrounds what is done about an error of an exchange, or of None: for who traces it. None for nothing.
        self.around: Optional[Callable[[BaseException, Optional[AnsweredExchange]], AbstractContextManager[None]]] = None

    def fail(
        self,
        error: BaseException,
        res: Optional[ExchangeOwner],
        req: Optional[ExchangeOwner] = None,
        what: str = _FAILED,
    ) -> None:
        """Report an error, and answer for it.

        Args:
            error: anything that was raised; :class:`StoppedError` is answered, but not reported.
            res: the response that the client waits for, or None. When it failed before, nothing more is reported.
            req: its request, while that can be read.
            what: words for the log.

        """
        if isinstance(error, StoppedError):
            self._answer(error, res)
            return
        if res is not None and res.exchange_.failed:
            return
        if self.around is None:
            self._handle(error, res, req, what)
        else:
            with self.around(error, None if res is None else res.exchange_):
                self._handle(error, res, req, what)

    def _handle(self, error: BaseException, res: Optional[ExchangeOwner], req: Optional[ExchangeOwner], what: str) -> None:
        if self.handler is not None:
            waits = _waits(res)
            try:
                result = self.handler(error, res, req)
                if inspect.iscoroutine(result):
                    if req is not None:
                        req.exchange_.preserve()
                    self._host.run_async(self._await_handler(result, error, res, what))
                    return
            except BaseException as another:  # see the class
                self._log_both(another, error)
                self._answer(error, res)
                return
            if waits and not _waits(res):
                return
        self._conclude(error, res, what)

    async def _await_handler(
        self, handling: Awaitable[Any], error: BaseException, res: Optional[ExchangeOwner], what: str
    ) -> None:
        waits = _waits(res)
        try:
            await handling
        except BaseException as another:  # see the class
            if not isinstance(self._host.ended_by(another), StoppedError):
                self._log_both(another, error)
            self._answer(error, res)
        else:
            if not waits or _waits(res):
                self._conclude(error, res, what)

    def _conclude(self, error: BaseException, res: Optional[ExchangeOwner], what: str) -> None:
        if not isinstance(error, HTTPError):
            self._note(error)
        request_id = self._request_id(res)
        extra = {"request_id": request_id}
        what = f"{what}, request {request_id}" if request_id else what
        if self.handler is None:
            if isinstance(error, HTTPError):
                logger.info("answered with %d: %s", error.status_code, error, extra=extra)
            else:
                logger.error(what, exc_info=error, extra=extra)
        elif not isinstance(error, HTTPError):
            # Logged as text, so that the log does not keep alive what the error refers to.
            logger.error("%s, and the error handler did not answer\n%s", what, _as_text(error), extra=extra)
        self._answer(error, res)

    def fail_handle(self, error: BaseException, handle: int, what: str = _FAILED) -> None:
        """Do the same for a response that is known by its handle.

        Args:
            error: as for :meth:`fail`.
            handle: of the response; 0 for none.
            what: words for the log.

        """
        if not handle:
            self.fail(error, None, None, what)
            return
        self._host.live.pop(handle, None)
        try:
            res = self._host.new_response(handle)
        except MemoryError:
            logger.exception(what, exc_info=error)
            lib.sk_res_fail(handle)
            return
        self.fail(error, res, None, what)

    def fail_websocket(self, error: BaseException, handle: int, what: str = _FAILED) -> None:
        """Report an error of a websocket's handler, and close with 1011 (RFC 6455 section 7.4.1, and its erratum 3473)."""
        self.fail(error, None, None, what)
        lib.sk_ws_end(handle, abi.WS_CODE_GOING_AWAY if isinstance(error, StoppedError) else abi.WS_CODE_INTERNAL_ERROR, b"", 0)

    def drop(self, handle: int) -> None:
        """Answer for a response that nothing refers to any more. Any thread may call it, and the garbage collector.

        The response fails soon, on the loop's thread, as the code that dropped it may be in the middle of anything.
        """
        loop = self._host.loop
        if loop is None:
            if threading.get_ident() == self._host.thread:
                self._fail_dropped(handle)
            return
        try:
            loop.call_soon_threadsafe(self._fail_dropped, handle)
        except RuntimeError:
            # The loop was closed, and all connections with it.
            return

    def _fail_dropped(self, handle: int) -> None:
        if lib.sk_res_has_begun(handle) == abi.GONE:
            return
        place = self.places.pop(handle, "a handler") if self.places is not None else "a handler"
        message = (
            f"{place} returned without answering, and nothing holds its response: call res.end(...) or res.send(...), "
            "or 'await' what does; who answers later holds res until then"
        )
        self.fail_handle(RuntimeError(message), handle, "a response was dropped before it ended")

    def _note(self, error: BaseException) -> None:
        if self.on_unhandled is not None:
            self.on_unhandled(error)

    def _log_both(self, failure: BaseException, error: BaseException) -> None:
        """Log that the error handler failed, and for which error it was called."""
        self._note(failure)
        last = failure
        while last.__context__ is not None and last.__context__ is not error and last is not error:
            last = last.__context__
        if last is not error and last.__context__ is None:
            last.__context__ = error
        logger.error("the error handler failed, called for %r", error, exc_info=failure)

    def _request_id(self, res: Optional[ExchangeOwner]) -> str:
        handle = res.exchange_.handle if res is not None and self._host.request_id_field else 0
        length = lib.sk_res_request_id(handle) if handle else 0
        return bytes(scratch_view()[:length]).decode("latin-1") if length > 0 else ""

    # ---- the client

    def _answer(self, error: BaseException, res: Optional[ExchangeOwner]) -> None:
        if res is None:
            return
        exchange = res.exchange_
        handle = exchange.handle
        if not handle:
            return
        try:
            if exchange.has_begun:
                exchange.cut(res)
                return
            status, text = self._page(error)
            content_type = _TEXT
            if self._debug and not isinstance(error, StoppedError) and exchange.asks_for("text/html"):
                content_type, text = _HTML, error_page(error, text)
            exchange.answer(status, content_type, text)
        except BaseException:  # see the class
            logger.exception("an error could not be answered")
            lib.sk_res_fail(handle)

    def _page(self, error: BaseException) -> tuple[bytes, str]:
        if isinstance(error, StoppedError):
            return b"503 Service Unavailable", "Service Unavailable"
        status, text = b"500 Internal Server Error", "Internal Server Error"
        if isinstance(error, HTTPError):
            status, text = status_line(error.status_code), error.message
        if self._debug:
            text = _as_text(error)
        return status, text


def _waits(res: Optional[ExchangeOwner]) -> bool:
    """Return whether a client waits for the response."""
    return res is not None and bool(res.exchange_.handle)


def _as_text(error: BaseException) -> str:
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))
