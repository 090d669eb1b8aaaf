"""Several processes that serve together, and the one that looks after them. POSIX only."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import mmap
import os
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional
from urllib.parse import quote

from ..system.line_writer import flush_line_writers
from ..system.standard_streams import flush_standard_streams
from ..system.stop_signals import SAME_SECONDS
from ..topics.local_directory import make_directory, remove_directory
from ..topics.schemes import use_by_default

logger = logging.getLogger("socketify")

#: The exit status of a worker that can never serve, and so is not replaced.
CONFIGURATION_ERROR = 2

#: The supervisor stops after so many deaths in a row of workers that never served, while no other one serves.
_STILLBIRTHS_MAX = 5
#: A worker that served and lived for a shorter time may not be replaced at once.
_YOUNG_SECONDS = 10.0
_BACKOFF_FIRST_SECONDS = 0.1
_BACKOFF_MAX_SECONDS = 5.0
#: The same for workers that served, as clients may be waiting in the backlog of their socket.
_BACKOFF_OF_SERVERS_MAX_SECONDS = 1.0
#: How long a new worker may take to serve before the next one is replaced anyway.
_READY_SECONDS = 60.0
_SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
_PR_SET_PDEATHSIG = 1

# In a worker: the pipe on which it announces that it serves, and the byte by which it learns that it is replaced.
_ready_descriptor: Optional[int] = None
_replaced: Optional[mmap.mmap] = None
# Whether all workers served before this one began.
_succeeds = False


def announce_ready() -> None:
    """Notify the supervisor that this worker serves; do nothing in other processes."""
    global _ready_descriptor
    descriptor, _ready_descriptor = _ready_descriptor, None
    if descriptor is not None:
        with contextlib.suppress(BrokenPipeError):
            os.write(descriptor, b"1")
        os.close(descriptor)


def is_replaced() -> bool:
    """Return whether another worker serves already in place of this one, so that it need not hurry to stop."""
    return _replaced is not None and _replaced[0] != 0


def succeeds() -> bool:
    """Return whether this worker comes after others that served: what these do without, it need not have either."""
    return _succeeds


@dataclass
class _Worker:
    index: int
    pid: int
    began: float
    ready: int
    #: Whether it announced that it serves.
    serves: bool = False
    #: Whether it was replaced or stopped, so that no other one takes its place when it ends.
    leaves: bool = False
    #: One shared byte: whether it is replaced.
    replaced: Optional[mmap.mmap] = None


class Supervisor:
    """Keeps a number of workers alive.

    A worker that dies is replaced, after a pause that doubles while workers die young. Only when workers die before they
    serve, in a row, and none serves, the supervisor stops and logs that. SIGTERM and SIGINT stop the workers gracefully, a
    second one at once; SIGHUP replaces them one by one, each when its successor serves; SIGUSR1 is passed on to them, who read
    their certificates again. Workers end when the supervisor does, also when it is killed (Linux). Several workers share the
    topics of their apps, unless these have a broker of their own.

    Args:
        target: called in each worker with its index, from 0 on; it should call :func:`announce_ready`, and serve until
            SIGTERM. What it returns is the exit status, None for 0.
        workers: how many.
        on_ready: called once, when all of them serve.
        on_stop: called when they are asked to stop.

    """

    def __init__(
        self,
        target: Callable[[int], Any],
        workers: int,
        on_ready: Optional[Callable[[], None]] = None,
        on_stop: Optional[Callable[[], None]] = None,
    ) -> None:
        self._target = target
        self._count = workers
        self._on_ready = on_ready
        self._on_stop = on_stop
        self._all_served = False
        self._workers: dict[int, _Worker] = {}
        #: Deaths in a row of workers that never served, and of those that served for a short time.
        self._stillbirths = 0
        self._young_deaths = 0
        self._stopping = False
        self._status = 0
        #: The signal that stopped it; None while none has.
        self.caught: Optional[int] = None
        self._last_stop = float("-inf")
        #: When a worker is to be started, by its index.
        self._due: dict[int, float] = {}
        #: Workers that a rolling restart still has to replace.
        self._old: list[_Worker] = []
        self._successor: Optional[_Worker] = None
        #: Whether another restart was requested meanwhile: workers that began before may have read files that changed since.
        self._rolls_again = False
        self._mask: set[Any] = set()
        #: Where workers that share topics find each other.
        self._directory: Optional[Path] = None

    def run(self) -> int:
        """Serve until a signal stops it; return the exit status: 0, or what a worker could not serve with."""
        self._directory = _directory_of_topics() if self._count > 1 else None
        self._mask = set(signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS))
        try:
            for index in range(self._count):
                self._start(index)
            while self._workers or (self._due and not self._stopping):
                self._wait()
        finally:
            self._kill(signal.SIGKILL)
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            if self._directory is not None:
                remove_directory(self._directory)
        return self._status

    # ---- workers

    def _start(self, index: int) -> _Worker:
        reader, writer = os.pipe()
        flush_standard_streams()
        parent = os.getpid()
        replaced = mmap.mmap(-1, 1)
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            self._work(index, writer, replaced, parent)
        os.close(writer)
        worker = self._workers[pid] = _Worker(index, pid, time.monotonic(), reader, replaced=replaced)
        return worker

    def _work(self, index: int, writer: int, replaced: mmap.mmap, parent: int) -> None:
        """Be a worker: never returns."""
        global _ready_descriptor, _replaced, _succeeds
        status: Any = 1
        try:
            _ready_descriptor, _replaced, _succeeds = writer, replaced, self._all_served
            for each in self._workers.values():
                os.close(each.ready)
            end_with_parent(parent)
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            # Workers that have certificates to reload handle it; the others must not die of it.
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            if self._directory is not None:
                use_by_default(f"local://{quote(str(self._directory))}")
            status = self._target(index) or 0
        except KeyboardInterrupt:
            status = 0
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else int(error.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            if self._directory is not None and os.getppid() != parent:
                # The supervisor was killed.
                remove_directory(self._directory)
            flush_line_writers()
            flush_standard_streams()
            os._exit(status if isinstance(status, int) else 0)

    def _kill(self, number: int) -> None:
        for worker in self._workers.values():
            worker.leaves = True
        self._pass_on(number)

    def _pass_on(self, number: int) -> None:
        for worker in self._workers.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, number)

    # ---- events

    def _wait(self) -> None:
        seconds = self._seconds_to_wait()
        if seconds is None:
            number: Optional[int] = signal.sigwait(_SIGNALS)
        else:
            received = signal.sigtimedwait(_SIGNALS, max(0.0, seconds))
            number = None if received is None else received.si_signo
        if number in (signal.SIGTERM, signal.SIGINT):
            now = time.monotonic()
            if now - self._last_stop >= SAME_SECONDS:
                self._last_stop = now
                self.caught = self.caught or number
                self._stop()
        elif number == signal.SIGHUP:
            self._begin_rolling()
        elif number == signal.SIGUSR1:
            self._pass_on(signal.SIGUSR1)
        self._reap()
        now = time.monotonic()
        for index in [index for index, when in self._due.items() if when <= now]:
            del self._due[index]
            if not self._stopping:
                self._start(index)
        self._look_for_ready()
        self._roll()

    def _look_for_ready(self) -> None:
        for worker in self._workers.values():
            self._look_at(worker)
        if self._all_served or self._stopping or len(self._workers) < self._count:
            return
        if all(worker.serves for worker in self._workers.values()):
            self._all_served = True
            if self._on_ready is not None:
                self._on_ready()

    def _look_at(self, worker: _Worker) -> None:
        if not worker.serves and _is_ready(worker):
            worker.serves = True
            self._stillbirths = 0

    def _seconds_to_wait(self) -> Optional[float]:
        if self._successor is not None or not (self._all_served or self._stopping):
            # A worker announces itself through a pipe, which interrupts no wait for signals.
            return 0.05
        if self._due and not self._stopping:
            return min(self._due.values()) - time.monotonic()
        return None

    def _stop(self) -> None:
        # A second signal to stop means not to wait.
        self._kill(signal.SIGKILL if self._stopping else signal.SIGTERM)
        if not self._stopping and self._on_stop is not None:
            self._on_stop()
        self._stopping = True
        self._due.clear()

    def _reap(self) -> None:
        for worker in list(self._workers.values()):
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if pid:
                # It may have announced itself before it died.
                self._look_at(worker)
                del self._workers[pid]
                os.close(worker.ready)
                self._ended(worker, os.waitstatus_to_exitcode(status))

    def _ended(self, worker: _Worker, code: int) -> None:
        if worker is self._successor:
            self._successor = None
            self._old.clear()
            if not self._stopping:
                logger.error("the new worker does not serve: the others stay as they are")
            return
        if worker in self._old:
            self._old.remove(worker)
        if self._stopping or worker.leaves:
            return
        if code == CONFIGURATION_ERROR and not self._all_served:
            self._status = code
            self._stop()
            return
        pause = self._pause_after(worker) if code else 0.0
        if self._stillbirths >= _STILLBIRTHS_MAX and not any(each.serves for each in self._workers.values()):
            logger.error("workers die before they serve (the last with %s): giving up", _as_text(code))
            self._status = 1
            self._stop()
            return
        if code:
            level = logging.ERROR if worker.serves else logging.WARNING
            logger.log(level, "worker %d ended with %s and is replaced in %.1f s", worker.pid, _as_text(code), pause)
        self._due[worker.index] = time.monotonic() + pause

    def _pause_after(self, worker: _Worker) -> float:
        """Count a death, and return how long its successor has to wait."""
        if not worker.serves:
            self._stillbirths += 1
            return float(min(_BACKOFF_FIRST_SECONDS * 2**self._stillbirths, _BACKOFF_MAX_SECONDS))
        young = time.monotonic() - worker.began < _YOUNG_SECONDS
        self._young_deaths = self._young_deaths + 1 if young else 0
        if self._young_deaths < 2:
            return 0.0
        return float(min(_BACKOFF_FIRST_SECONDS * 2 ** (self._young_deaths - 2), _BACKOFF_OF_SERVERS_MAX_SECONDS))

    # ---- the rolling restart

    def _begin_rolling(self) -> None:
        if self._old or self._successor is not None:
            self._rolls_again = True
        elif not self._stopping:
            # A worker that leaves has a successor already, and a second signal would make it cut its last requests.
            self._old = [worker for worker in self._workers.values() if not worker.leaves]

    def _roll(self) -> None:
        successor = self._successor
        if successor is not None:
            if not successor.serves and time.monotonic() - successor.began < _READY_SECONDS:
                return
            self._successor = None
            old = self._old.pop(0) if self._old else None
            if old is not None:
                old.leaves = True
                if old.replaced is not None:
                    old.replaced[0] = 1
                os.kill(old.pid, signal.SIGTERM)
        if self._stopping:
            return
        if not self._old and self._rolls_again:
            self._rolls_again = False
            self._begin_rolling()
        if self._old:
            self._successor = self._start(self._old[0].index)


def supervise(target: Callable[[], Any], workers: int, on_ready: Optional[Callable[[], None]] = None) -> int:
    """Serve with several processes; see :class:`Supervisor`.

    Args:
        target: called in each worker.
        workers: how many.
        on_ready: called once, when all of them serve.

    Returns:
        The exit status.

    """
    return Supervisor(lambda _index: target(), workers, on_ready).run()


def _directory_of_topics() -> Optional[Path]:
    try:
        return make_directory()
    except OSError as error:
        logger.warning("topics reach one worker each, as there is no temporary directory: %s", error.strerror)
        return None


def _as_text(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"status {code}"


def _is_ready(worker: _Worker) -> bool:
    os.set_blocking(worker.ready, False)
    try:
        return os.read(worker.ready, 1) == b"1"
    except BlockingIOError:
        return False


def end_with_parent(parent: int) -> None:
    """Get SIGTERM when the process that forked this one ends, even if that is killed (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:
        # The parent died before that took effect.
        os._exit(1)
