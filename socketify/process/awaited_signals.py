"""The signals that a supervisor waits for, and what they do in the processes that it starts."""

from __future__ import annotations

import contextlib
import signal
from typing import Any, Optional

from .signal_wait import wait_for_signal

#: What workers get, too.
PASSED_ON = (signal.SIGUSR1, signal.SIGUSR2)
#: How many workers there are; the terminal sends these as well, to a job in the background that reads or writes.
_COUNTS = (signal.SIGTTIN, signal.SIGTTOU)
#: How often children are looked for where their end may be told to another thread.
_LOOK_SECONDS = 1.0
_AWAITED = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, *_COUNTS, *PASSED_ON)


class AwaitedSignals:
    """Blocks signals from :meth:`block` to :meth:`restore`, so that none is lost between two calls of :meth:`wait`."""

    def __init__(self) -> None:
        self._mask: set[Any] = set()
        self._on_child: Any = None
        self._hears_children = False

    def block(self) -> None:
        """Begin."""
        self._mask = set(signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED))
        self._on_child = signal.getsignal(signal.SIGCHLD)
        # Whoever started this process may have it ignored, which would let children end without a word. As long as it has its
        # default action, macOS drops it although it is blocked. Only the main thread may ask for another one.
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGCHLD, _on_child)
            self._hears_children = True

    def restore(self) -> None:
        """End."""
        if self._on_child is not None:
            with contextlib.suppress(ValueError):
                signal.signal(signal.SIGCHLD, self._on_child)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def wait(self, seconds: Optional[float]) -> Optional[int]:
        """Return the next signal; None where there is none to obey within so many seconds, which are None for no limit."""
        if not self._hears_children:
            seconds = _LOOK_SECONDS if seconds is None else min(seconds, _LOOK_SECONDS)
        received = wait_for_signal(_AWAITED, seconds)
        if received is None:
            return None
        number, code = received
        # The kernel's own have a positive code.
        return None if number in _COUNTS and code > 0 else number

    def begin_worker(self) -> None:
        """Let a process that was just forked be a worker."""
        for number in _AWAITED:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # Workers that have something to do then handle those that are passed on; the others must not die of them. Of the
        # others a terminal would stop the worker.
        for number in (*PASSED_ON, *_COUNTS):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def begin_companion(self) -> None:
        """Let a process that was just forked end by SIGTERM alone."""
        for number in _AWAITED:
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)


def _on_child(_number: int, _frame: object) -> None:
    """Do nothing: the signal is waited for."""
