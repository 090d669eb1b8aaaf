"""What a worker knows of its supervisor, and tells it: that it serves, and that its event loop runs."""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import os
import signal
import threading
from dataclasses import dataclass, field
from typing import Callable, Optional

#: Where what a worker shares with its supervisor lies, in words of 64 bits.
_REPLACED = 0
_BEATS = 1
_REPORTS = 2
_WANTS_SUCCESSOR = 3
_WORDS = 8


class WorkerMemory:
    """A few words that a worker shares with its supervisor. Each is written by one of them."""

    def __init__(self) -> None:
        self._words = memoryview(mmap.mmap(-1, _WORDS * 8)).cast("Q")

    @property
    def is_replaced(self) -> bool:
        """Whether another worker serves already in place of this one; the supervisor writes it."""
        return self._words[_REPLACED] != 0

    @is_replaced.setter
    def is_replaced(self, value: bool) -> None:
        self._words[_REPLACED] = value

    @property
    def beats(self) -> int:
        """How often the event loop has run a timer; 0 while there is none to watch. The worker writes it."""
        return self._words[_BEATS]

    @beats.setter
    def beats(self, value: int) -> None:
        self._words[_BEATS] = value

    @property
    def reports(self) -> int:
        """How often the worker has logged what is in flight. The worker writes it."""
        return self._words[_REPORTS]

    @reports.setter
    def reports(self, value: int) -> None:
        self._words[_REPORTS] = value

    @property
    def wants_successor(self) -> bool:
        """Whether the worker wants to be replaced. It writes that."""
        return self._words[_WANTS_SUCCESSOR] != 0

    @wants_successor.setter
    def wants_successor(self, value: bool) -> None:
        self._words[_WANTS_SUCCESSOR] = value


@dataclass
class WorkerPlace:
    """What a supervisor gives its worker.

    Args:
        index: of the worker, from 0 on.
        supervisor: the number of its process.
        ready: the descriptor of a pipe, on which it announces that it serves; None when it has.
        memory: what both share.
        beat_seconds: between two beats; 0 for none.
        succeeds: whether all workers served before this one began.
        loops: event loops that serve in this worker, and have not announced it yet.
        watched: event loops that are there to be watched.
        silent: those of them that have not run their timer since the last beat.
        lock: is held where threads change any of these.

    """

    index: int
    supervisor: int
    ready: Optional[int]
    memory: WorkerMemory
    beat_seconds: float
    succeeds: bool
    loops: int = 1
    watched: set[object] = field(default_factory=set)
    silent: set[object] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)


_place: Optional[WorkerPlace] = None
#: Children of a worker are none.
_process = 0


def take_place(place: WorkerPlace) -> None:
    """Be a worker from now on."""
    global _place, _process
    _place, _process = place, os.getpid()


def _own_place() -> Optional[WorkerPlace]:
    return _place if _process == os.getpid() else None


def worker_index() -> Optional[int]:
    """Return which worker this process is, from 0 on; None where it is none."""
    place = _own_place()
    return None if place is None else place.index


def expect_loops(count: int) -> None:
    """Take note that so many event loops are to serve in this worker, before that serves; do nothing in other processes."""
    place = _own_place()
    if place is not None:
        place.loops = count


def announce_ready() -> None:
    """Notify the supervisor that an event loop of this worker serves, the last one that was expected; else do nothing."""
    place = _own_place()
    if place is None:
        return
    with place.lock:
        place.loops -= 1
        ready = None if place.loops > 0 else place.ready
        if ready is None:
            return
        place.ready = None
        with contextlib.suppress(BrokenPipeError):
            os.write(ready, b"1")
        os.close(ready)


def is_replaced() -> bool:
    """Return whether another worker serves already in place of this one, so that it need not hurry to stop."""
    place = _own_place()
    return place is not None and place.memory.is_replaced


def succeeds() -> bool:
    """Return whether this worker comes after others that served: what these do without, it need not have either."""
    place = _own_place()
    return place is not None and place.succeeds


def ask_for_successor() -> bool:
    """Let another worker take the place of this one, which leaves when that serves; return whether there is a supervisor."""
    place = _own_place()
    if place is None or os.getppid() != place.supervisor:
        return False
    place.memory.wants_successor = True
    try:
        # It waits for this signal when it waits for the end of workers.
        os.kill(place.supervisor, signal.SIGCHLD)
    except OSError:
        # This process has become another user.
        return False
    return True


def count_report() -> None:
    """Take note that this worker logs what is in flight, so that the supervisor need not; do nothing in other processes."""
    place = _own_place()
    if place is not None:
        place.memory.reports += 1


def begin_beats(loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    """Let an event loop tell the supervisor every few seconds that it runs; return a function that ends this.

    Several loops of a worker beat together, so that none of them is missed. Nothing is done in other processes.
    """
    place = _own_place()
    if place is None or not place.beat_seconds:
        return lambda: None
    timer: Optional[asyncio.TimerHandle] = None
    memory, seconds, key = place.memory, place.beat_seconds, object()

    def run() -> None:
        nonlocal timer
        with place.lock:
            place.watched.add(key)
            place.silent.discard(key)
            _end_round(place)
        timer = loop.call_later(seconds, run)

    def end() -> None:
        if timer is not None:
            timer.cancel()
        with place.lock:
            place.watched.discard(key)
            place.silent.discard(key)
            if place.watched:
                _end_round(place)
            else:
                memory.beats = 0

    run()
    return end


def _end_round(place: WorkerPlace) -> None:
    """Count a beat if every loop has run its timer since the last one."""
    if not place.silent:
        place.silent.update(place.watched)
        place.memory.beats += 1
