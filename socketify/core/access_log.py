"""The access log: lines about responses, which native code makes by a format, and a thread writes."""

from __future__ import annotations

import ctypes
import logging
import os
import time
from typing import Optional, Union

from ..native import abi, lib
from ..system.line_writer import FileLines, LineSink, LineWriter, LoggerLines, StandardOutput
from .core import Core
from .log_format import LogFormat

#: Lines wait at most so many seconds while there are many; the first one after a pause does not.
_INTERVAL = 0.02

#: Where lines go: standard output for None or ``"-"``, the path of a file, or a logger.
LogDestination = Union[str, "os.PathLike[str]", logging.Logger, None]


class AccessLog:
    """Writes the lines of an app.

    Args:
        format_text: see :class:`LogFormat`.
        destination: where they go.

    Raises:
        OSError: the file cannot be opened.
        TypeError, ValueError: an argument is wrong; the message names it.

    """

    def __init__(self, format_text: str, destination: LogDestination) -> None:
        self._format = LogFormat(format_text)
        self._writer = LineWriter("access log", _sink(destination))
        self._flushed = float("-inf")
        self._core: Optional[Core] = None

    def observe(self, core: Core) -> None:
        """Write about the responses of an app."""
        self._core = core
        callback = abi.LogCallback(self._take)
        parts = self._format.native_parts()
        is_json = self._format.is_json
        core.callbacks += (callback, self)
        core.configure(lambda native: lib.sk_app_log(native, parts, len(parts), is_json, callback))

    def _take(self, address: Optional[int], length: int, count: int) -> None:
        """Take lines, as ``sk_log_fn``. It never waits for the log's reader."""
        if length:
            self._writer.write(ctypes.string_at(address or 0, length), count)
            return
        loop = self._core.loop if self._core is not None else None
        pause = self._flushed + _INTERVAL - time.monotonic()
        if loop is None:
            self._flush()
        elif pause > 0:
            loop.call_later(pause, self._flush)
        else:
            loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushed = time.monotonic()
        if self._core is not None and self._core.native:
            lib.sk_app_flush_log(self._core.native)

    def reopen(self) -> None:
        """Open the file anew, as it was renamed."""
        self._writer.reopen()


def _sink(destination: LogDestination) -> LineSink:
    if destination is None or destination == "-":
        return StandardOutput()
    if isinstance(destination, logging.Logger):
        return LoggerLines(destination)
    if isinstance(destination, (str, os.PathLike)):
        return FileLines(os.fspath(destination))
    message = f"access_log_file must be a path, '-' or a logging.Logger, not {destination!r}"
    raise TypeError(message)
