"""The life of an app: listening, being served, and stopping."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import signal
import threading
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Callable, Optional, Protocol

from ..loop.coroutines import new_task
from ..loop.current_loop import take_loop
from ..loop.loop_thread import LoopThread
from ..native import abi, lib
from ..system.stop_signals import StopSignals
from ..system.worker import announce_ready, ask_for_successor, begin_beats, count_report, is_replaced
from .bridge import Loop
from .core import Core
from .drain import Drain
from .in_flight import describe_in_flight
from .mistakes import check_takes
from .stopping import LifecycleHandler, Stop, end_loop

logger = logging.getLogger("socketify")


#: Seconds that a service gets for its stop, at least and at most.
_SERVICE_LEAST_SECONDS = 1.0
_SERVICE_MAX_SECONDS = 2.0


class Service(Protocol):
    """What an app needs as long as it is served."""

    async def start(self) -> None:
        """Start; what it raises ends the app."""

    async def stop(self, seconds: float) -> None:
        """Stop within about so many seconds, also when it did not start."""


class Lifecycle:
    """The phases of an app: it is made, listens, is served, drains, and is closed, in this order, once.

    Args:
        core: of the app.
        lifespan: whether start and shutdown handlers run.
        shutdown_timeout: seconds that a stop may take: requests in flight, tasks, and shutdown handlers.

    """

    def __init__(self, core: Core, lifespan: bool, shutdown_timeout: float) -> None:
        self._core = core
        self._lifespan = lifespan
        self._shutdown_timeout = shutdown_timeout
        #: What SIGHUP and SIGUSR1 do; None to leave their default.
        self.on_hangup: Optional[Callable[[], None]] = None
        #: Called when the app is served.
        self.on_served: Callable[[], object] = lambda: None
        #: What SIGUSR1 does besides.
        self.on_reopen: list[Callable[[], None]] = []
        #: What is started before the app is served, and stopped last.
        self.services: list[Service] = []
        self._start_handlers: list[LifecycleHandler] = []
        self._shutdown_handlers: list[LifecycleHandler] = []
        # Set when it is served.
        self._stopping: Optional[Stop] = None
        self._drained: Optional[asyncio.Future[None]] = None
        self._is_stopping = False
        self._is_unwanted = False
        #: The lives of the apps of other threads that are served together with this one: each stops when one does.
        self.others: Sequence[Lifecycle] = ()
        #: Done when those ended that :meth:`run` has to outlive, as it passes signals on to them.
        self.outlived: Sequence[concurrent.futures.Future[None]] = ()

    def add_start_handler(self, handler: LifecycleHandler) -> None:
        """Run a function before the first request."""
        self._start_handlers.append(_checked(handler))

    def add_shutdown_handler(self, handler: LifecycleHandler) -> None:
        """Run a function after the last request."""
        self._shutdown_handlers.append(_checked(handler))

    def check_may_listen(self) -> None:
        """Raise a RuntimeError when the app is closed, or stops."""
        self._core.alive()
        if self._is_stopping:
            message = "the app stops: it cannot listen any more"
            raise RuntimeError(message)

    def run(self, loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> Optional[int]:
        """Serve until SIGINT, SIGTERM or :meth:`close`.

        Args:
            loop_factory: makes the event loop, unless the program has one already, with tasks that it began before.

        Returns:
            The number of the signal that stopped it, None when it was :meth:`close`.

        """
        loop = take_loop(loop_factory)
        asyncio.set_event_loop(loop)
        others: dict[int, Callable[[], Any]] = {}
        if self.on_hangup is not None:
            others[signal.SIGHUP] = others[signal.SIGUSR1] = partial(self._for_all, Lifecycle._hang_up)
        if self.on_reopen:
            others[signal.SIGUSR1] = partial(self._for_all, Lifecycle._reopen)
        if signal.getsignal(signal.SIGUSR2) in (signal.SIG_DFL, signal.SIG_IGN):
            others[signal.SIGUSR2] = partial(self._for_all, Lifecycle._report)
        signals = StopSignals(loop, self._on_signal, others)
        try:
            signals.install()
            try:
                serving = new_task(loop, self._serve_before_others_end())
                # After its first step, from which on it can be stopped.
                loop.call_soon(signals.answer)
                loop.run_until_complete(serving)
            finally:
                loop.run_until_complete(new_task(loop, end_loop(loop, self._stopping or Stop(loop, self._shutdown_timeout))))
        finally:
            signals.restore()
            asyncio.set_event_loop(None)
            # A task that did not end when it was cancelled may serve still.
            LoopThread.current().release(loop)
            loop.close()
        return signals.caught

    async def _serve_before_others_end(self) -> None:
        try:
            await self.serve()
        finally:
            self._stop_others()
            if self.outlived:
                await asyncio.wait([asyncio.wrap_future(each) for each in self.outlived])

    def _for_all(self, function: Callable[[Lifecycle], None]) -> None:
        """Do something that a signal asks for, here and in the threads of the others."""
        function(self)
        for each in self.others:
            each.soon(function, each)

    def soon(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function in the loop that serves the app, if one does. Any thread may call this."""
        loop = self._core.loop
        if loop is not None:
            # It may be closed in the meantime.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(function, *arguments)

    def _report(self) -> None:
        """Log what is in flight."""
        core, loop = self._core, asyncio.get_running_loop()
        connections = lib.sk_app_connections(core.native) if core.native else 0
        # Of those that serve together the first one tells of all threads.
        is_first = not self.others or bool(self.outlived)
        of = f"{threading.current_thread().name}: " if self.others else ""
        logger.warning("%s%s", of, describe_in_flight(loop, connections, len(core.live), is_first))
        # Where this fails, the supervisor logs the stacks.
        count_report()

    def close_after(self, requests: int) -> None:
        """Stop after so many more requests; see :meth:`socketify.App.close_after`."""
        if not isinstance(requests, int) or isinstance(requests, bool) or requests < 1:
            message = f"close_after takes an int of 1 or more, not {requests!r}"
            raise ValueError(message)

        def leave() -> None:
            if not ask_for_successor():
                self.close()

        callback = abi.DrainedCallback(leave)
        self._core.callbacks.append(callback)
        self._core.configure(lambda native: lib.sk_app_limit_requests(native, requests, callback))

    def _hang_up(self) -> None:
        if self.on_hangup is not None and self._core.native:
            self.on_hangup()

    def _reopen(self) -> None:
        for each in self.on_reopen:
            each()
        self._hang_up()

    def _on_signal(self) -> None:
        stopping = self._stopping
        if stopping is None:
            return
        is_first = not stopping.asked.done()
        stopping.ask(by_signal=True)
        for each in self.others:
            if is_first:
                each.stop()
            else:
                each.hurry(by_signal=True)

    async def serve(self) -> None:
        """Serve inside a running event loop until :meth:`close`.

        Raises:
            RuntimeError: the app is closed, or served already.
            BaseException: what a start or shutdown handler raised, when everything is released.

        """
        core = self._core
        core.alive()
        if core.loop is not None:
            message = "the app is served already"
            raise RuntimeError(message)
        loop = asyncio.get_running_loop()
        core.stay(loop)
        stop = self._stopping = Stop(loop, self._shutdown_timeout)
        if self._is_unwanted:
            stop.ask()
        detach: Optional[Callable[[], None]] = None
        end_beats: Optional[Callable[[], None]] = None
        handlers = (self._start_handlers, self._shutdown_handlers) if self._lifespan else ((), ())
        may_end: Iterable[LifecycleHandler] = ()
        try:
            if await stop.start(each.start for each in self.services):
                may_end = handlers[1]
                if await stop.start(handlers[0]):
                    detach = Loop.attach(loop)
                    end_beats = begin_beats(loop)
                    announce_ready()
                    self.on_served()
                    await stop.asked
                    self._stop_others()
                    await self._drain(loop, stop)
        except BaseException as error:
            stop.fail(error)
            self._stop_others()
        try:
            await self._end(stop, may_end)
            await self._stop_services(stop)
        finally:
            core.end_serving()
            if detach is not None:
                detach()
            if end_beats is not None:
                end_beats()
            core.loop = None
        failure = stop.take_failure()
        if failure is not None:
            try:
                raise failure
            finally:
                # The error refers to this frame.
                failure = None

    async def _end(self, stop: Stop, handlers: Iterable[LifecycleHandler]) -> None:
        core = self._core
        lib.sk_app_close(core.native)
        assert core.runner is not None
        try:
            await stop.cancel(core.runner.take_all() | core.tasks)
        except BaseException as error:
            stop.fail(error)
        await stop.end(handlers)

    async def _stop_services(self, stop: Stop) -> None:
        for each in self.services:
            try:
                await each.stop(min(max(stop.remaining(), _SERVICE_LEAST_SECONDS), _SERVICE_MAX_SECONDS))
            except BaseException as error:
                # Also when it is cancelled: the other services are stopped all the same.
                stop.fail(error)

    async def _drain(self, loop: asyncio.AbstractEventLoop, stop: Stop) -> None:
        core = self._core
        core.stop_listening()
        self._drained = loop.create_future()
        drain = Drain(core.native, core.live, core.fail, stop)
        if not await drain.run(self._drained, is_replaced()):
            logger.warning("%d connections did not end in time and are cut", lib.sk_app_connections(core.native))
            return
        # Tasks of handlers that go on after they answered.
        assert core.runner is not None
        await stop.wait_for_requests(core.runner.running | core.tasks, stop.remaining(reserved=True))

    def on_drained(self) -> None:
        """Handle native code's event that the last connection is closed."""
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def stop(self) -> None:
        """Stop serving, unless that is requested already; at once where it begins only. Any thread may call this."""
        self._is_unwanted = True
        self.soon(self._ask_once)

    def hurry(self, by_signal: bool = False) -> None:
        """Do not wait for requests in flight any more; see :meth:`Stop.ask`. Any thread may call this."""
        self._is_unwanted = True
        self.soon(self._ask_again, by_signal)

    def _ask_once(self) -> None:
        if self._stopping is not None and not self._stopping.asked.done():
            self._stopping.ask()

    def _ask_again(self, by_signal: bool) -> None:
        self._ask_once()
        if self._stopping is not None:
            self._stopping.ask(by_signal)

    def _stop_others(self) -> None:
        for each in self.others:
            each.stop()

    def close(self) -> None:
        """Stop serving: requests in flight may finish. A second call does not wait for them. Any thread may call this.

        An app that nobody serves is closed at once.
        """
        loop = self._core.loop
        if loop is not None:
            assert self._stopping is not None
            self._is_stopping = True
            loop.call_soon_threadsafe(self._stopping.ask)
        elif self._core.native:
            self._is_stopping = True
            self._core.close_unserved()


def _checked(handler: LifecycleHandler) -> LifecycleHandler:
    if not callable(handler):
        message = f"a start or shutdown handler must be callable without arguments, not {handler!r}"
        raise TypeError(message)
    check_takes(handler, "handler")
    return handler
