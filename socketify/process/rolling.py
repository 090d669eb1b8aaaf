"""Replacing workers one by one, each when its successor serves."""

from __future__ import annotations

import time
from typing import Callable, Optional

from .worker import Worker

#: A worker whose successor did not serve stays for so long at least, unless a restart of all is requested.
_AGAIN_SECONDS = 30.0


class Rolling:
    """Replaces workers.

    Args:
        start: starts a worker of an index; returns None where that fails.

    """

    def __init__(self, start: Callable[[int], Optional[Worker]]) -> None:
        self._start = start
        self._old: list[Worker] = []
        self._successor: Optional[Worker] = None

    @property
    def is_busy(self) -> bool:
        """Whether there are workers to replace."""
        return bool(self._old)

    @property
    def successor(self) -> Optional[Worker]:
        """The worker that is expected to serve in place of another one."""
        return self._successor

    def add(self, worker: Worker) -> None:
        """Replace a worker, after those that were added before. One that leaves has a successor already."""
        if not worker.leaves and not worker.is_due:
            worker.is_due = True
            self._old.append(worker)

    def forget(self, worker: Worker) -> bool:
        """Take note that a worker ended; return whether it was to be the successor of another one, which stays then."""
        if worker is self._successor:
            self._successor = None
            self._keep_all()
            return True
        if worker in self._old:
            self._old.remove(worker)
        return False

    def _keep_all(self) -> None:
        for each in self._old:
            each.is_due = False
            each.replaceable = time.monotonic() + _AGAIN_SECONDS
        self._old.clear()

    def leave_out(self, index: int) -> None:
        """Start no successor for a worker of an index that is not needed any more."""
        for worker in self._old:
            worker.is_due = worker.is_due and worker.index != index
        self._old = [worker for worker in self._old if worker.is_due]

    def step(self) -> None:
        """Let the worker leave whose successor serves."""
        successor = self._successor
        if successor is None:
            return
        has_predecessor = bool(self._old) and self._old[0].index == successor.index
        if successor.serves or not has_predecessor:
            self._successor = None
            if has_predecessor:
                self._old.pop(0).retire()

    def begin(self) -> None:
        """Start the next successor."""
        if self._old and self._successor is None:
            self._successor = self._start(self._old[0].index)
            if self._successor is None:
                self._keep_all()
