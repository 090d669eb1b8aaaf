"""A process beside the workers, which is there as long as their supervisor is."""

from __future__ import annotations

import logging
import os
import signal
import time
import traceback
from typing import Any, Callable, Optional

from ..system.line_writer import flush_line_writers
from ..system.parent import end_with_parent, fork
from ..system.processes import end_child, exit_code
from ..system.standard_streams import flush_standard_streams
from .awaited_signals import AwaitedSignals

logger = logging.getLogger("socketify")

#: Seconds before it is started again.
_PAUSE_SECONDS = 1.0
#: Seconds that it gets to end.
_PATIENCE_SECONDS = 2.0


class Companion:
    """Keeps one process alive: whichever way it ends, another one takes its place a second later.

    Args:
        name: what it does, for messages.
        target: called in the process; it serves until SIGTERM.

    """

    def __init__(self, name: str, target: Callable[[], Any]) -> None:
        self._name = name
        self._target = target
        self._pid = 0
        self._due = 0.0

    def start(self, signals: AwaitedSignals) -> None:
        """Start it, or try so again later where the system does not permit that now.

        Args:
            signals: that the supervisor waits for.

        """
        flush_standard_streams()
        parent = os.getpid()
        self._due = 0.0
        try:
            self._pid = fork()
        except OSError as error:
            logger.error("the process for %s cannot be started yet: %s", self._name, error.strerror)  # noqa: TRY400 - it is said
            self._due = time.monotonic() + _PAUSE_SECONDS
            return
        if self._pid:
            return
        status = 1
        try:
            # Signals of a terminal are for the supervisor, after whose workers this ends.
            os.setpgid(0, 0)
            end_with_parent(parent)
            signals.begin_companion()
            self._target()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            flush_line_writers()
            flush_standard_streams()
            os._exit(status)

    def reap(self) -> None:
        """Look whether it ended."""
        if self._pid and exit_code(self._pid) is not None:
            logger.error("the process for %s ended and is replaced in %.1f s", self._name, _PAUSE_SECONDS)
            self._pid = 0
            self._due = time.monotonic() + _PAUSE_SECONDS

    @property
    def due(self) -> Optional[float]:
        """When it has to be started again, by the monotonic clock; None while it is there."""
        return self._due or None

    @property
    def is_due(self) -> bool:
        """Whether it has to be started again now."""
        return bool(self._due) and self._due <= time.monotonic()

    def stop(self) -> None:
        """End it."""
        pid, self._pid = self._pid, 0
        if not pid:
            return
        end_child(pid, _PATIENCE_SECONDS, signal.SIGKILL)
