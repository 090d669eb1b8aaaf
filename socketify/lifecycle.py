"""Listening, running and stopping."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
from typing import Any, Callable, Optional, TypeVar, Union

from .coroutines import CoroutineRunner, new_task
from .descriptors import listen_on
from .drain import Drain
from .event_loop import Loop, new_event_loop
from .exchange import Exchanges
from .native import lib
from .options import AppListenOptions
from .stop_signals import StopSignals, raise_again
from .stopping import LifecycleHandler, Stop, end_loop

logger = logging.getLogger("socketify")

Function = TypeVar("Function", bound=LifecycleHandler)
Self = TypeVar("Self", bound="Lifecycle")

_RESOLVER_ERROR_BASE = -100000


class Lifecycle(Exchanges):
    """The base of an app that can be served.

    Args:
        pool_items: pairs of request and response made in advance.
        debug: whether error pages show the error.
        lifespan: whether start and shutdown handlers run.
        shutdown_timeout: seconds that a stop may take: requests in flight, tasks, and shutdown handlers.

    """

    def __init__(self, pool_items: int, debug: bool, lifespan: bool, shutdown_timeout: float) -> None:
        super().__init__(pool_items, debug)
        self._native = 0
        self._loop = Loop(self)
        self._lifespan = lifespan
        self._shutdown_timeout = shutdown_timeout
        self._on_hangup: Optional[Callable[[], None]] = None
        # Whether others serve already in place of this process, so that it need not hurry.
        self._is_replaced: Callable[[], bool] = bool
        self._start_handlers: list[LifecycleHandler] = []
        self._shutdown_handlers: list[LifecycleHandler] = []
        # From when it is served on.
        self._stopping: Optional[Stop] = None
        self._drained: Optional[asyncio.Future[None]] = None

    def _alive(self) -> int:
        if not self._native:
            message = "the app is closed"
            raise RuntimeError(message)
        return self._native

    def on_start(self, handler: Function) -> Function:
        """Run a function, sync or async, before the first request. Usable as a decorator."""
        self._start_handlers.append(_callable(handler))
        return handler

    def on_shutdown(self, handler: Function) -> Function:
        """Run a function, sync or async, after the last request. Usable as a decorator."""
        self._shutdown_handlers.append(_callable(handler))
        return handler

    def listen(
        self: Self,
        port_or_options: Union[int, AppListenOptions, None] = None,
        handler: Optional[Callable[[AppListenOptions], Any]] = None,
    ) -> Self:
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
        if config.fd is not None:
            listen_on(config.fd)
            port = lib.sk_app_listen_fd(native, config.fd)
        elif config.domain is not None:
            port = lib.sk_app_listen_unix(native, os.fsencode(config.domain))
        else:
            host = None if config.host is None else config.host.encode("idna")
            port = lib.sk_app_listen(native, host, config.port, config.options & 1)
        if port < 0:
            _raise_listen_error(port, config)
        if handler is not None:
            handler(AppListenOptions(port=port, host=config.host, options=config.options, domain=config.domain))
        return self

    def run(self, loop_factory: Callable[[], asyncio.AbstractEventLoop] = new_event_loop) -> None:
        """Serve until SIGINT, SIGTERM or :meth:`close`.

        A second signal does not wait for requests in flight, and ends start and shutdown handlers that wait. The signal that
        stopped it is raised again when all is done: by default SIGTERM then ends the process.

        An app that serves TLS reads its certificates again on SIGHUP and SIGUSR1.

        Args:
            loop_factory: makes the event loop; uvloop's where it is installed, else asyncio's own.

        Raises:
            KeyboardInterrupt: SIGINT stopped it, and the program has no handler of its own.

        """
        raise_again(self._run(loop_factory))

    def _run(self, loop_factory: Callable[[], asyncio.AbstractEventLoop] = new_event_loop) -> Optional[int]:
        """Serve as :meth:`run` does; gives the signal that stopped it, None when it was :meth:`close`."""
        loop = loop_factory()
        asyncio.set_event_loop(loop)
        others: dict[int, Callable[[], Any]] = {}
        if self._on_hangup is not None:
            others = dict.fromkeys((signal.SIGHUP, signal.SIGUSR1), self._on_hangup)
        signals = StopSignals(loop, self._on_signal, others)
        try:
            signals.install()
            try:
                loop.run_until_complete(new_task(loop, self.serve()))
            finally:
                loop.run_until_complete(new_task(loop, end_loop(loop, self._stopping or Stop(loop, self._shutdown_timeout))))
        finally:
            signals.restore()
            asyncio.set_event_loop(None)
            loop.close()
        return signals.caught

    def _on_signal(self) -> None:
        if self._stopping is not None:
            self._stopping.ask(by_signal=True)

    async def serve(self) -> None:
        """Serve inside a running event loop until :meth:`close`.

        Raises:
            RuntimeError: the app is closed, or served already.

        """
        self._alive()
        if self._asyncio_loop is not None:
            message = "the app is served already"
            raise RuntimeError(message)
        loop = asyncio.get_running_loop()
        stop = self._stopping = Stop(loop, self._shutdown_timeout)
        self._asyncio_loop = loop
        self._runner = CoroutineRunner(loop, self._current)
        detach: Optional[Callable[[], None]] = None
        handlers = (self._start_handlers, self._shutdown_handlers) if self._lifespan else ((), ())
        try:
            if await stop.start(handlers[0]):
                detach = self._loop.attach(loop)
                await stop.asked
                await self._drain(loop, stop)
        finally:
            lib.sk_app_close(self._native)
            await stop.cancel(self._runner.take_all() | self._tasks)
            await stop.end(handlers[1])
            if detach is not None:
                detach()
            lib.sk_app_destroy(self._native)
            self._native = 0
            self._asyncio_loop = None

    async def _drain(self, loop: asyncio.AbstractEventLoop, stop: Stop) -> None:
        self._drained = loop.create_future()
        drain = Drain(self._native, self._live, self._fail, stop)
        if not await drain.run(self._drained, self._is_replaced()):
            logger.warning("%d connections did not end in time and are cut", lib.sk_app_connections(self._native))
            return
        # What handlers do after they answered.
        await stop.wait(self._running(), stop.remaining(reserved=True))

    def _running(self) -> set[asyncio.Task[Any]]:
        assert self._runner is not None
        return self._runner.running | self._tasks

    def _on_drained(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def close(self: Self) -> Self:
        """Stop serving: requests in flight may finish. A second call does not wait for them. Thread-safe."""
        loop = self._asyncio_loop
        if loop is not None:
            assert self._stopping is not None
            loop.call_soon_threadsafe(self._stopping.ask)
        elif self._native:
            lib.sk_app_destroy(self._native)
            self._native = 0
        return self

    @property
    def loop(self) -> Loop:
        """The bridge to the event loop that serves the app."""
        return self._loop

    def get_native_handle(self) -> int:
        """Give the address of the native app; 0 when it is closed."""
        return self._native


def _callable(handler: LifecycleHandler) -> LifecycleHandler:
    if not callable(handler):
        message = f"a start or shutdown handler must be callable without arguments, not {handler!r}"
        raise TypeError(message)
    return handler


def _raise_listen_error(code: int, config: AppListenOptions) -> None:
    where = f"Unix socket {config.domain!r}" if config.domain is not None else f"{config.host or '*'}:{config.port}"
    if config.fd is not None:
        where = f"descriptor {config.fd}"
    if code <= _RESOLVER_ERROR_BASE:
        message = f"cannot listen on {where}: no such host: {config.host!r}"
        raise socket.gaierror(code - _RESOLVER_ERROR_BASE, message)
    number = -code
    message = f"cannot listen on {where}: {os.strerror(number)}"
    if number == errno.EADDRINUSE:
        message = f"cannot listen on {where}: the address is taken"
    raise OSError(number, message)
