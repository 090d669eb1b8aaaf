"""Signals that are for a supervisor, in a process that has none."""

from __future__ import annotations

import contextlib
import logging
import signal

logger = logging.getLogger("socketify")

_COUNTS = (signal.SIGTTIN, signal.SIGTTOU)


def ignore_counts() -> None:
    """Let SIGTTIN and SIGTTOU, by which a supervisor adds a worker or takes one away, do nothing; the first one is logged.

    By default they would stop the process.
    """
    for number in _COUNTS:
        # Threads cannot handle signals.
        with contextlib.suppress(ValueError):
            signal.signal(number, _say_once)


def _say_once(number: int, _frame: object) -> None:
    # From now on, so that a terminal that sends one gives an error to who reads it in the background.
    for each in _COUNTS:
        signal.signal(each, signal.SIG_IGN)
    logger.warning("%s is ignored: a process without a supervisor has no other workers", signal.Signals(number).name)
