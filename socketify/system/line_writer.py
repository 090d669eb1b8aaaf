"""Lines on standard output that never block the event loop: a thread waits for their reader."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import queue
import select
import sys
import threading
import time
import weakref
from typing import Any, Optional

from .standard_streams import is_writable

logger = logging.getLogger("socketify")

#: Lines that may wait for the reader; more are lost.
_WAITING_MAX = 10_000
#: Bytes that are written at once.
_BATCH_BYTES = 64 * 1024
#: Seconds that the last lines get when the process ends.
_FLUSH_SECONDS = 1.0

_writers: weakref.WeakSet[LineWriter] = weakref.WeakSet()


class LineWriter:
    """Writes lines to ``sys.stdout``, whatever that is at the time. Lines that cannot be written are counted and reported once.

    Args:
        name: of the lines' purpose, for the log.

    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._stream: Any = None
        self._descriptor: Optional[int] = None
        self._lost = 0
        self._is_reported = False
        self.reset()
        _writers.add(self)

    def reset(self) -> None:
        """Reset it in the child of a fork, which has no thread: the parent writes the lines that wait."""
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        # Each of the counts is changed by one thread only.
        self._queued = self._done = 0
        self._thread: Optional[threading.Thread] = None

    def write(self, line: str) -> None:
        """Write a line, soon; never raise."""
        stream = sys.stdout
        if stream is not self._stream:
            self._stream = stream
            self._descriptor = _descriptor_of(stream)
        if self._descriptor is None:
            self._write_here(stream, line)
            return
        if self._queued - self._done >= _WAITING_MAX:
            self._lose(1, "nobody reads it")
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"socketify {self._name}", daemon=True)
            self._thread.start()
        self._queued += 1
        self._lines.put((line + "\n").encode(stream.encoding or "utf-8", "backslashreplace"))

    def _write_here(self, stream: Any, line: str) -> None:
        """Write to a stream that is not a file, such as a test's buffer."""
        try:
            if stream is None:
                self._lose(1, "standard output is closed")
                return
            stream.write(line + "\n")
            stream.flush()
        except (OSError, ValueError) as error:
            self._lose(1, error)

    def _work(self) -> None:
        lines = self._lines
        while True:
            batch = [lines.get()]
            size = len(batch[0])
            with contextlib.suppress(queue.Empty):
                while size < _BATCH_BYTES:
                    batch.append(lines.get_nowait())
                    size += len(batch[-1])
            descriptor = self._descriptor
            try:
                if descriptor is not None:
                    _write_all(descriptor, b"".join(batch))
            except OSError as error:
                self._lose(len(batch), error)
            self._done += len(batch)

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


def _descriptor_of(stream: Any) -> Optional[int]:
    try:
        return int(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return None


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            # Another program made it non-blocking.
            select.select((), (descriptor,), ())


def flush_line_writers() -> None:
    """Write the last lines."""
    for writer in tuple(_writers):
        writer.flush()


def _after_fork() -> None:
    for writer in tuple(_writers):
        writer.reset()


atexit.register(flush_line_writers)
os.register_at_fork(after_in_child=_after_fork)
