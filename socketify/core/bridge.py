"""The bridge between asyncio and the native loop of an app's thread."""

from __future__ import annotations

import asyncio
from typing import Any, Callable, Optional

from ..loop.backend import loop_backend, open_loop
from ..loop.current_loop import expect_loop, loop_to_come
from ..loop.loop_thread import LoopThread
from ..native import lib
from .core import Core


class Loop:
    """The event loop of an app: asyncio's (or uvloop's) drives the native one of the same thread.

    Args:
        core: of the app.

    Raises:
        TypeError: a program makes it: it belongs to an app.

    """

    def __init__(self, core: Optional[Core] = None) -> None:
        if not isinstance(core, Core):
            message = "a Loop belongs to an app: use app.loop"
            raise TypeError(message)
        self._core = core

    @property
    def loop(self) -> Optional[asyncio.AbstractEventLoop]:
        """The asyncio loop that serves the app.

        Before that, in the thread of the app, it is the one that will: the current one of the thread, or a new one, which
        becomes current. None when the app is closed, or in other threads.
        """
        core = self._core
        return loop_to_come() if core.loop is None and core.native and core.home.is_current else core.loop

    def is_running(self) -> bool:
        """Return whether the app is served."""
        return self._core.loop is not None

    @property
    def backend(self) -> str:
        """What watches the connections of this thread: ``"io_uring"``, ``"epoll"`` or ``"kqueue"``."""
        return loop_backend()

    @property
    def started(self) -> bool:
        """Whether the app is served, as :meth:`is_running` tells."""
        return self.is_running()

    def create_future(self) -> asyncio.Future[Any]:
        """Make a future of the loop.

        Raises:
            RuntimeError: the app is closed, or another thread than the app's calls.

        """
        return self._found("create_future").create_future()

    def run_async(self, coroutine: Any, response: Any = None) -> asyncio.Future[Any]:
        """Run a coroutine, as :meth:`socketify.App.run_async` does."""
        return self._core.run_async(coroutine, response)

    def ensure_future(self, coroutine: Any, response: Any = None) -> asyncio.Future[Any]:
        """Do the same as :meth:`run_async`."""
        return self._core.run_async(coroutine, response)

    def create_task(self, coroutine: Any, response: Any = None) -> asyncio.Future[Any]:
        """Do the same as :meth:`run_async`."""
        return self._core.run_async(coroutine, response)

    def create_background_task(self, task: Callable[[], Any]) -> asyncio.Future[Any]:
        """Run a coroutine function without arguments, or a coroutine, as :meth:`run_async` does."""
        return self._core.run_async(task() if callable(task) else task)

    def set_timeout(self, timeout: float, callback: Callable[[Any], Any], user_data: Any = None) -> asyncio.TimerHandle:
        """Call a function, sync or async, once after some time; an error in it goes to the error handler.

        Args:
            timeout: milliseconds.
            callback: called as ``callback(user_data)``.
            user_data: for it.

        Returns:
            What cancels it by its method ``cancel()``.

        Raises:
            RuntimeError: the app is closed, or another thread than the app's calls.
            ValueError: timeout is negative.

        """
        if not timeout >= 0:
            message = f"timeout must be milliseconds, 0 or more, not {timeout!r}"
            raise ValueError(message)
        return self._found("set_timeout").call_later(timeout / 1000, self._core.guard, None, callback, user_data)

    def run_until_complete(self, coroutine: Any = None) -> Any:
        """Run the loop until a coroutine has ended, and return its result; without serving the app.

        Raises:
            RuntimeError: the loop runs already, the app is closed, or another thread than the app's calls.

        """
        return self._found("run_until_complete").run_until_complete(_nothing() if coroutine is None else coroutine)

    def run(self) -> None:
        """Serve the app, as :meth:`socketify.App.run` does."""
        self._core.app().run()

    def stop(self) -> None:
        """Stop serving the app, as :meth:`socketify.App.close` does."""
        self._core.app().close()

    def set_event_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Make a loop current in this thread, before the app is served: it will serve the app.

        Raises:
            RuntimeError: the app is served already.

        """
        if self._core.loop is not None:
            message = "set_event_loop: the app is served by a loop already"
            raise RuntimeError(message)
        asyncio.set_event_loop(loop)
        expect_loop(loop)

    def _found(self, what: str) -> asyncio.AbstractEventLoop:
        loop = self.loop
        if loop is None:
            message = f"{what}: the app is closed, or this is another thread than the app's"
            raise RuntimeError(message)
        return loop

    def get_native_handle(self) -> int:
        """Return the descriptor that is readable when the native loop of this thread has something to do."""
        open_loop()
        return int(lib.sk_loop_fd())

    @staticmethod
    def attach(loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
        """Let an asyncio loop drive the native loop of this thread: no polling, no timers.

        Returns:
            A function that ends this.

        """
        return LoopThread.current().attach(loop)


async def _nothing() -> None:
    """End at once."""
