"""The bridge between asyncio and the native loop of a thread."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Callable, Optional

from ..native import lib
from .backend import loop_backend, open_loop
from .loop_thread import LoopThread

if TYPE_CHECKING:
    from ..core.lifecycle import Lifecycle
    from ..http.connection import Connection


class Loop:
    """The event loop of an app: asyncio's (or uvloop's) drives the native one of the same thread."""

    def __init__(self, app: Lifecycle) -> None:
        self._app = app

    @property
    def loop(self) -> Optional[asyncio.AbstractEventLoop]:
        """The asyncio loop that serves the app, or None while it is not served."""
        return self._app._asyncio_loop

    def is_running(self) -> bool:
        """Tell whether the app is served."""
        return self._app._asyncio_loop is not None

    @property
    def backend(self) -> str:
        """What watches the connections of this thread: ``"io_uring"`` or ``"epoll"``."""
        return loop_backend()

    def create_future(self) -> asyncio.Future[Any]:
        """Make a future of the loop.

        Raises:
            RuntimeError: the app does not run.

        """
        if self._app._asyncio_loop is None:
            message = "create_future needs a running app"
            raise RuntimeError(message)
        return self._app._asyncio_loop.create_future()

    def run_async(self, coroutine: Any, response: Optional[Connection] = None) -> asyncio.Task[Any]:
        """Run a coroutine as a task, as :meth:`socketify.App.run_async` does."""
        return self._app.run_async(coroutine, response)

    def get_native_handle(self) -> int:
        """Give the descriptor that is readable when the native loop of this thread has something to do."""
        open_loop()
        return int(lib.sk_loop_fd())

    @staticmethod
    def attach(loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
        """Let an asyncio loop drive the native loop of this thread: no polling, no timers.

        Returns:
            A function that ends it.

        """
        return LoopThread.current().attach(loop)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Make an event loop: uvloop's where it is installed, else asyncio's own."""
    try:
        import uvloop  # noqa: PLC0415 - it is optional
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
