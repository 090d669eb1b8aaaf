"""What SIGINT and SIGTERM do while a program serves with ``run()``."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from functools import partial
from typing import Any, Callable, Optional

from .line_writer import flush_line_writers
from .standard_streams import flush_standard_streams

#: Signals that arrive so soon after each other count as one: Ctrl-C, and a signal to a group, reach a worker and its
#: supervisor, which passes it on, as do other programs that start programs.
SAME_SECONDS = 0.2
#: How long the loop may take to handle a signal. After that it counts as blocked, and another signal ends the process.
_BLOCKED_SECONDS = 1.0
#: The first signal stops, the second skips waiting for requests, the third skips shutdown handlers; one more ends the process.
_PATIENCE = 3

_STOPPING = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """Passes signals to an event loop, and remembers which one stopped it.

    While it is installed, ``signal.getsignal(signal.SIGTERM)`` is its method :meth:`handle`, so that libraries can read what
    they read of uvicorn, too: ``signal.getsignal(signal.SIGTERM).__self__.should_exit`` (sse-starlette does).

    Only the main thread gets signals: in others all methods do nothing.

    Args:
        loop: gets the signals.
        stop: called in the loop for every SIGINT and SIGTERM.
        others: what else is called in the loop, by signal.

    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        stop: Callable[[], Any],
        others: Optional[dict[int, Callable[[], Any]]] = None,
    ) -> None:
        #: Whether a signal arrived that stops the server.
        self.should_exit = False
        self._loop = loop
        self._stop = stop
        self._others = others or {}
        self._previous: dict[int, Any] = {}
        self._caught: Optional[int] = None
        self._received = self._answered = 0
        self._last = 0.0

    def install(self) -> None:
        """Install the handlers."""
        if threading.current_thread() is not threading.main_thread():
            return
        # A signal between the two calls would reach the loop without having been noted, so this thread blocks it.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
        try:
            for number in (*_STOPPING, *self._others):
                self._previous[number] = signal.getsignal(number)
                self._loop.add_signal_handler(number, self._others.get(number, partial(self._on_wake, number)))
            for number in _STOPPING:
                # The loop still gets the signal by its descriptor. A handler in Python also interrupts code that blocks.
                signal.signal(number, self.handle)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def handle(self, number: int, _frame: object = None) -> None:
        """Note a signal, which the loop handles when it can; end the process if the loop is blocked or does not end."""
        now = time.monotonic()
        if self._received and now - self._last < SAME_SECONDS:
            return
        blocked = self._received > self._answered and now - self._last >= _BLOCKED_SECONDS
        if blocked or self._received >= _PATIENCE:
            die_of(number)
        if self._caught is None:
            self._caught = number
        self.should_exit = True
        if self._received == self._answered:
            self._received += 1
            self._last = now

    def _on_wake(self, number: int) -> None:
        """Handle a signal that the loop got; it was noted before, unless another thread got it amid :meth:`install`."""
        if not self._received:
            self.handle(number)
        self.answer()

    def answer(self) -> None:
        """Stop for a signal that was noted. The loop calls it; for a signal before that, the code that runs the loop does."""
        if self._answered < self._received:
            self._answered = self._received
            self._stop()

    def restore(self) -> None:
        """Restore the previous handlers."""
        for number, previous in self._previous.items():
            self._loop.remove_signal_handler(number)
            if previous is not None:
                signal.signal(number, previous)
        self._previous.clear()

    @property
    def caught(self) -> Optional[int]:
        """The signal that stopped the loop; None if there was none."""
        return self._caught


def raise_again(number: Optional[int]) -> None:
    """Raise a signal again, to have the effect it would have had without the server; do nothing for None.

    Raises:
        KeyboardInterrupt: it was SIGINT, and the program has no handler of its own.

    """
    if number is not None:
        flush_line_writers()
        flush_standard_streams()
        signal.raise_signal(number)


def end_by(number: int) -> None:
    """End the process by a signal, without a traceback; if the program has its own handler, call that."""
    flush_line_writers()
    flush_standard_streams()
    if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
        die_of(number)
    signal.raise_signal(number)


def die_of(number: int) -> None:
    """End the process by a signal, as it would end programs that do not handle it."""
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
