"""The app: routes, listeners, and the life of requests in Python."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import inspect
import json
import logging
import os
import signal
import socket
import sys
import threading
import weakref
from typing import Any, Callable, Optional, Union

from .coroutines import CoroutineRunner
from .event_loop import attach, new_event_loop, scratch_view
from .native import declarations as c
from .native import lib
from .options import AppListenOptions, AppOptions
from .request import Request
from .response import Response

logger = logging.getLogger("socketify")

Handler = Callable[[Response, Request], Any]
Lifecycle = Callable[[], Any]
ErrorHandler = Callable[[BaseException, Optional[Response], Optional[Request]], Any]

_RESOLVER_ERROR_BASE = -100000
#: Pairs of request and response that are kept for reuse when no number was given.
_DEFAULT_POOL_ITEMS = 64
_NO_LIMIT = 2**64 - 1
_getrefcount: Optional[Callable[[object], int]] = getattr(sys, "getrefcount", None)
_Pair = tuple[Response, Request]


def _count_own_references() -> int:
    """Count the references to a pair's member when nobody else holds it; interpreters differ."""
    if _getrefcount is None:
        return -1
    pair = (object(), object())
    first, second = pair
    return _getrefcount(first) if first is not second else 0


_OWN_REFERENCES = _count_own_references()


class App:
    """A web server and its routes.

    Args:
        options: TLS files; None for plain HTTP.
        request_response_factory_max_items: requests and responses made in advance and kept for reuse; 0 makes none in
            advance and keeps a few.
        websocket_factory_max_items: likewise for websockets.
        task_factory_max_items: accepted for compatibility: tasks are made when a handler first waits.
        lifespan: whether start and shutdown handlers run.
        max_body_size: bytes of a request's body; larger ones get 413. None for no limit.
        keep_alive_timeout: seconds that an idle connection is kept; 0 for ever.
        shutdown_timeout: seconds that requests in flight get when the app stops.
        server_header: value of the Server field, at most 128 bytes; None to send none.
        date_header: whether Date is sent (RFC 9110 section 6.6.1).

    """

    def __init__(
        self,
        options: Optional[AppOptions] = None,
        request_response_factory_max_items: int = 0,
        websocket_factory_max_items: int = 0,
        task_factory_max_items: int = 100_000,
        lifespan: bool = True,
        *,
        max_body_size: Optional[int] = None,
        keep_alive_timeout: int = 10,
        shutdown_timeout: float = 30.0,
        server_header: Optional[str] = "socketify",
        date_header: bool = True,
    ) -> None:
        if options is not None and options.wants_tls:
            message = "this version of socketify serves plain HTTP only: put a TLS proxy in front of it"
            raise RuntimeError(message)
        for name, value in (
            ("request_response_factory_max_items", request_response_factory_max_items),
            ("websocket_factory_max_items", websocket_factory_max_items),
            ("task_factory_max_items", task_factory_max_items),
        ):
            if not isinstance(value, int) or value < 0:
                message = f"{name} must be an int of 0 or more, not {value!r}"
                raise ValueError(message)
        self._lifespan = lifespan
        self._shutdown_timeout = shutdown_timeout
        self._view = scratch_view()
        self._pool_items = max(request_response_factory_max_items, _DEFAULT_POOL_ITEMS)
        self._pool: list[_Pair] = [self._new_pair() for _ in range(request_response_factory_max_items)]
        self._live: dict[int, weakref.ref[Response]] = {}
        self._kept: set[Response] = set()
        self._start_handlers: list[Lifecycle] = []
        self._shutdown_handlers: list[Lifecycle] = []
        self._error_handler: Optional[ErrorHandler] = None
        self._dumps: Callable[[Any], Union[str, bytes]] = json.dumps
        self._loads: Callable[[bytes], Any] = json.loads
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._runner: Optional[CoroutineRunner] = None
        self._stopped: Optional[asyncio.Future[None]] = None
        self._drained: Optional[asyncio.Future[None]] = None
        self._tasks: set[asyncio.Task[Any]] = set()
        # Everything that native code calls must live as long as the native app.
        self._callbacks: list[object] = []
        self._native = self._create(max_body_size, keep_alive_timeout, server_header, date_header)

    def _create(self, max_body: Optional[int], keep_alive: int, server: Optional[str], date: bool) -> int:
        server_header = None if server is None else server.encode("latin-1")
        options = c.AppOptionsStruct(
            max_body_bytes=_NO_LIMIT if max_body is None else max_body,
            max_target_bytes=8192,
            max_header_bytes=16384,
            max_header_count=100,
            keep_alive_timeout_s=keep_alive,
            backlog=2048,
            max_backpressure_bytes=1024 * 1024,
            date_header=1 if date else 0,
            server_header=server_header,
            server_header_length=len(server_header or b""),
            on_missing=c.RequestCallback(self._make_callback(_not_found, ())),
            on_abort=c.AbortCallback(self._on_abort),
            on_body=c.BodyCallback(self._on_body),
            on_writable=c.WritableCallback(lambda _handle: None),
            on_drained=c.DrainedCallback(self._on_drained),
        )
        self._callbacks.append(options)
        native = lib.sk_app_create(ctypes.byref(options))
        if not native:
            message = "cannot create the native app: server_header is longer than 128 bytes, or descriptors are exhausted"
            raise RuntimeError(message)
        return int(native)

    # ---- routes

    def get(self, path: str, handler: Handler) -> App:
        """Route GET, and HEAD where no HEAD route matches (RFC 9110 section 9.3.2)."""
        return self._route("GET", path, handler)

    def post(self, path: str, handler: Handler) -> App:
        """Route POST."""
        return self._route("POST", path, handler)

    def put(self, path: str, handler: Handler) -> App:
        """Route PUT."""
        return self._route("PUT", path, handler)

    def patch(self, path: str, handler: Handler) -> App:
        """Route PATCH."""
        return self._route("PATCH", path, handler)

    def delete(self, path: str, handler: Handler) -> App:
        """Route DELETE."""
        return self._route("DELETE", path, handler)

    def head(self, path: str, handler: Handler) -> App:
        """Route HEAD."""
        return self._route("HEAD", path, handler)

    def options(self, path: str, handler: Handler) -> App:
        """Route OPTIONS."""
        return self._route("OPTIONS", path, handler)

    def connect(self, path: str, handler: Handler) -> App:
        """Route CONNECT."""
        return self._route("CONNECT", path, handler)

    def trace(self, path: str, handler: Handler) -> App:
        """Route TRACE."""
        return self._route("TRACE", path, handler)

    def any(self, path: str, handler: Handler) -> App:
        """Route every method, also those that have no method of this name here."""
        return self._route("*", path, handler)

    def _route(self, method: str, path: str, handler: Handler) -> App:
        if not isinstance(path, str) or not path.startswith("/"):
            message = f"path must be a str that begins with '/', not {path!r}"
            raise ValueError(message)
        if "*" in path[:-1] and any(part.startswith("*") for part in path.split("/")[:-1]):
            message = f"path can have '*' only as its last part: {path!r}"
            raise ValueError(message)
        if not callable(handler):
            message = f"handler must be callable as handler(res, req), not {handler!r}"
            raise TypeError(message)
        names = tuple(part[1:] for part in path.split("/") if part.startswith(":"))
        callback = c.RequestCallback(self._make_callback(handler, names))
        self._callbacks.append(callback)
        verb, pattern = method.encode(), path.encode()
        lib.sk_app_route(self._alive(), b"", 0, verb, len(verb), pattern, len(pattern), callback)
        return self

    def _alive(self) -> int:
        if not self._native:
            message = "the app is closed"
            raise RuntimeError(message)
        return self._native

    # ---- the life of a request

    def _new_pair(self) -> _Pair:
        return Response(self), Request(self._view)

    def _make_callback(self, handler: Handler, names: tuple[str, ...]) -> Callable[[int], int]:
        pool = self._pool
        new_pair = self._new_pair
        pool_items = self._pool_items
        getrefcount = _getrefcount or (lambda _: 0)

        def on_request(handle: int) -> int:
            pair = pool.pop() if pool else new_pair()
            res, req = pair
            res._handle = req._handle = handle
            req._names = names
            try:
                result = handler(res, req)
                if result is not None and inspect.iscoroutine(result):
                    self._start(result, res, req)
            except BaseException as error:
                self._fail(error, res, req)
            result = None
            req._handle = 0
            yielded = req._yielded
            if res._handle and not yielded:
                # Somebody holds the response, or it dies with this call, and `_track` answers for it.
                if res._handle not in self._live:
                    self._track(res)
                return 0
            res._handle = 0
            if getrefcount(res) == _OWN_REFERENCES and getrefcount(req) == _OWN_REFERENCES and len(pool) < pool_items:
                if res._dirty:
                    res._reset()
                req._snapshot = None
                req._yielded = 0
                pool.append(pair)
            return yielded

        return on_request

    def _start(self, coroutine: Any, res: Response, req: Request) -> None:
        if self._runner is None:
            coroutine.close()
            message = "no event loop is running"
            raise RuntimeError(message)
        done = self._runner.start(coroutine, req.preserve, lambda error: self._fail(error, res, req))
        if not done and res._handle:
            self._track(res)

    def _track(self, res: Response) -> None:
        """Follow a response that ends later, or answers 500 when the last one who could end it lets it go."""
        handle = res._handle
        res._dirty = True

        def dropped(_: weakref.ref[Response]) -> None:
            if self._live.pop(handle, None) is not None:
                logger.error("a response was dropped before it ended", exc_info=_unanswered())
                _send_error(handle)

        self._live[handle] = weakref.ref(res, dropped)

    def _keep(self, res: Response) -> None:
        """Hold a response that waits for events."""
        if res._handle not in self._live:
            self._track(res)
        self._kept.add(res)

    def _forget(self, res: Response) -> None:
        self._live.pop(res._handle, None)
        self._kept.discard(res)
        res._handle = 0

    def _on_abort(self, handle: int) -> None:
        reference = self._live.pop(handle, None)
        res = reference() if reference is not None else None
        if res is None:
            return
        self._kept.discard(res)
        res._handle = 0
        res._mark_aborted()
        waiter = res._body_waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        for handler in res._abort_handlers:
            self._guard(res, handler, res)

    def _on_body(self, handle: int, address: Optional[int], length: int, last: int) -> None:
        reference = self._live.get(handle)
        res = reference() if reference is not None else None
        if res is not None and res._body_sink is not None:
            chunk = ctypes.string_at(address, length) if length and address else b""
            res._body_sink(chunk, bool(last))

    def _guard(self, res: Response, function: Callable[..., Any], *arguments: Any) -> None:
        """Call a function of the user's that nobody waits for."""
        try:
            result = function(*arguments)
            if inspect.iscoroutine(result):
                self.run_async(result, res)
        except Exception as error:
            self._fail(error, res, None)

    def _fail(self, error: BaseException, res: Optional[Response], req: Optional[Request]) -> None:
        """Report an error, and answer 500 where nothing was sent."""
        if self._error_handler is None:
            logger.error("a handler failed", exc_info=error)
        else:
            try:
                result = self._error_handler(error, res, req)
                if inspect.iscoroutine(result):
                    if req is not None and req._handle:
                        req.preserve()
                    self.run_async(self._finish_failed(result, res))
                    return
            except Exception:
                logger.exception("the error handler failed, called for %r", error)
        self._answer_failed(res)

    async def _finish_failed(self, handling: Any, res: Optional[Response]) -> None:
        try:
            await handling
        except Exception:
            logger.exception("the error handler failed")
        self._answer_failed(res)

    def _answer_failed(self, res: Optional[Response]) -> None:
        if res is None or not res._handle:
            return
        if res._started:
            # The head is out: only a cut tells the client that the rest is missing.
            res.close()
            return
        res._dirty = True
        res._status, res._fields = b"500 Internal Server Error", []
        res.end(b"Internal Server Error")

    # ---- events

    def on_start(self, handler: Lifecycle) -> Lifecycle:
        """Run a function, sync or async, before the first request. Usable as a decorator."""
        self._start_handlers.append(handler)
        return handler

    def on_shutdown(self, handler: Lifecycle) -> Lifecycle:
        """Run a function, sync or async, after the last request. Usable as a decorator."""
        self._shutdown_handlers.append(handler)
        return handler

    def on_error(self, handler: ErrorHandler) -> ErrorHandler:
        """Handle errors of handlers: ``handler(error, res, req)``, sync or async; res and req may be None.

        What it leaves unanswered gets a 500. Usable as a decorator.
        """
        self._error_handler = handler
        return handler

    def set_error_handler(self, handler: ErrorHandler) -> App:
        """Do the same as :meth:`on_error`."""
        self._error_handler = handler
        return self

    def run_async(self, coroutine: Any, response: Optional[Response] = None) -> asyncio.Task[Any]:
        """Run a coroutine as a task; an error in it goes to the error handler with that response.

        Raises:
            RuntimeError: the app does not run.

        """
        if self._loop is None:
            coroutine.close()
            message = "run_async needs a running app"
            raise RuntimeError(message)
        if response is not None and response._handle:
            self._keep(response)

        async def guarded() -> Any:
            try:
                return await coroutine
            except Exception as error:
                self._fail(error, response, None)

        task = self._loop.create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # ---- listening and running

    def listen(
        self,
        port_or_options: Union[int, AppListenOptions, None] = None,
        handler: Optional[Callable[[AppListenOptions], Any]] = None,
    ) -> App:
        """Listen, at once.

        Args:
            port_or_options: a port, or options; None picks a port.
            handler: called with the options, the bound port in them.

        Raises:
            OSError: the port is taken, the host unknown, or the path not permitted; the message says which.

        """
        given = port_or_options
        config = given if isinstance(given, AppListenOptions) else AppListenOptions(port=0 if given is None else given)
        native = self._alive()
        if config.domain is not None:
            port = lib.sk_app_listen_unix(native, os.fsencode(config.domain))
        else:
            host = None if config.host is None else config.host.encode("idna")
            port = lib.sk_app_listen(native, host, config.port, config.options & 1)
        if port < 0:
            _raise_listen_error(port, config)
        if handler is not None:
            handler(AppListenOptions(port=port, host=config.host, options=config.options, domain=config.domain))
        return self

    def run(self) -> None:
        """Serve until SIGINT, SIGTERM or :meth:`close`. A second signal does not wait for requests in flight."""
        loop = new_event_loop()
        asyncio.set_event_loop(loop)
        # Only the main thread is told of signals.
        in_main_thread = threading.current_thread() is threading.main_thread()
        signals = (signal.SIGINT, signal.SIGTERM) if in_main_thread else ()
        try:
            for each in signals:
                loop.add_signal_handler(each, self.close)
            loop.run_until_complete(self.serve())
        finally:
            for each in signals:
                loop.remove_signal_handler(each)
            asyncio.set_event_loop(None)
            loop.close()

    async def serve(self) -> None:
        """Serve inside a running event loop until :meth:`close`.

        Raises:
            RuntimeError: the app is closed, or served already.

        """
        self._alive()
        if self._loop is not None:
            message = "the app is served already"
            raise RuntimeError(message)
        loop = self._loop = asyncio.get_running_loop()
        self._stopped = loop.create_future()
        self._runner = CoroutineRunner(loop)
        detach: Optional[Callable[[], None]] = None
        try:
            await self._run_lifecycle(self._start_handlers)
            detach = attach(loop)
            await self._stopped
            await self._drain(loop)
        finally:
            lib.sk_app_close(self._native)
            await self._runner.close()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._run_lifecycle(self._shutdown_handlers)
            if detach is not None:
                detach()
            lib.sk_app_destroy(self._native)
            self._native = 0
            self._loop = None

    async def _run_lifecycle(self, handlers: list[Lifecycle]) -> None:
        if self._lifespan:
            for handler in handlers:
                result = handler()
                if inspect.isawaitable(result):
                    await result

    async def _drain(self, loop: asyncio.AbstractEventLoop) -> None:
        self._drained = loop.create_future()
        if lib.sk_app_drain(self._native) == 0:
            return
        try:
            await asyncio.wait_for(asyncio.shield(self._drained), self._shutdown_timeout)
        except asyncio.TimeoutError:
            logger.warning("%d connections did not end in time and are cut", lib.sk_app_connections(self._native))

    def _on_drained(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def close(self) -> App:
        """Stop serving: requests in flight may finish. A second call does not wait for them. Thread-safe."""
        loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(self._stop)
        elif self._native:
            lib.sk_app_destroy(self._native)
            self._native = 0
        return self

    def _stop(self) -> None:
        if self._stopped is not None and not self._stopped.done():
            self._stopped.set_result(None)
        else:
            self._on_drained()

    @property
    def loop(self) -> Optional[asyncio.AbstractEventLoop]:
        """The event loop that serves the app, or None."""
        return self._loop

    def get_native_handle(self) -> int:
        """Give the address of the native app; 0 when it is closed."""
        return self._native


def _not_found(res: Response, _req: Request) -> None:
    res.write_status(404).end(b"Not Found")


def _unanswered() -> RuntimeError:
    return RuntimeError("a handler returned without answering, and nothing holds its response")


def _send_error(handle: int) -> None:
    head = b"500 Internal Server Error"
    lib.sk_res_send(handle, head, len(head), 0, head[4:], len(head) - 4, 0)


def _raise_listen_error(code: int, config: AppListenOptions) -> None:
    where = f"Unix socket {config.domain!r}" if config.domain is not None else f"{config.host or '*'}:{config.port}"
    if code <= _RESOLVER_ERROR_BASE:
        message = f"cannot listen on {where}: no such host: {config.host!r}"
        raise socket.gaierror(code - _RESOLVER_ERROR_BASE, message)
    number = -code
    message = f"cannot listen on {where}: {os.strerror(number)}"
    if number == errno.EADDRINUSE:
        message = f"cannot listen on {where}: the address is taken"
    raise OSError(number, message)
