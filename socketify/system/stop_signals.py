"""What SIGINT and SIGTERM do while a program serves with ``run()``."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from typing import Any, Callable, Optional

from .line_writer import flush_line_writers
from .standard_streams import flush_standard_streams

#: Signals that come so soon after each other are one: Ctrl-C, and a signal to a group, reach a worker and its supervisor, which
#: passes it on, and so do programs that start others.
SAME_SECONDS = 0.2
#: How long the loop may take to come to a signal: after that something blocks it, and another signal ends the process.
_BLOCKED_SECONDS = 1.0
#: Stop, do not wait for requests, do not wait for the shutdown handlers: what is left ends the process.
_PATIENCE = 3

_STOPPING = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """Tells an event loop of signals, and remembers which one stopped it.

    While it is installed, ``signal.getsignal(signal.SIGTERM)`` is its method :meth:`handle`, so that libraries can ask what
    they ask of uvicorn, too: ``signal.getsignal(signal.SIGTERM).__self__.should_exit`` (sse-starlette does).

    Only the main thread is told of signals: in others all methods do nothing.

    Args:
        loop: is told.
        stop: called in the loop for every SIGINT and SIGTERM.
        others: what else is called in the loop, by signal.

    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        stop: Callable[[], Any],
        others: Optional[dict[int, Callable[[], Any]]] = None,
    ) -> None:
        #: Whether a signal came that stops the server.
        self.should_exit = False
        self._loop = loop
        self._stop = stop
        self._others = others or {}
        self._previous: dict[int, Any] = {}
        self._caught: Optional[int] = None
        self._came = self._answered = 0
        self._last = 0.0

    def install(self) -> None:
        """Take the signals."""
        if threading.current_thread() is not threading.main_thread():
            return
        # One that came meanwhile would be the loop's already, but not noted: it waits.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
        try:
            for number in (*_STOPPING, *self._others):
                self._previous[number] = signal.getsignal(number)
                self._loop.add_signal_handler(number, self._others.get(number, self.answer))
            for number in _STOPPING:
                # The loop is told by its own descriptor all the same. What blocks is interrupted, and the method called.
                signal.signal(number, self.handle)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def handle(self, number: int, _frame: object = None) -> None:
        """Note a signal, which the loop comes to when it can; who is in its way, or does not end, ends with the process."""
        now = time.monotonic()
        if self._came and now - self._last < SAME_SECONDS:
            return
        blocked = self._came > self._answered and now - self._last >= _BLOCKED_SECONDS
        if blocked or self._came >= _PATIENCE:
            die_of(number)
        if self._caught is None:
            self._caught = number
        self.should_exit = True
        if self._came == self._answered:
            self._came += 1
            self._last = now

    def answer(self) -> None:
        """Stop for a signal that was noted. The loop calls it; for one that came before the loop ran, who runs it does."""
        if self._answered < self._came:
            self._answered = self._came
            self._stop()

    def restore(self) -> None:
        """Hand the signals back to whoever had them."""
        for number, previous in self._previous.items():
            self._loop.remove_signal_handler(number)
            if previous is not None:
                signal.signal(number, previous)
        self._previous.clear()

    @property
    def caught(self) -> Optional[int]:
        """The signal that stopped the loop; None where there was none."""
        return self._caught


def raise_again(number: Optional[int]) -> None:
    """Let a signal do what it would have done without the server; None does nothing.

    Raises:
        KeyboardInterrupt: it was SIGINT, and the program has no handler of its own.

    """
    if number is not None:
        flush_line_writers()
        flush_standard_streams()
        signal.raise_signal(number)


def end_by(number: int) -> None:
    """End the process by a signal, without a traceback; where the program has a handler of its own it is called."""
    flush_line_writers()
    flush_standard_streams()
    if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
        die_of(number)
    signal.raise_signal(number)


def die_of(number: int) -> None:
    """End the process by a signal, as programs end that know nothing of it."""
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
