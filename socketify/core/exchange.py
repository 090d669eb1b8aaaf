"""The exchanges of an app: a request and its response, from the native call to the end, and what goes wrong between."""

from __future__ import annotations

import asyncio
import ctypes
import inspect
import sys
import threading
import types
import weakref
from typing import TYPE_CHECKING, Any, Callable, Optional, Protocol, cast

from ..app.extensions import own_class
from ..http.connection import Connection
from ..http.request import Request
from ..http.response import Response
from ..loop.coroutines import CoroutineRunner, new_task
from ..loop.loop_thread import LoopThread, scratch_view
from ..native import ExchangeHandler
from .outcome import ErrorHandler, Outcome

if TYPE_CHECKING:
    from ..app.app import App

Handler = Callable[[Response, Request], Any]

#: Pairs of request and response that are kept for reuse when no number was given.
_DEFAULT_POOL_ITEMS = 64
_CoroutineType = types.CoroutineType
_getrefcount: Optional[Callable[[object], int]] = getattr(sys, "getrefcount", None)
_Pair = tuple[Response, Request]


class Exchange(Protocol):
    """What an app knows by the handle of a response, and tells of events."""

    def _on_abort(self) -> None:
        """Handle that the client left: the handle is stale."""

    def _on_failure(self) -> None:
        """Handle that the request failed: the handle is stale, and what the handler raises because of it is told nobody."""

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
        self._home = LoopThread.current()
        self._thread = self._home.ident
        self._view = scratch_view()
        self._request_class = own_class(Request)
        self._response_class = own_class(Response)
        self._pool_items = max(pool_items, _DEFAULT_POOL_ITEMS)
        self._prepared_items = pool_items
        self._pool: list[_Pair] = [self._new_pair() for _ in range(pool_items)]
        # Those of handlers, which serve one request after the other.
        self._pairs: list[list[Any]] = []
        # By handle, a function that gives the exchange, or None when it is no more: a weak reference, mostly.
        self._live: dict[int, Callable[[], Optional[Exchange]]] = {}
        self._kept: set[Any] = set()
        self._outcome = Outcome(self, debug)
        # The thread whose loop is the native app's.
        self._thread = threading.get_ident()
        self._runner: Optional[CoroutineRunner] = None
        # The event loop, and the task in whose name coroutines begin: the runner's.
        self._current: list[Any] = [None, None]
        self._asyncio_loop: Optional[asyncio.AbstractEventLoop] = None
        self._tasks: set[asyncio.Task[Any]] = set()

    def _enter_thread(self, here: LoopThread) -> None:
        """Read what native code returns in this thread from now on."""
        self._home = here
        self._thread = here.ident
        self._view = scratch_view()
        self._pool[:] = [self._new_pair() for _ in range(self._prepared_items)]
        for pair in self._pairs:
            pair[:] = (None, None)

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
        """Give what routes to a handler without Python between, where ``capabilities.members``.

        The pair that is there serves one request after the other, until somebody holds on to it.
        """
        pool = self._pool
        pair: list[Any] = [None, None]
        self._pairs.append(pair)

        def renew() -> None:
            pair[:] = pool.pop() if pool else self._new_pair()
            pair[1]._names = names

        return ExchangeHandler(handler, pair, renew, self._settle, _clean, self._make_callback(handler, names))

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
        if res._handle:
            # The next handler gets a response of its own: what was asked of this one is over.
            self._forget(res)
        return yielded

    def _start(self, coroutine: Any, res: Response, req: Request) -> None:
        if self._runner is None:
            coroutine.close()
            message = "no event loop is running"
            raise RuntimeError(message)
        waits = self._runner.begin(coroutine)
        if waits is not None:
            req._preserve_for_wait()
            self._runner.carry_on(coroutine, waits, lambda error: self._fail(error, res, req), lambda: self._let_go(res))
            if res._handle:
                self._track(res)
        elif res._handle:
            self._let_go(res)

    def _let_go(self, res: Response) -> None:
        """Hold a response that a coroutine left unanswered no longer, unless an event will come for it."""
        if res._handle and not res._awaits_event():
            self._kept.discard(res)

    def _track(self, res: Any) -> None:
        """Follow a response that ends later, or answers 500 when the last one who could end it lets it go."""
        handle = res._handle
        res._dirty = True

        def dropped(_: weakref.ref[Any]) -> None:
            if self._live.pop(handle, None) is not None:
                self._outcome.drop(handle)

        self._live[handle] = weakref.ref(res, dropped)

    def _keep(self, res: Any) -> None:
        """Hold a response that nobody else may hold, until its events came."""
        self._follow(res)
        self._kept.add(res)

    def _follow(self, res: Any) -> None:
        """Tell a response of its events, as long as somebody holds it."""
        if res._handle not in self._live:
            self._track(res)

    def _forget(self, res: Any) -> None:
        self._live.pop(res._handle, None)
        self._kept.discard(res)
        res._handle = 0

    # ---- events of the native side; nothing may be raised into it

    def _on_abort(self, handle: int) -> None:
        try:
            reference = self._live.pop(handle, None)
            exchange = reference() if reference is not None else None
            if exchange is not None:
                exchange._on_abort()
        except BaseException as error:  # see above
            self._fail(error, None, None)

    def _on_body(self, handle: int, address: Optional[int], length: int, last: int) -> int:
        """Take a piece of a body: 1, also when that failed, for then the whole request did. Nothing to cut the connection."""
        try:
            reference = self._live.get(handle)
            exchange = reference() if reference is not None else None
            if exchange is not None:
                exchange._on_body(ctypes.string_at(address, length) if length and address else b"", bool(last))
        except BaseException as error:  # see above
            self._fail_exchange(handle, error)
        return 1

    def _on_writable(self, handle: int) -> None:
        try:
            reference = self._live.get(handle)
            exchange = reference() if reference is not None else None
            if exchange is not None:
                exchange._on_writable()
        except BaseException as error:  # see above
            self._fail_exchange(handle, error)

    def _on_timeout(self, handle: int) -> None:
        message = "nothing was written for a response within the response_timeout"
        self._fail_exchange(handle, TimeoutError(message), "a response was not completed in time")

    def _fail_exchange(self, handle: int, error: BaseException, what: str = "a handler failed") -> None:
        """Let an exchange fail whose handler may be waiting: to the handler it is as if the client had left."""
        try:
            reference = self._live.pop(handle, None)
            exchange = reference() if reference is not None else None
            if exchange is not None:
                exchange._on_failure()
        except BaseException as another:  # see above
            self._fail(another, None, None)
        self._outcome.fail_handle(error, handle, what)

    def _forward(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function in the app's thread, after all that was forwarded before. Any thread may call this.

        Raises:
            RuntimeError: nothing serves the app any more.

        """
        home = self._home
        if home.loop is None:
            message = "nothing serves the app: what another thread sends or closes has no way to its connections"
            raise RuntimeError(message)
        home.call_soon(function, *arguments)

    def _guard(self, res: Any, function: Callable[..., Any], *arguments: Any) -> bool:
        """Call a function of the user's that nobody waits for; False when it failed."""
        try:
            result = function(*arguments)
            if inspect.iscoroutine(result):
                self.run_async(result, res)
        except BaseException as error:  # most callers are called by native code
            self._fail(error, res, None)
            return False
        return True

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
        self._outcome.handler = handler
        return handler

    def _fail(self, error: BaseException, res: Optional[Response], req: Optional[Request]) -> None:
        """Report an error and answer for it; see :class:`Outcome`."""
        self._outcome.fail(error, res, req)

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
        if not self._home.is_current:
            if inspect.iscoroutine(coroutine):
                coroutine.close()
            message = "run_async was called from another thread than the app's: use asyncio.run_coroutine_threadsafe(...)"
            raise RuntimeError(message)
        if response is not None and response._handle:
            # The task holds it.
            self._follow(response)

        async def guarded() -> Any:
            try:
                return await coroutine
            except BaseException as error:  # a task would throw some of these out of the loop
                waits = response is not None and response._handle
                if waits or not (isinstance(error, asyncio.CancelledError) and _was_cancelled(task)):
                    self._fail(self._ended_by(error), cast("Optional[Response]", response), None)
                if isinstance(error, asyncio.CancelledError):
                    raise

        task = new_task(self._asyncio_loop, guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _ended_by(self, error: BaseException) -> BaseException:
        """Tell what ended a coroutine: the error, or that the server stops."""
        return error if self._runner is None else self._runner.outcome_of(error)


def _was_cancelled(task: asyncio.Task[Any]) -> bool:
    """Tell whether somebody cancelled a task, rather than something that it waited for; before CPython 3.11 he may have."""
    cancelling = getattr(task, "cancelling", None)
    return cancelling is None or cancelling() > 0


def _clean(res: Response, req: Request) -> None:
    """Make a pair like new."""
    if res._dirty:
        res._reset()
    if req._dirty:
        req._reset()
