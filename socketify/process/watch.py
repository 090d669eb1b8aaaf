"""Finding workers that do not answer, and those that are too large or too old."""

from __future__ import annotations

import logging
import random
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Optional

from .worker import Worker
from .worker_options import WorkerOptions

logger = logging.getLogger("socketify")

#: The longest time between two beats of a worker, and between two looks at all of them.
_TICK_MAX_SECONDS = 5.0
#: Beats that a worker may miss for another reason than being blocked.
_BEATS_IN_TIMEOUT = 4
#: How long a worker has for its stacks, and how often the supervisor looks whether they are there.
_STACKS_SECONDS = 1.0
_STACKS_POLL_SECONDS = 0.05
#: How long a worker has to log what is in flight.
_REPORT_SECONDS = 1.0
#: How long a worker may take to serve, unless the options say otherwise.
_START_SECONDS = 300.0
#: A start may take so much of the time between two looks: in the rest the supervisor did not run.
_STEP_MAX_SECONDS = 1.0
#: Who looks so many times later than it would has been stopped itself.
_AWAY_FACTOR = 3
#: A worker that is too large lives for so long all the same, as its successor may be as large.
_LEAST_SECONDS = 5.0


@dataclass
class _Record:
    """What is known of one worker."""

    #: When it is too old.
    expires: float
    beats: int = 0
    #: When its beats last changed, as far as they were seen.
    changed: float = 0.0
    #: When it was asked for its stacks, and how much of these was there since.
    asked: Optional[float] = None
    written: int = 0
    #: Whether it is killed then: as it is blocked, or does not serve.
    is_blocked: bool = False
    is_late: bool = False
    #: Seconds that it took so far to serve.
    starting: float = 0.0
    #: When it was asked to report, and how many reports it had made before.
    report_asked: Optional[float] = None
    reports: int = 0


class Watch:
    """Looks at workers every few seconds, and kills those whose event loop does not run.

    What it compares is its own time between two looks: where the supervisor itself did not run, or the whole machine, nobody
    is to blame.

    Args:
        options: what is asked of the workers.

    """

    def __init__(self, options: WorkerOptions) -> None:
        self._options = options
        self._watched: dict[int, _Record] = {}
        self._looked = self._seen = time.monotonic()
        #: Seconds between two beats; 0 for none.
        self.beat_seconds = min(_TICK_MAX_SECONDS, options.timeout / _BEATS_IN_TIMEOUT)
        every = [seconds for seconds in (self.beat_seconds, options.lifetime) if seconds]
        if options.max_rss is not None:
            every.append(_TICK_MAX_SECONDS)
        self._tick = min([_TICK_MAX_SECONDS, *every]) if every else None

    def add(self, worker: Worker) -> None:
        """Watch a worker that begins."""
        lifetime = self._options.lifetime
        expires = float("inf") if lifetime is None else worker.began + lifetime + random.uniform(0, self._options.jitter)
        self._watched[worker.pid] = _Record(expires)

    def forget(self, worker: Worker) -> None:
        """Watch a worker no more that has ended."""
        self._watched.pop(worker.pid, None)

    def ask_for_report(self, worker: Worker) -> None:
        """Let a worker log what is in flight; where it does not within a second, its stacks are logged."""
        record = self._watched[worker.pid]
        record.report_asked, record.reports = time.monotonic(), worker.memory.reports
        worker.send(signal.SIGUSR2)

    def seconds_to_wait(self) -> Optional[float]:
        """Return when to look again, in seconds from now; None for never."""
        if any(each.asked is not None or each.report_asked is not None for each in self._watched.values()):
            return _STACKS_POLL_SECONDS
        if self._tick is None or not self._watched:
            return None
        return max(0.0, self._looked + self._tick - time.monotonic())

    def look(self, workers: Iterable[Worker]) -> list[Worker]:
        """Kill the workers that are blocked; return those that are to be replaced."""
        now = time.monotonic()
        passed, self._seen = min(now - self._seen, _STEP_MAX_SECONDS), now
        for worker in workers:
            record = self._watched[worker.pid]
            self._await_report(worker, record, now)
            self._await_stacks(worker, record, now)
            self._look_for_start(worker, record, now, passed)
        if self._tick is None or now - self._looked < self._tick:
            return []
        # It was stopped itself, or could not run: the workers have had less time than the clock says.
        was_away = now - self._looked > _AWAY_FACTOR * self._tick
        self._looked = now
        for worker in workers:
            self._look_for_beat(worker, self._watched[worker.pid], now, was_away)
        return [worker for worker in workers if self._is_due(worker, now)]

    def _look_for_start(self, worker: Worker, record: _Record, now: float, passed: float) -> None:
        """Look whether a worker takes too long to serve. While one begins, the supervisor looks many times in a second."""
        limit = self._options.start_timeout
        limit = _START_SECONDS if limit is None else limit
        if worker.serves or worker.leaves or not limit:
            return
        record.starting += passed
        if record.starting >= limit and record.asked is None and not worker.is_traced:
            record.is_late = True
            self._ask_for_stacks(worker, record, now)

    def _look_for_beat(self, worker: Worker, record: _Record, now: float, was_away: bool) -> None:
        beats = worker.memory.beats
        if beats != record.beats or not beats or was_away:
            record.beats, record.changed = beats, now
        elif now - record.changed >= self._options.timeout and not record.is_blocked and not worker.is_traced:
            record.is_blocked = True
            self._ask_for_stacks(worker, record, now)

    def _ask_for_stacks(self, worker: Worker, record: _Record, now: float) -> None:
        record.asked, record.written = now, 0
        worker.stacks.ask(worker.pid)

    def _await_report(self, worker: Worker, record: _Record, now: float) -> None:
        if record.report_asked is None or now - record.report_asked < _REPORT_SECONDS:
            return
        record.report_asked = None
        if worker.memory.reports == record.reports and record.asked is None:
            self._ask_for_stacks(worker, record, now)

    def _await_stacks(self, worker: Worker, record: _Record, now: float) -> None:
        if record.asked is None:
            return
        size = worker.stacks.size
        waited = now - record.asked
        # They come in several pieces.
        if waited < _STACKS_SECONDS and (not size or size != record.written):
            record.written = size
            return
        record.asked = None
        text = worker.stacks.read()
        if not record.is_blocked and not record.is_late:
            logger.warning("%s is busy. What its threads are doing:\n%s", worker.name, text or "it does not say")
            return
        is_late, record.is_late, record.is_blocked = record.is_late, False, False
        if waited > _AWAY_FACTOR * _STACKS_SECONDS:
            record.changed = now
            return
        if worker.serves if is_late else worker.memory.beats != record.beats:
            return
        logger.error(
            "%s %s for %g s: it is killed, and replaced%s",
            worker.name,
            "has not served" if is_late else "has not answered",
            round(record.starting if is_late else now - record.changed, 1),
            f". What its threads were doing:\n{text}" if text else ", and does not even say what it was doing",
        )
        worker.send(signal.SIGKILL)

    def _is_due(self, worker: Worker, now: float) -> bool:
        if worker.leaves or not worker.serves or worker.is_due or now < worker.replaceable:
            return False
        if now >= self._watched[worker.pid].expires:
            logger.info("%s has reached its lifetime, and is replaced", worker.name)
            return True
        most = self._options.max_rss
        if most is None or now - worker.began < _LEAST_SECONDS:
            return False
        rss = worker.rss
        if rss > most:
            logger.warning("%s has %.1f MiB of memory, more than %.1f, and is replaced", worker.name, rss / 2**20, most / 2**20)
            return True
        return False
