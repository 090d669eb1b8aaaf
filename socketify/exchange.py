"""The exchanges of an app: a request and its response, from the native call to the end, and what goes wrong between."""

from __future__ import annotations

import asyncio
import ctypes
import inspect
import logging
import sys
import traceback
import types
import weakref
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Callable, Optional, Protocol, cast

from .connection import Connection
from .coroutines import CoroutineRunner
from .errors import HTTPError
from .event_loop import scratch_view
from .extensions import own_class
from .headers import status_line
from .native import calls, lib
from .request import Request
from .response import Response

if TYPE_CHECKING:
    from .app import App

logger = logging.getLogger("socketify")

Handler = Callable[[Response, Request], Any]
ErrorHandler = Callable[[BaseException, Optional[Response], Optional[Request]], Any]

#: Pairs of request and response that are kept for reuse when no number was given.
_DEFAULT_POOL_ITEMS = 64
_CoroutineType = types.CoroutineType
_getrefcount: Optional[Callable[[object], int]] = getattr(sys, "getrefcount", None)
_Pair = tuple[Response, Request]


class Exchange(Protocol):
    """What an app knows by the handle of a response, and tells of events."""

    def _on_abort(self) -> None:
        """Handle that the client left: the handle is stale."""

    def _on_body(self, chunk: bytes, last: bool) -> None:
        """Take a piece of the request's body."""

    def _on_writable(self) -> None:
        """Go on: everything that was written has been taken by the kernel."""


def _count_own_references() -> int:
    """Count the references to a pair's member when nobody else holds it; interpreters differ."""
    if _getrefcount is None:
        return -1
    pair = (object(), object())
    first, second = pair
    return _getrefcount(first) if first is not second else 0


_OWN_REFERENCES = _count_own_references()


class Exchanges:
    """The base of an app that owns its requests and responses.

    Args:
        pool_items: pairs made in advance.
        debug: whether error pages show the error.

    """

    def __init__(self, pool_items: int, debug: bool) -> None:
        self._debug = debug
        self._view = scratch_view()
        self._request_class = own_class(Request)
        self._response_class = own_class(Response)
        self._pool_items = max(pool_items, _DEFAULT_POOL_ITEMS)
        self._pool: list[_Pair] = [self._new_pair() for _ in range(pool_items)]
        # By handle, a function that gives the exchange, or None when it is no more: a weak reference, mostly.
        self._live: dict[int, Callable[[], Optional[Exchange]]] = {}
        self._kept: set[Any] = set()
        self._error_handler: Optional[ErrorHandler] = None
        self._runner: Optional[CoroutineRunner] = None
        # The event loop, and the task in whose name coroutines begin: the runner's.
        self._current: list[Any] = [None, None]
        self._asyncio_loop: Optional[asyncio.AbstractEventLoop] = None
        self._tasks: set[asyncio.Task[Any]] = set()

    def _new_pair(self) -> _Pair:
        return self._response_class(cast("App", self)), self._request_class(self._view)

    def _make_callback(self, handler: Handler, names: tuple[str, ...]) -> Callable[[int], int]:
        """Give a function that takes the handle of a response, and returns 1 to pass the request on."""
        pool = self._pool
        new_pair = self._new_pair
        pool_items = self._pool_items
        getrefcount = _getrefcount or (lambda _: 0)
        own_references = _OWN_REFERENCES
        getweakrefcount = weakref.getweakrefcount
        response_class, request_class = self._response_class, self._request_class

        def on_request(handle: int) -> int:
            pair = pool.pop() if pool else new_pair()
            res, req = pair
            res._handle = req._handle = handle
            req._names = names
            result = failure = None
            try:
                result = handler(res, req)
            except BaseException as error:
                failure = error
            yielded = self._settle(res, req, result, failure)
            result = failure = None
            if (
                not res._handle
                and type(res) is response_class
                and type(req) is request_class
                and getrefcount(res) == own_references
                and getrefcount(req) == own_references
                and not getweakrefcount(res)
                and not getweakrefcount(req)
                and len(pool) < pool_items
            ):
                _clean(res, req)
                pool.append(pair)
            return yielded

        return on_request

    def _make_handler(self, handler: Handler, names: tuple[str, ...]) -> Any:
        """Give what routes to a handler without Python between, where :data:`calls.reads_members`.

        The pair that is there serves one request after the other, until somebody holds on to it.
        """
        pool = self._pool
        pair: list[Any] = [None, None]

        def renew() -> None:
            pair[:] = pool.pop() if pool else self._new_pair()
            pair[1]._names = names

        return calls.exchange_handler(handler, pair, renew, self._settle, _clean, self._make_callback(handler, names))

    def _settle(self, res: Response, req: Request, result: Any, failure: Optional[BaseException]) -> int:
        """Go on with what a handler returned or raised; gives 1 to pass the request on, else 0."""
        try:
            if failure is not None:
                self._fail(failure, res, req)
            # Mostly nothing, or the response of a chain of calls.
            elif result is not None and result is not res and type(result) is _CoroutineType:
                self._start(result, res, req)
        except BaseException as error:
            self._fail(error, res, req)
        req._handle = 0
        yielded = req._yielded
        if res._handle and not yielded:
            # Somebody holds the response, or it dies with this call, and `_track` answers for it.
            if res._handle not in self._live:
                self._track(res)
            return 0
        res._handle = 0
        return yielded

    def _start(self, coroutine: Any, res: Response, req: Request) -> None:
        if self._runner is None:
            coroutine.close()
            message = "no event loop is running"
            raise RuntimeError(message)
        waits = self._runner.begin(coroutine)
        if waits is not None:
            req._preserve_for_wait()
            self._runner.carry_on(coroutine, waits, lambda error: self._fail(error, res, req))
            if res._handle:
                self._track(res)

    def _track(self, res: Any) -> None:
        """Follow a response that ends later, or answers 500 when the last one who could end it lets it go."""
        handle = res._handle
        res._dirty = True

        def dropped(_: weakref.ref[Any]) -> None:
            if self._live.pop(handle, None) is not None:
                logger.error("a response was dropped before it ended", exc_info=_unanswered())
                _send_error(handle)

        self._live[handle] = weakref.ref(res, dropped)

    def _keep(self, res: Any) -> None:
        """Hold a response that waits for events."""
        if res._handle not in self._live:
            self._track(res)
        self._kept.add(res)

    def _forget(self, res: Any) -> None:
        self._live.pop(res._handle, None)
        self._kept.discard(res)
        res._handle = 0

    # ---- events of the native side; nothing may be raised into it

    def _on_abort(self, handle: int) -> None:
        reference = self._live.pop(handle, None)
        exchange = reference() if reference is not None else None
        if exchange is not None:
            try:
                exchange._on_abort()
            except Exception as error:
                self._fail(error, None, None)

    def _on_body(self, handle: int, address: Optional[int], length: int, last: int) -> None:
        reference = self._live.get(handle)
        exchange = reference() if reference is not None else None
        if exchange is not None:
            try:
                exchange._on_body(ctypes.string_at(address, length) if length and address else b"", bool(last))
            except Exception as error:
                self._fail(error, None, None)

    def _on_writable(self, handle: int) -> None:
        reference = self._live.get(handle)
        exchange = reference() if reference is not None else None
        if exchange is not None:
            try:
                exchange._on_writable()
            except Exception as error:
                self._fail(error, None, None)

    def _guard(self, res: Any, function: Callable[..., Any], *arguments: Any) -> None:
        """Call a function of the user's that nobody waits for."""
        try:
            result = function(*arguments)
            if inspect.iscoroutine(result):
                self.run_async(result, res)
        except Exception as error:
            self._fail(error, res, None)

    # ---- errors

    def on_error(self, handler: ErrorHandler) -> ErrorHandler:
        """Handle errors of handlers: ``handler(error, res, req)``, sync or async; res and req may be None.

        What it leaves unanswered gets a 500. Usable as a decorator.

        Raises:
            TypeError: it is not callable.

        """
        if not callable(handler):
            message = f"an error handler must be callable as handler(error, res, req), not {handler!r}"
            raise TypeError(message)
        self._error_handler = handler
        return handler

    def _fail(self, error: BaseException, res: Optional[Response], req: Optional[Request]) -> None:
        """Report an error, and answer 500, or the error's own status, where nothing was sent."""
        if self._error_handler is None:
            if isinstance(error, HTTPError):
                logger.info("answered with %d: %s", error.status_code, error)
            else:
                logger.error("a handler failed", exc_info=error)
        else:
            try:
                result = self._error_handler(error, res, req)
                if inspect.iscoroutine(result):
                    if req is not None and req._handle:
                        req.preserve()
                    self.run_async(self._finish_failed(result, error, res))
                    return
            except Exception:
                logger.exception("the error handler failed, called for %r", error)
        self._answer_failed(error, res)

    async def _finish_failed(self, handling: Awaitable[Any], error: BaseException, res: Optional[Response]) -> None:
        try:
            await handling
        except Exception:
            logger.exception("the error handler failed, called for %r", error)
        self._answer_failed(error, res)

    def _answer_failed(self, error: BaseException, res: Optional[Response]) -> None:
        if res is None or not res._handle:
            return
        if res._started:
            # The head is out: only a cut tells the client that the rest is missing.
            res.close()
            return
        res._dirty = True
        res._fields = [b"Content-Type", b"text/plain; charset=utf-8"]
        if isinstance(error, HTTPError):
            res._status, text = status_line(error.status_code), error.message
        else:
            res._status, text = b"500 Internal Server Error", "Internal Server Error"
        if self._debug:
            text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        res.end(text)

    # ---- tasks

    def run_async(self, coroutine: Any, response: Optional[Connection] = None) -> asyncio.Task[Any]:
        """Run a coroutine as a task; an error in it goes to the error handler with that response.

        Raises:
            RuntimeError: the app does not run.
            TypeError: it is not awaitable.

        """
        if not inspect.isawaitable(coroutine):
            message = f"run_async takes a coroutine, not {type(coroutine).__name__}"
            raise TypeError(message)
        if self._asyncio_loop is None:
            if inspect.iscoroutine(coroutine):
                coroutine.close()
            message = "run_async needs a running app"
            raise RuntimeError(message)
        if response is not None and response._handle:
            self._keep(response)

        async def guarded() -> Any:
            try:
                return await coroutine
            except Exception as error:
                self._fail(error, cast("Optional[Response]", response), None)

        task = self._asyncio_loop.create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _clean(res: Response, req: Request) -> None:
    """Make a pair like new."""
    if res._dirty:
        res._reset()
    if req._dirty:
        req._reset()


def _unanswered() -> RuntimeError:
    return RuntimeError("a handler returned without answering, and nothing holds its response")


def _send_error(handle: int) -> None:
    head = b"500 Internal Server Error"
    lib.sk_res_send(handle, head, len(head), 0, head[4:], len(head) - 4, 0)
