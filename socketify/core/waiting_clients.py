"""Log messages about clients that wait to be accepted, with the reason."""

from __future__ import annotations

import errno
import logging
import os
import resource
import time
from typing import Callable

logger = logging.getLogger("socketify")

#: Seconds between two lines about the same reason.
INTERVAL = 60.0


class WaitingClients:
    """Logs that clients are not accepted: at once, and then at most once a minute for each reason.

    Args:
        max_connections: the limit that the app has.
        clock: returns seconds.

    """

    def __init__(self, max_connections: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_connections = max_connections
        self._clock = clock
        self._told: dict[int, float] = {}

    def __call__(self, reason: int, waiting: int) -> None:
        """Log it, unless it was logged just now.

        Args:
            reason: 0 for the limit of connections, else the errno of the system's refusal.
            waiting: how many wait; -1 when it is not known.

        """
        now = self._clock()
        if now - self._told.get(reason, -INTERVAL) < INTERVAL:
            return
        self._told[reason] = now
        who = f"{waiting} client{' waits' if waiting == 1 else 's wait'}" if waiting >= 0 else "clients wait"
        logger.warning("%s to be accepted: %s", who, self._explain(reason))

    def _explain(self, reason: int) -> str:
        if reason == 0:
            return f"max_connections={self._max_connections} are open"
        if reason == errno.EMFILE:
            soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            return f"this process has no descriptor left, RLIMIT_NOFILE is {soft}"
        if reason == errno.ENFILE:
            return "the system has no descriptor left, see fs.file-max"
        return f"the system refuses them: {os.strerror(reason)}"
