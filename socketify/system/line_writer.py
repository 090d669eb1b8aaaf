"""Lines for standard output, a file or a logger that never block the event loop: a thread waits for their reader."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import queue
import select
import stat
import sys
import threading
import time
import weakref
from typing import Any, Optional, Protocol

from .standard_streams import is_writable

logger = logging.getLogger("socketify")

#: Lines that may wait for the reader; more are lost.
_WAITING_MAX = 10_000
#: Bytes that are written at once; to a pipe, into which other processes write too, not more than stay together.
_BATCH_BYTES = 64 * 1024
#: Seconds that the last lines get when the process ends.
_FLUSH_SECONDS = 1.0
#: Seconds without lines after which the thread ends: it holds what it writes to, and nobody tells when an app is gone.
_IDLE_SECONDS = 10.0

_writers: weakref.WeakValueDictionary[int, LineWriter] = weakref.WeakValueDictionary()


class LineSink(Protocol):
    """Where lines go."""

    def is_direct(self) -> bool:
        """Return whether writing waits for nothing, so that it needs no thread."""

    def write(self, data: bytes) -> None:
        """Write whole lines; raise OSError or ValueError if they cannot be written."""

    def reopen(self) -> None:
        """Begin a new file where the old one was."""


class LineWriter:
    """Writes lines. Those that cannot be written are counted, and reported once.

    Args:
        name: of the lines' purpose, for the log.
        sink: where they go.

    """

    def __init__(self, name: str, sink: LineSink) -> None:
        self._name = name
        self._sink = sink
        self._lost = 0
        self._is_reported = False
        self.reset()
        _writers[id(self)] = self

    def reset(self) -> None:
        """Reset it in the child of a fork, which has no thread: the parent writes the lines that wait."""
        self._blocks: queue.SimpleQueue[tuple[bytes, int]] = queue.SimpleQueue()
        # Each of the counts is changed by one thread only.
        self._queued = self._done = 0
        self._thread: Optional[threading.Thread] = None
        # Held where the thread begins, ends, or gets lines.
        self._lock = threading.Lock()

    def write(self, lines: bytes, count: int) -> None:
        """Write so many lines, soon; never raise."""
        if self._sink.is_direct():
            self._try(lines, count)
            return
        if self._queued - self._done + count > _WAITING_MAX:
            self._lose(count, f"more than {_WAITING_MAX} of them wait to be written")
            return
        self._put(lines, count)

    def reopen(self) -> None:
        """Let the sink begin a new file, behind the lines that wait."""
        if not self._sink.is_direct():
            self._put(b"", 0)

    def _put(self, lines: bytes, count: int) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=f"socketify {self._name}", daemon=True)
                self._thread.start()
            self._queued += count
            self._blocks.put((lines, count))

    def _work(self) -> None:
        blocks = self._blocks
        while True:
            try:
                lines, count = blocks.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                with self._lock:
                    if blocks.empty():
                        self._thread = None
                        return
                continue
            while lines and len(lines) < _BATCH_BYTES and not blocks.empty():
                more, number = blocks.get()
                if not more:
                    self._try(lines, count)
                    lines, self._done, count = more, self._done + count, 0
                    break
                lines, count = lines + more, count + number
            if lines:
                self._try(lines, count)
                self._done += count
            else:
                self._sink.reopen()

    def _try(self, lines: bytes, count: int) -> None:
        try:
            self._sink.write(lines)
        except (OSError, ValueError) as error:
            self._lose(count, error)

    def _lose(self, count: int, why: object) -> None:
        self._lost += count
        # Reported only when that does not block either.
        if not self._is_reported and is_writable(sys.stderr):
            self._is_reported = True
            logger.warning("the %s cannot be written, and its lines are lost: %s", self._name, why)

    def flush(self) -> None:
        """Wait for a moment until all is written, and log how much was lost."""
        deadline = time.monotonic() + _FLUSH_SECONDS
        while self._done < self._queued and time.monotonic() < deadline:
            time.sleep(0.005)
        lost = self._lost + self._queued - self._done
        self._lost = 0
        if lost and is_writable(sys.stderr):
            logger.warning("%d lines of the %s were lost", lost, self._name)


class StandardOutput:
    """``sys.stdout``, whatever that is at the time."""

    def __init__(self) -> None:
        self._stream: Any = None
        self._descriptor: Optional[int] = None

    def is_direct(self) -> bool:
        """Return whether it is no file, but such as a test's buffer."""
        stream = sys.stdout
        if stream is not self._stream:
            self._stream = stream
            self._descriptor = _descriptor_of(stream)
        return self._descriptor is None

    def write(self, data: bytes) -> None:
        """Write lines."""
        descriptor, stream = self._descriptor, self._stream
        if descriptor is not None:
            _write_lines(descriptor, data)
        elif stream is None:
            message = "standard output is closed"
            raise ValueError(message)
        else:
            stream.write(data.decode("utf-8", "backslashreplace"))
            stream.flush()

    def reopen(self) -> None:
        """Go on, as it has no name."""


class FileLines:
    """A file that lines are appended to. It is made at once; each process opens it when it has lines.

    Raises:
        OSError: it cannot be opened.

    """

    def __init__(self, path: str) -> None:
        self._path = os.path.abspath(path)  # noqa: PTH100 - a program may change its directory
        self._descriptor = -1
        os.close(self._open())

    def _open(self) -> int:
        # A pipe that nobody reads is an error: opening it would wait.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            descriptor = os.open(self._path, flags, 0o644)
        except OSError as error:
            raise OSError(error.errno, f"access_log_file: {error.strerror}", self._path) from error
        os.set_blocking(descriptor, True)
        return descriptor

    def is_direct(self) -> bool:
        """Return False: a disk may be slow."""
        return False

    def write(self, data: bytes) -> None:
        """Append lines."""
        if self._descriptor < 0:
            self._descriptor = self._open()
        _write_lines(self._descriptor, data)

    def reopen(self) -> None:
        """Open the file of that name, which is made where there is none. If it cannot be, the old one stays."""
        try:
            descriptor = self._open()
        except OSError as error:
            logger.error("the log stays in the file that it was in: %s", error)  # noqa: TRY400 - it says all
            return
        former, self._descriptor = self._descriptor, descriptor
        if former >= 0:
            os.close(former)

    def __del__(self) -> None:
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)


class LoggerLines:
    """A logger, which gets each line as a message of the level INFO, in a thread of its own."""

    def __init__(self, destination: logging.Logger) -> None:
        self._logger = destination

    def is_direct(self) -> bool:
        """Return False: nobody knows what its handlers wait for."""
        return False

    def write(self, data: bytes) -> None:
        """Log lines."""
        if self._logger.isEnabledFor(logging.INFO):
            for line in data.decode("utf-8", "backslashreplace").splitlines():
                self._logger.info("%s", line)

    def reopen(self) -> None:
        """Go on: its handlers have files of their own."""


def _descriptor_of(stream: Any) -> Optional[int]:
    try:
        return int(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return None


def _write_lines(descriptor: int, data: bytes) -> None:
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        # Of what is not longer nothing of another process comes in between.
        while len(data) > select.PIPE_BUF:
            end = data.rfind(b"\n", 0, select.PIPE_BUF) + 1 or data.find(b"\n") + 1
            _write_all(descriptor, data[:end])
            data = data[end:]
    _write_all(descriptor, data)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            # Another program made it non-blocking.
            select.select((), (descriptor,), ())


def _all_writers() -> list[LineWriter]:
    # The references are copied at once: other threads make writers meanwhile.
    found = [reference() for reference in _writers.valuerefs()]
    return [writer for writer in found if writer is not None]


def flush_line_writers() -> None:
    """Write the last lines."""
    for writer in _all_writers():
        writer.flush()


def _after_fork() -> None:
    for writer in _all_writers():
        writer.reset()


atexit.register(flush_line_writers)
os.register_at_fork(after_in_child=_after_fork)
