"""Listening, running and stopping."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import warnings
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, Callable, Optional, TypeVar, Union

from ..loop.coroutines import CoroutineRunner, new_task
from ..loop.event_loop import Loop, new_event_loop
from ..loop.loop_thread import LoopThread
from ..native import lib
from ..native.abi import BUSY
from ..system.stop_signals import StopSignals, raise_again
from .drain import Drain
from .exchange import Exchanges
from .listeners import Listener, listen_error
from .options import AppListenOptions
from .stopping import LifecycleHandler, Stop, end_loop

logger = logging.getLogger("socketify")

Function = TypeVar("Function", bound=LifecycleHandler)
Self = TypeVar("Self", bound="Lifecycle")

#: What sets up a native app: called with it.
Setting = Callable[[int], object]


class Lifecycle(Exchanges):
    """The base of an app that can be served: it is made, listens, is served, drains, and is closed, in this order, once.

    The native app belongs to one thread, whose native loop has its connections. It is set up as the app is, and made anew in
    the thread that turns out to serve it. It is destroyed once, as the last of all, when no native code is running.

    Args:
        pool_items: pairs of request and response made in advance.
        debug: whether error pages show the error.
        lifespan: whether start and shutdown handlers run.
        shutdown_timeout: seconds that a stop may take: requests in flight, tasks, and shutdown handlers.

    """

    # Of an app whose making failed.
    _native = 0

    def __init__(self, pool_items: int, debug: bool, lifespan: bool, shutdown_timeout: float) -> None:
        super().__init__(pool_items, debug)
        if self._home.loop is None:
            self._home.run_pending()
        # While the native app may have to be made anew: how.
        self._settings: list[Setting] = []
        self._listeners: list[Listener] = []
        self._backlog = 0
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
        self._is_stopping = False

    def _alive(self) -> int:
        if not self._native:
            message = "the app is closed"
            raise RuntimeError(message)
        return self._native

    @abstractmethod
    def _make_native(self) -> int:
        """Make the native app of this thread: what :class:`socketify.App` does."""

    def _configure(self, setting: Setting) -> None:
        """Set up the native app, and the one that may take its place in another thread.

        Raises:
            RuntimeError: the app is closed, or another thread serves it and does not get to this.

        """
        self._alive()
        if not self._home.is_current:
            if self._accepts():
                self._home.ask(self._configure, setting)
                return
            self._move_here()
        setting(self._native)
        if self._asyncio_loop is None:
            self._settings.append(setting)

    def _accepts(self) -> bool:
        """Tell whether a loop drives the native app, and may call handlers at any time."""
        return self._asyncio_loop is not None or any(each.is_registered for each in self._listeners)

    def _move_here(self) -> None:
        """Live in this thread from now on."""
        self._alive()
        here, before = LoopThread.current(), self._home
        if here is before:
            return
        if before.process != here.process:
            # The child of a fork: the parent serves on.
            for each in self._listeners:
                each.is_registered = False
        elif any(each.is_registered for each in self._listeners):
            before.ask(self._loop_detached)
        before.tenants.discard(self)
        self._enter_thread(here)
        former, self._native = self._native, self._make_native()
        for setting in self._settings:
            setting(self._native)
        if before.process == here.process:
            before.call_soon(self._destroy_native, before, former)
        self._become_tenant()

    def _become_tenant(self) -> None:
        if self._listeners:
            self._home.tenants.add(self)
            if self._home.loop is not None:
                self._home.call_soon(self._loop_attached)

    def _loop_attached(self) -> None:
        for each in self._listeners:
            if self._native and not each.is_registered and each.fd >= 0:
                result = lib.sk_app_listen_fd(self._native, each.fd, each.is_shared)
                if result < 0:
                    raise listen_error(OSError(-result, os.strerror(-result)), each.config)
                each.is_registered = True

    def _loop_detached(self) -> None:
        if self._native:
            lib.sk_app_stop_listening(self._native)
        for each in self._listeners:
            each.is_registered = False

    def _stop_listening(self) -> None:
        """Close what listens; what native code has a duplicate of, it closes itself."""
        self._home.tenants.discard(self)
        for each in self._listeners:
            each.close()

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
        self._alive()
        if self._is_stopping:
            message = "the app stops: it cannot listen any more"
            raise RuntimeError(message)
        listener = Listener(config, self._backlog)
        self._listeners.append(listener)
        self._home.tenants.add(self)
        if self._home.loop is not None:
            if self._home.is_current:
                self._loop_attached()
            else:
                self._home.call_soon(self._loop_attached)
        if handler is not None:
            handler(AppListenOptions(port=listener.port, host=config.host, options=config.options, domain=config.domain))
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
            BaseException: what a start or shutdown handler raised; see :meth:`serve`.

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
            BaseException: what a start or shutdown handler raised, when everything is released. All shutdown handlers run;
                when several failed, the first error is raised, and the others are logged.

        """
        self._alive()
        if self._asyncio_loop is not None:
            message = "the app is served already"
            raise RuntimeError(message)
        self._move_here()
        # From now on it stays here.
        self._settings.clear()
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
        except BaseException as error:
            stop.fail(error)
        try:
            await self._end(stop, handlers[1])
        finally:
            self._stop_listening()
            native, self._native = self._native, 0
            self._destroy_native(self._home, native)
            if detach is not None:
                detach()
            self._asyncio_loop = None
        failure = stop.take_failure()
        if failure is not None:
            try:
                raise failure
            finally:
                # It refers to this frame.
                failure = None

    async def _end(self, stop: Stop, handlers: Iterable[LifecycleHandler]) -> None:
        lib.sk_app_close(self._native)
        assert self._runner is not None
        try:
            await stop.cancel(self._runner.take_all() | self._tasks)
        except BaseException as error:
            stop.fail(error)
        await stop.end(handlers)

    async def _drain(self, loop: asyncio.AbstractEventLoop, stop: Stop) -> None:
        self._stop_listening()
        self._drained = loop.create_future()
        drain = Drain(self._native, self._live, self._fail, stop)
        if not await drain.run(self._drained, self._is_replaced()):
            logger.warning("%d connections did not end in time and are cut", lib.sk_app_connections(self._native))
            return
        # What handlers do after they answered.
        await stop.wait_for_requests(self._running(), stop.remaining(reserved=True))

    def _running(self) -> set[asyncio.Task[Any]]:
        assert self._runner is not None
        return self._runner.running | self._tasks

    def _on_drained(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def close(self: Self) -> Self:
        """Stop serving: requests in flight may finish. A second call does not wait for them. Thread-safe.

        An app that nobody serves is closed at once. Where the loop of another app of its thread took its connections, they are
        cut in that loop's next turn: a handler that calls this may still answer.
        """
        loop = self._asyncio_loop
        if loop is not None:
            assert self._stopping is not None
            self._is_stopping = True
            loop.call_soon_threadsafe(self._stopping.ask)
        elif self._native:
            self._is_stopping = True
            self._close_unserved()
        return self

    def dispose(self: Self) -> Self:
        """Do the same as :meth:`close`."""
        return self.close()

    def _close_unserved(self) -> None:
        native, self._native = self._native, 0
        self._settings.clear()
        self._stop_listening()
        if self._home.is_current and self._home.loop is None:
            self._destroy_native(self._home, native)
        else:
            self._home.call_soon(self._destroy_native, self._home, native)

    def _destroy_native(self, home: LoopThread, native: int) -> None:
        """Destroy a native app, in its own thread; later when native code is running, which may call this app until then."""
        if lib.sk_app_destroy(native) == BUSY:
            home.call_soon(self._destroy_native, home, native)

    def __del__(self) -> None:
        """Close what was dropped without :meth:`close`. Whatever thread collects it."""
        if not self._native or sys.is_finalizing():
            return
        listeners = self._listeners
        self._close_unserved()
        if listeners:
            places = ", ".join(each.where for each in listeners)
            message = f"an app that listens on {places} was dropped without close()"
            warnings.warn(message, ResourceWarning, stacklevel=2, source=self)

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
