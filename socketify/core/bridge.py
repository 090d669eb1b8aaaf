"""The bridge between asyncio and the native loop of an app's thread."""

from __future__ import annotations

import asyncio
from typing import Any, Callable, Optional

from ..loop.backend import loop_backend, open_loop
from ..loop.loop_thread import LoopThread
from ..native import lib
from .core import Core


class Loop:
    """The event loop of an app: asyncio's (or uvloop's) drives the native one of the same thread.

    Args:
        core: of the app.

    """

    def __init__(self, core: Core) -> None:
        self._core = core

    @property
    def loop(self) -> Optional[asyncio.AbstractEventLoop]:
        """The asyncio loop that serves the app, or None while it is not served."""
        return self._core.loop

    def is_running(self) -> bool:
        """Return whether the app is served."""
        return self._core.loop is not None

    @property
    def backend(self) -> str:
        """What watches the connections of this thread: ``"io_uring"`` or ``"epoll"``."""
        return loop_backend()

    def create_future(self) -> asyncio.Future[Any]:
        """Make a future of the loop.

        Raises:
            RuntimeError: the app does not run.

        """
        if self._core.loop is None:
            message = "create_future needs a running app"
            raise RuntimeError(message)
        return self._core.loop.create_future()

    def run_async(self, coroutine: Any, response: Any = None) -> asyncio.Future[Any]:
        """Run a coroutine, as :meth:`socketify.App.run_async` does."""
        return self._core.run_async(coroutine, response)

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
