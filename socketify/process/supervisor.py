"""Several processes that serve together, and the one that looks after them. POSIX only."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import signal
import time
import traceback
from pathlib import Path
from typing import Any, Callable, Optional

from ..metrics.memory import MetricsMemory, memory_for_workers
from ..native import abi
from ..system.line_writer import flush_line_writers
from ..system.parent import end_with_parent, fork
from ..system.processes import UNKNOWN_EXIT, exit_code
from ..system.standard_streams import flush_standard_streams
from ..system.stop_signals import SAME_SECONDS
from ..system.worker import WorkerMemory, WorkerPlace, take_place
from ..topics.brokers.local_directory import remove_directory
from .awaited_signals import AwaitedSignals
from .companion import Companion
from .rolling import Rolling
from .shares import Shares
from .stacks import Stacks
from .topics_directory import new_topics_directory, use_topics_directory
from .watch import Watch
from .worker import Worker
from .worker_options import WorkerOptions

logger = logging.getLogger("socketify")

#: The exit status of a worker that can never serve, and so is not replaced.
CONFIGURATION_ERROR = 2

#: The most workers that a supervisor starts.
WORKERS_MAX = 1024
#: The supervisor stops after so many deaths in a row of workers that never served, while no other one serves.
_STILLBIRTHS_MAX = 5
#: A worker that served and lived for a shorter time may not be replaced at once.
_YOUNG_SECONDS = 10.0
_BACKOFF_FIRST_SECONDS = 0.1
_BACKOFF_MAX_SECONDS = 5.0
_DOUBLINGS_MAX = 10
#: The same for workers that served, as clients may be waiting in the backlog of their socket.
_BACKOFF_OF_SERVERS_MAX_SECONDS = 1.0
#: A worker announces itself through a pipe, which interrupts no wait for signals.
_READY_POLL_SECONDS = 0.05


class Supervisor:
    """Keeps a number of workers alive.

    A worker that dies is replaced, after a pause that doubles while workers die young. Only when workers die before they
    serve, in a row, and none serves, the supervisor stops and logs that. A worker whose event loop does not run is killed, and
    what its threads were doing is logged; one that is too large or too old is replaced when its successor serves.

    SIGTERM and SIGINT stop the workers gracefully, a second one at once; SIGHUP replaces them one by one, each when its
    successor serves; SIGTTIN adds one, and SIGTTOU takes one away; SIGUSR1 and SIGUSR2 are passed on to them, who read their
    certificates again, and log what is in flight. Workers end when the supervisor does, also when it is killed.
    Several workers share the topics of their apps, unless these have a broker of their own.

    Args:
        target: called in each worker with its index, from 0 on, and the sockets that it accepts from, by their numbers; it
            should serve until SIGTERM. What it returns is the exit status, None for 0.
        workers: how many.
        on_ready: called once, when all of them serve.
        on_stop: called when they are asked to stop.
        options: how they are watched, and when they are replaced; None for the defaults.
        sockets: how many sockets there are to accept from, each of which needs a worker; 0 for none.
        companion: a process that is there as long as any of them; None for none.
        threads: that serve in each worker: as many apps count there.

    """

    def __init__(
        self,
        target: Callable[[int, frozenset[int]], Any],
        workers: int,
        on_ready: Optional[Callable[[], None]] = None,
        on_stop: Optional[Callable[[], None]] = None,
        *,
        options: Optional[WorkerOptions] = None,
        sockets: int = 0,
        companion: Optional[Companion] = None,
        threads: int = 1,
    ) -> None:
        self._target = target
        self._threads = threads
        self._count = workers
        self._on_ready = on_ready
        self._on_stop = on_stop
        self._companion = companion
        #: In which the workers count.
        self._metrics: Optional[MetricsMemory] = None
        self._all_served = False
        self._workers: dict[int, Worker] = {}
        self._watch = Watch(options or WorkerOptions())
        self._shares = Shares(workers, sockets)
        #: Deaths in a row of workers that never served, and of those that served for a short time.
        self._stillbirths = 0
        self._young_deaths = 0
        #: Starts in a row that the system did not permit.
        self._failed_starts = 0
        self._stopping = False
        self._status = 0
        #: The signal that stopped it; None while none has.
        self.caught: Optional[int] = None
        self._last_stop = float("-inf")
        #: When a worker is to be started, by its index.
        self._due: dict[int, float] = {}
        self._rolling = Rolling(self._start_successor)
        #: Whether another restart was requested meanwhile: workers that began before may have read files that changed since.
        self._rolls_again = False
        self._signals = AwaitedSignals()
        #: Where workers that share topics find each other.
        self._directory: Optional[Path] = None

    def run(self) -> int:
        """Serve until a signal stops it; return the exit status: 0, or what a worker could not serve with."""
        # Also for one worker: it may get others, or a successor.
        self._directory = new_topics_directory("worker")
        self._metrics = memory_for_workers(self._count * self._threads)
        self._metrics.supervise(os.getpid())
        self._signals.block()
        try:
            if self._companion is not None:
                self._companion.start(self._signals)
            self._due = dict.fromkeys(range(self._count), 0.0)
            self._start_due()
            while self._workers or (self._due and not self._stopping):
                self._wait()
        finally:
            self._kill(signal.SIGKILL)
            if self._companion is not None:
                self._companion.stop()
            self._signals.restore()
            if self._directory is not None:
                remove_directory(self._directory)
        return self._status

    # ---- workers

    def _start(self, index: int) -> Optional[Worker]:
        """Start a worker; return None where the system does not permit that now, and log why."""
        flush_standard_streams()
        parent = os.getpid()
        with contextlib.ExitStack() as opened:
            try:
                reader, writer = os.pipe()
                opened.callback(os.close, reader)
                opened.callback(os.close, writer)
                memory, stacks, shares = WorkerMemory(), Stacks(), self._shares.of(index)
                opened.callback(stacks.close)
                pid = fork()
            except OSError as error:
                logger.error("worker %d cannot be started: %s", index + 1, error.strerror)  # noqa: TRY400 - it is said
                return None
            opened.pop_all()
        if pid == 0:
            place = WorkerPlace(index, parent, writer, memory, self._watch.beat_seconds, self._all_served)
            self._work(place, reader, stacks, shares, parent)
        os.close(writer)
        worker = self._workers[pid] = Worker(index, pid, reader, memory, stacks, shares)
        self._watch.add(worker)
        return worker

    def _start_due(self) -> None:
        """Start the workers that are due; where one cannot be started, all of them are due later."""
        now = time.monotonic()
        due = [index for index, when in self._due.items() if when <= now]
        for index in due:
            if self._start(index) is None:
                self._failed_starts += 1
                break
            self._failed_starts = 0
            del self._due[index]
        else:
            return
        if self._failed_starts >= _STILLBIRTHS_MAX and not self._all_served and not self._workers:
            self._give_up("workers cannot be started")
            return
        pause = _backoff(self._failed_starts, _BACKOFF_MAX_SECONDS)
        logger.error("it is tried again in %.1f s", pause)
        for index in due:
            if index in self._due:
                self._due[index] = now + pause

    def _work(self, place: WorkerPlace, reader: int, stacks: Stacks, shares: frozenset[int], parent: int) -> None:
        """Be a worker: never returns."""
        status: Any = 1
        try:
            os.close(reader)
            take_place(place)
            for each in self._workers.values():
                each.close()
            end_with_parent(parent)
            stacks.answer()
            self._signals.begin_worker()
            if self._directory is not None:
                use_topics_directory(self._directory)
            status = self._target(place.index, shares) or 0
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
            worker.send(number)

    # ---- events

    def _wait(self) -> None:
        number = self._signals.wait(self._seconds_to_wait())
        if number is not None:
            self._on_signal(number)
        self._reap()
        workers = list(self._workers.values())
        for worker in (*self._watch.look(workers), *(each for each in workers if each.wants_successor)):
            if worker.index < self._count:
                self._rolling.add(worker)
        if not self._stopping:
            self._start_due()
        self._look_for_ready()
        self._roll()
        if self._companion is not None and self._companion.is_due:
            self._companion.start(self._signals)

    def _on_signal(self, number: int) -> None:
        if number in (signal.SIGTERM, signal.SIGINT):
            now = time.monotonic()
            if now - self._last_stop >= SAME_SECONDS:
                self._last_stop = now
                self.caught = self.caught or number
                self._stop()
        elif number == signal.SIGUSR1:
            self._pass_on(number)
        elif number == signal.SIGUSR2:
            self._report()
        elif self._stopping:
            return
        elif number == signal.SIGHUP:
            self._begin_rolling()
        elif number == signal.SIGTTIN:
            self._add()
        elif number == signal.SIGTTOU:
            self._remove()

    def _look_for_ready(self) -> None:
        for worker in self._workers.values():
            self._look_at(worker)
        if self._all_served or self._stopping or len(self._workers) < self._count:
            return
        if all(worker.serves for worker in self._workers.values()):
            self._all_served = True
            if self._on_ready is not None:
                self._on_ready()

    def _look_at(self, worker: Worker) -> None:
        if worker.look():
            self._stillbirths = 0

    def _seconds_to_wait(self) -> Optional[float]:
        begin = any(not (each.serves or each.leaves) for each in self._workers.values())
        if begin or self._rolling.successor is not None or not (self._all_served or self._stopping):
            return _READY_POLL_SECONDS
        waits = [] if self._stopping else [when - time.monotonic() for when in self._due.values()]
        watching = self._watch.seconds_to_wait()
        if watching is not None:
            waits.append(watching)
        if self._companion is not None and self._companion.due is not None:
            waits.append(self._companion.due - time.monotonic())
        return min(waits, default=None)

    def _stop(self) -> None:
        # A second signal to stop means not to wait.
        self._kill(signal.SIGKILL if self._stopping else signal.SIGTERM)
        if not self._stopping and self._on_stop is not None:
            self._on_stop()
        self._stopping = True
        if self._metrics is not None:
            self._metrics.stop()
        self._due.clear()

    def _reap(self) -> None:
        if self._companion is not None:
            self._companion.reap()
        for worker in list(self._workers.values()):
            code = exit_code(worker.pid)
            if code is not None:
                # It may have announced itself before it died.
                self._look_at(worker)
                del self._workers[worker.pid]
                self._watch.forget(worker)
                worker.close()
                if self._metrics is not None:
                    self._metrics.release(worker.pid)
                self._ended(worker, code)

    def _ended(self, worker: Worker, code: int) -> None:
        was_successor = self._rolling.forget(worker)
        # The other one is its successor, or the one that it would have succeeded.
        if any(each.index == worker.index and not each.leaves for each in self._workers.values()):
            if was_successor and not self._stopping:
                logger.error("the new worker does not serve: the others stay as they are")
            return
        if self._stopping or worker.leaves or worker.index >= self._count:
            return
        if code == CONFIGURATION_ERROR and not self._all_served:
            self._status = code
            self._stop()
            return
        pause = self._pause_after(worker) if code else 0.0
        if self._stillbirths >= _STILLBIRTHS_MAX and not any(each.serves for each in self._workers.values()):
            self._give_up(f"workers die before they serve (the last with {_as_text(code)})")
            return
        if code:
            level = logging.ERROR if worker.serves else logging.WARNING
            logger.log(level, "%s ended with %s and is replaced in %.1f s", worker.name, _as_text(code), pause)
        self._due[worker.index] = time.monotonic() + pause
        self._count_restart(abi.METRIC_RESTARTS_DEATH if code else abi.METRIC_RESTARTS_END)

    def _give_up(self, why: str) -> None:
        logger.error("%s: giving up", why)
        self._status = 1
        self._stop()

    def _count_restart(self, reason: int) -> None:
        if self._metrics is not None:
            self._metrics.count(reason)

    def _pause_after(self, worker: Worker) -> float:
        """Count a death, and return how long its successor has to wait."""
        if not worker.serves:
            self._stillbirths += 1
            return _backoff(self._stillbirths, _BACKOFF_MAX_SECONDS)
        young = time.monotonic() - worker.began < _YOUNG_SECONDS
        self._young_deaths = self._young_deaths + 1 if young else 0
        if self._young_deaths < 2:
            return 0.0
        return _backoff(self._young_deaths - 2, _BACKOFF_OF_SERVERS_MAX_SECONDS)

    def _report(self) -> None:
        """Log how the workers are, and let them log what is in flight."""
        now = time.monotonic()
        for worker in self._workers.values():
            state = "leaves" if worker.leaves else "serves" if worker.serves else "starts"
            age, size = now - worker.began, worker.rss / 2**20
            logger.warning("%s %s, began %.0f s ago, has %.1f MiB of memory", worker.name, state, age, size)
            self._watch.ask_for_report(worker)

    # ---- replacing workers

    def _start_successor(self, index: int) -> Optional[Worker]:
        worker = self._start(index)
        if worker is not None:
            self._count_restart(abi.METRIC_RESTARTS_ROLLING)
        return worker

    def _begin_rolling(self) -> None:
        if self._rolling.is_busy:
            self._rolls_again = True
            return
        for worker in self._workers.values():
            if worker.index < self._count:
                self._rolling.add(worker)

    def _roll(self) -> None:
        self._rolling.step()
        if self._stopping:
            return
        self._shed()
        if self._rolls_again and not self._rolling.is_busy:
            self._rolls_again = False
            self._begin_rolling()
        self._rolling.begin()

    # ---- more and fewer workers

    def _add(self) -> None:
        if self._count >= WORKERS_MAX:
            logger.warning("there are %d workers already, and more are not started", self._count)
            return
        index = self._count
        self._count += 1
        self._shares.add(index)
        # It may be there still, after a signal to take it away.
        if not any(each.index == index and not each.leaves for each in self._workers.values()):
            self._due[index] = time.monotonic()
        logger.info("one worker more: %d", self._count)

    def _remove(self) -> None:
        if self._count == 1:
            logger.warning("the last worker is not taken away")
            return
        self._count -= 1
        self._shares.remove(self._count)
        self._due.pop(self._count, None)
        self._rolling.leave_out(self._count)
        logger.info("one worker fewer: %d", self._count)

    def _shed(self) -> None:
        """Let workers leave that are too many, as soon as others accept from their sockets."""
        here = [each for each in self._workers.values() if not each.leaves]
        kept = [each for each in here if each.index < self._count and each.serves]
        accepted: set[int] = set()
        for worker in kept:
            share = self._shares.of(worker.index)
            accepted |= share & worker.shares
            if not share <= worker.shares and time.monotonic() >= worker.replaceable:
                self._rolling.add(worker)
        for worker in here:
            if worker.index >= self._count and worker.shares <= accepted:
                worker.retire()


def supervise(
    target: Callable[[], Any],
    workers: int,
    on_ready: Optional[Callable[[], None]] = None,
    options: Optional[WorkerOptions] = None,
) -> int:
    """Serve with several processes; see :class:`Supervisor`.

    Args:
        target: called in each worker.
        workers: how many.
        on_ready: called once, when all of them serve.
        options: how they are watched, and when they are replaced; None for the defaults. Without a start_timeout there is no
            such limit, as a target that serves no app never announces that it serves.

    Returns:
        The exit status.

    """
    options = options or WorkerOptions()
    if options.start_timeout is None:
        options = dataclasses.replace(options, start_timeout=0)
    return Supervisor(lambda _index, _sockets: target(), workers, on_ready, options=options).run()


def _backoff(times: int, most: float) -> float:
    return float(min(_BACKOFF_FIRST_SECONDS * 2 ** min(times, _DOUBLINGS_MAX), most))


def _as_text(code: int) -> str:
    if code == UNKNOWN_EXIT:
        return "an unknown status"
    return f"signal {-code}" if code < 0 else f"status {code}"
