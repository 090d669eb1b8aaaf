"""The core of an app: the one owner of its native side, its thread, its event loop, and the exchanges in progress."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys
import warnings
from asyncio import _get_running_loop
from collections.abc import Coroutine
from typing import Any, Callable, Optional, Union

from ..loop.backend import open_loop
from ..loop.coroutines import CoroutineRunner, new_task
from ..loop.current_loop import loop_to_come
from ..loop.loop_thread import LoopThread, scratch_view
from ..native import abi, lib, request_handler
from .counting import Counting
from .forgotten import forgotten_among
from .listeners import Listener, listen_error
from .live import LiveExchanges, LiveReference, NativeEvents
from .mistakes import refuse_awaitable
from .outcome import Outcome

#: A function that sets up a native app; called with its address.
Setting = Callable[[int], object]


class Core:
    """What the parts of an app share. They refer to it, and it knows none of them.

    The native app belongs to one thread, whose native loop has its connections. It is set up as the app is, and made again in
    the thread that turns out to serve it. It is destroyed once, as the last of all, when no native code is running.

    Args:
        debug: whether error pages show the error.

    """

    # Of the class until an app needs others: CPython finds the methods of an object a slower way once it has 30 attributes.
    template: Any = None
    is_secure = False
    trusts_proxies = False
    #: The field that has the names of requests, which logs say; empty where they have none.
    request_id_field = ""
    #: Connections begin with a header of the PROXY protocol.
    reads_proxy_headers = False

    def __init__(self, debug: bool) -> None:
        #: The address of the native app; 0 before it is made, and once it is closed. Set first, as `__del__` reads it.
        self.native = 0
        self.home = LoopThread.current()
        if self.home.loop is None:
            self.home.run_pending()
        #: The thread whose loop has the connections, and the buffer in which native code returns text there.
        self.thread = self.home.ident
        self.view = scratch_view()
        #: The event loop while the app is served, and what runs the coroutines of handlers on it.
        self.loop: Optional[asyncio.AbstractEventLoop] = None
        self.runner: Optional[CoroutineRunner] = None
        #: What native code knows the runner by, which fills it.
        self.runner_state: list[Any] = []
        #: Of coroutines that the runner did not begin.
        self.tasks: set[asyncio.Task[Any]] = set()
        self.live: LiveExchanges = {}
        #: What finds those that nobody can end any more.
        self.forgotten = forgotten_among(self.live)
        #: What native code calls about them.
        self.events = NativeEvents(self.live, self)
        #: Responses by handle that nothing else may hold, until their events have happened.
        self.kept: dict[int, object] = {}
        self.new_response: Callable[[int], Any] = _no_response
        #: Returns the app, for its handlers; the core does not keep it alive.
        self.app: Callable[[], Any] = _no_app
        self.outcome = Outcome(self, debug)
        #: Called with the reference to a response that nothing else refers to any more; the same object for all of them.
        self.on_dropped = self._on_dropped
        #: How websockets publish if that goes to other processes, too: topic, message, opcode, whether to compress.
        self.publish: Optional[Callable[[str, Any, Any, bool], bool]] = None
        #: Gets what they have published to this process: topic, data, flags (WS_*).
        self.relay: Optional[Callable[[str, bytes, int], object]] = None
        #: Lets it count for metrics; None while nobody asked for that.
        self.counting: Optional[Counting] = None
        #: Whether it stops: it takes no new connections.
        self.is_stopping = False
        #: The JSON serializer.
        self.dumps: Callable[[Any], Union[str, bytes]] = json.dumps
        self.loads: Callable[[bytes], Any] = json.loads
        #: Everything that native code calls must live as long as the native app.
        self.callbacks: list[object] = []
        self.listeners: list[Listener] = []
        # How the native app was made and set up, while it may have to be made again.
        self._settings: list[Setting] = []
        self._options: Optional[abi.AppOptionsStruct] = None

    # ---- the native app

    def open(self, options: abi.AppOptionsStruct) -> None:
        """Make the native app.

        Raises:
            RuntimeError: memory is exhausted, or the native side refuses an option.

        """
        self._options = options
        self.native = self._make()

    def _make(self) -> int:
        open_loop()
        native = lib.sk_app_create(self._options)
        if not native:
            message = "cannot create the native app: server_header is longer than 128 bytes, or memory is exhausted"
            raise RuntimeError(message)
        return int(native)

    def alive(self) -> int:
        """Return the address of the native app.

        Raises:
            RuntimeError: it is closed.

        """
        if not self.native:
            message = "the app is closed"
            raise RuntimeError(message)
        return self.native

    def configure(self, setting: Setting) -> None:
        """Set up the native app, and the one that may take its place in another thread.

        Raises:
            RuntimeError: the app is closed, or the thread that serves it does not answer in time.

        """
        self.alive()
        if not self.home.is_current:
            if self.accepts():
                self.home.ask(self.configure, setting)
                return
            self.move_here()
        setting(self.native)
        if self.loop is None:
            self._settings.append(setting)

    def count(self) -> Counting:
        """Count from now on, in memory that other processes read.

        Raises:
            RuntimeError: the app is closed, or the thread that serves it does not answer in time.

        """
        if self.counting is None:
            self.counting = Counting(self)
        return self.counting

    def route(self, method: str, path: str, callback: Callable[[int], int], hostname: str = "") -> None:
        """Route to a function that gets the handle of the response, and returns 1 to pass the request on.

        Args:
            method: of the requests; ``*`` for all.
            path: a pattern; see :meth:`socketify.App.get`.
            callback: is called by native code.
            hostname: of the requests; empty for all.

        """
        function, address = request_handler(callback)
        self.callbacks += (callback, function)
        place = route_place(hostname, method, path)
        self.configure(lambda native: lib.sk_app_route(native, *place, function, address))

    def accepts(self) -> bool:
        """Return whether a loop drives the native app, and may call handlers at any time."""
        return self.loop is not None or any(each.is_registered for each in self.listeners)

    def move_here(self) -> None:
        """Move the app to this thread."""
        self.alive()
        here, before = LoopThread.current(), self.home
        if here is before:
            return
        if before.process != here.process:
            # This is the child of a fork; the parent keeps serving.
            for each in self.listeners:
                each.is_registered = False
        elif any(each.is_registered for each in self.listeners):
            before.ask(self.loop_detached)
        before.tenants.discard(self)
        self.home, self.thread, self.view = here, here.ident, scratch_view()
        former, self.native = self.native, self._make()
        for setting in self._settings:
            setting(self.native)
        if before.process == here.process:
            before.call_soon(_destroy, before, former)
        self._become_tenant()

    def stay(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take note that the event loop of this thread serves the app, which stays in this thread from now on."""
        self.move_here()
        self._settings.clear()
        self.loop = loop
        self.runner = CoroutineRunner(loop, self.runner_state)

    # ---- listening

    def listen(self, listener: Listener) -> None:
        """Accept what a listener gets, as soon as a loop drives the native app."""
        self.listeners.append(listener)
        self.home.tenants.add(self)
        if self.home.loop is not None:
            if self.home.is_current:
                self.loop_attached()
            else:
                self.home.call_soon(self.loop_attached)

    def _become_tenant(self) -> None:
        if self.listeners:
            self.home.tenants.add(self)
            if self.home.loop is not None:
                self.home.call_soon(self.loop_attached)

    def loop_attached(self) -> None:
        """Accept connections, as something drives the thread's native loop from now on."""
        for each in self.listeners:
            if self.native and not each.is_registered and each.fd >= 0:
                result = lib.sk_app_listen_fd(self.native, each.fd, each.is_shared)
                if result < 0:
                    raise listen_error(OSError(-result, os.strerror(-result)), each.config)
                each.is_registered = True
        if self.counting is not None and self.native:
            self.counting.enter(abi.PHASE_SERVING)

    def loop_detached(self) -> None:
        """Accept no connections, but keep listening, as nothing drives the thread's native loop from now on."""
        if self.native:
            lib.sk_app_stop_listening(self.native)
        for each in self.listeners:
            each.is_registered = False

    def stop_listening(self) -> None:
        """Close the listening sockets; native code closes its duplicates itself."""
        self.is_stopping = True
        if self.counting is not None:
            self.counting.enter(abi.PHASE_DRAINING)
        self.home.tenants.discard(self)
        for each in self.listeners:
            each.close()

    # ---- the end

    def end_serving(self) -> None:
        """Destroy the native app at the end of its serving."""
        self.stop_listening()
        native, self.native = self.native, 0
        if self.counting is not None:
            self.counting.end()
        _destroy(self.home, native)

    def close_unserved(self) -> None:
        """Close an app that nobody serves: at once, or in the next turn of the loop that drives its connections."""
        native, self.native = self.native, 0
        self._settings.clear()
        self.stop_listening()
        if self.counting is not None:
            self.counting.end()
        if self.home.is_current and self.home.loop is None:
            _destroy(self.home, native)
        else:
            self.home.call_soon(_destroy, self.home, native)

    def __del__(self) -> None:
        """Close an app that was dropped without being closed, whichever thread collects it."""
        if not self.native or sys.is_finalizing():
            return
        listeners = self.listeners
        self.close_unserved()
        if listeners:
            places = ", ".join(each.where for each in listeners)
            message = f"an app that listens on {places} was dropped without close()"
            warnings.warn(message, ResourceWarning, stacklevel=2, source=self)

    # ---- exchanges

    def forget(self, handle: int) -> None:
        """Stop passing on events of an exchange, as it has ended."""
        self.live.pop(handle, None)
        self.kept.pop(handle, None)

    def forward(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function in the app's thread, after all that was forwarded before. Any thread may call this.

        Raises:
            RuntimeError: nothing serves the app any more.

        """
        home = self.home
        if home.loop is None:
            message = "nothing serves the app: what another thread sends or closes has no way to its connections"
            raise RuntimeError(message)
        home.call_soon(function, *arguments)

    def guard(self, res: Any, function: Callable[..., Any], *arguments: Any) -> bool:
        """Call a user's function whose result nobody waits for.

        Args:
            res: the response that an error is answered with, or None.
            function: may be a coroutine function.
            *arguments: of the function.

        Returns:
            False when it failed.

        """
        try:
            result = function(*arguments)
            if inspect.iscoroutine(result):
                self.run_async(result, res)
        except BaseException as error:  # most callers are called by native code
            self.fail(error, res)
            return False
        return True

    def encoded(self, message: Any) -> tuple[bytes, bool]:
        """Return the bytes of what a user sends, and whether they are JSON.

        Args:
            message: str (sent as UTF-8), bytes, bytearray, memoryview, None for nothing, or any object for the serializer.

        """
        if type(message) is not dict:
            if isinstance(message, str):
                return message.encode(), False
            if isinstance(message, (bytes, bytearray, memoryview)):
                return bytes(message), False
            if message is None:
                return b"", False
        try:
            text = self.dumps(message)
        except Exception:
            refuse_awaitable(message)
            raise
        return text.encode() if isinstance(text, str) else text, True

    # ---- errors

    def fail(self, error: BaseException, res: Any = None, req: Any = None) -> None:
        """Report an error and answer for it; see :class:`Outcome`."""
        self.outcome.fail(error, res, req)

    def fail_exchange(self, handle: int, error: BaseException, what: str = "a handler failed") -> None:
        """Let an exchange fail whose handler may be waiting: for the handler it is as if the client had left."""
        try:
            reference = self.live.pop(handle, None)
            exchange = reference() if reference is not None else None
            if exchange is not None:
                exchange.on_failure()
        except BaseException as another:  # native code is the caller
            self.fail(another)
        self.outcome.fail_handle(error, handle, what)

    def _on_dropped(self, reference: LiveReference) -> None:
        if self.live.pop(reference.handle, None) is not None:
            self.outcome.drop(reference.handle)

    # ---- coroutines and tasks

    def runner_for(self, coroutine: Coroutine[Any, Any, Any]) -> CoroutineRunner:
        """Return what runs a handler's coroutine.

        Raises:
            RuntimeError: no event loop serves the app; the coroutine is closed.

        """
        if self.runner is None:
            coroutine.close()
            message = "no event loop is running"
            raise RuntimeError(message)
        return self.runner

    def run_async(self, coroutine: Any, response: Any = None) -> asyncio.Future[Any]:
        """Run a coroutine, whose first step is made at once; an error in it is answered with that response.

        Before the app is served, it is made when the loop runs that will serve it; called by an application of WSGI, for which
        no loop runs, when that returns.

        Returns:
            Its task if it waits; a future that is done if not.

        Raises:
            RuntimeError: the app is closed, or another thread than the app's calls.
            TypeError: it is not awaitable.

        """
        self._check_run_async(coroutine)
        exchange = None if response is None else response.exchange_
        if exchange is not None and exchange.handle:
            # The coroutine holds it.
            exchange.follow(response)
        loop = self.loop or loop_to_come()
        future = loop.create_future()

        async def guarded() -> Any:
            result = None
            try:
                result = await coroutine
            except BaseException as error:  # a task would throw some of these out of the loop
                is_cancelled = isinstance(error, asyncio.CancelledError)
                if (exchange is not None and exchange.handle) or not (is_cancelled and _was_cancelled(asyncio.current_task())):
                    self.fail(self.ended_by(error), response)
                if is_cancelled:
                    raise
            future.set_result(result)
            return result

        running = guarded()
        if self.runner is None or _get_running_loop() is None:
            # The loop does not run yet, or is hidden from an application of WSGI.
            task = new_task(loop, running)
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
            return task
        try:
            waits = self.runner.begin(running)
        except asyncio.CancelledError:
            future.cancel()
            return future
        if waits is None:
            return future
        if exchange is not None:
            exchange.preserve()
        return self.runner.carry_on(running, waits, _ignore)

    def _check_run_async(self, coroutine: Any) -> None:
        if not inspect.isawaitable(coroutine):
            message = f"run_async takes a coroutine, not {type(coroutine).__name__}"
            raise TypeError(message)
        if not self.native or not self.home.is_current:
            _close(coroutine)
            message = (
                "run_async was called from another thread than the app's: use asyncio.run_coroutine_threadsafe(...)"
                if self.native
                else "run_async: the app is closed"
            )
            raise RuntimeError(message)

    def ended_by(self, error: BaseException) -> BaseException:
        """Return what ended a coroutine: the error, or a StoppedError when the server stops."""
        return error if self.runner is None else self.runner.outcome_of(error)


def route_place(hostname: str, method: str, path: str) -> tuple[Union[bytes, int], ...]:
    """Return the place of a route as arguments of the native side: the bytes of each text, and their number."""
    return tuple(part for text in (hostname, method, path) for part in (text.encode(), len(text.encode())))


def _destroy(home: LoopThread, native: int) -> None:
    """Destroy a native app, in its own thread; later if native code is running, as that may call the app until then."""
    if lib.sk_app_destroy(native) == abi.BUSY:
        home.call_soon(_destroy, home, native)


def _close(coroutine: Any) -> None:
    if inspect.iscoroutine(coroutine):
        coroutine.close()


def _ignore(_error: BaseException) -> None:
    """Do nothing about the cancellation of a task."""


def _was_cancelled(task: Optional[asyncio.Task[Any]]) -> bool:
    """Return whether the task itself was cancelled, and not something it waited for; before CPython 3.11 that is assumed."""
    cancelling = getattr(task, "cancelling", None)
    return cancelling is None or cancelling() > 0


def _no_response(_handle: int) -> Any:
    message = "the app has no responses yet"
    raise RuntimeError(message)


def _no_app() -> Any:
    """Return no app: the core is used by itself."""
    return None
