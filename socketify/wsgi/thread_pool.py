"""The threads that call a WSGI application, and the way from them to the thread of the event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from queue import SimpleQueue
from typing import Any, Callable, Optional

from ..core.core import Core

#: Seconds that threads get to finish when the server stops.
_STOP_SECONDS = 5.0
_THREADS_MAX = 1024


def checked_threads(threads: int) -> int:
    """Return a number of threads.

    Raises:
        ValueError: it is not an int in range.

    """
    if not isinstance(threads, int) or isinstance(threads, bool) or not 1 <= threads <= _THREADS_MAX:
        message = f"threads must be an int from 1 to {_THREADS_MAX}, not {threads!r}"
        raise ValueError(message)
    return threads


class ThreadPool:
    """Threads that take work in the order in which it is submitted.

    Args:
        core: of the app that the work is for.
        count: how many threads.

    """

    def __init__(self, core: Core, count: int) -> None:
        self._core = core
        self._count = count
        self._queue: SimpleQueue[Optional[Callable[[], None]]] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        # Calls to make on the loop's thread, each with the handle of its exchange, and whether the loop was woken for them.
        self._posted: deque[tuple[int, Callable[..., object], tuple[Any, ...]]] = deque()
        self._is_awake = False
        #: Let a thread call a function.
        self.submit = self._queue.put

    def start(self) -> None:
        """Start the threads."""
        for number in range(self._count):
            # A daemon, so that an application that hangs does not keep the process from ending.
            thread = threading.Thread(target=self._work, name=f"socketify-wsgi-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def _work(self) -> None:
        self._core.home.employ_caller()
        get = self._queue.get
        while True:
            work = get()
            if work is None:
                return
            work()
            # Drop the reference while waiting for more.
            del work

    async def stop(self) -> None:
        """Let the threads finish their work, within a time-out."""
        for _ in self._threads:
            self._queue.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._join)

    def _join(self) -> None:
        deadline = time.monotonic() + _STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._threads.clear()

    # ---- back to the loop

    def post(self, handle: int, function: Callable[..., object], *arguments: Any) -> bool:
        """Call a function on the loop's thread, soon.

        Args:
            handle: of the response that fails when the function raises.
            function: what to call.
            *arguments: its arguments.

        Returns:
            False when there is no loop any more.

        """
        self._posted.append((handle, function, arguments))
        if not self._is_awake:
            self._is_awake = True
            loop = self._core.loop
            try:
                if loop is None:
                    self._is_awake = False
                    return False
                loop.call_soon_threadsafe(self._call_posted)
            except RuntimeError:
                # The loop was closed in the meantime.
                return False
        return True

    def _call_posted(self) -> None:
        self._is_awake = False
        posted = self._posted
        while posted:
            handle, function, arguments = posted.popleft()
            try:
                function(*arguments)
            except BaseException as error:  # the rest must be called, too
                self._core.fail_exchange(handle, error)
