"""Restarts the server when a file changes. For development."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import logging
import os
import signal
import traceback
from typing import Any, Callable

from ..system.line_writer import flush_line_writers
from ..system.parent import end_with_parent, fork
from ..system.processes import end_child, exit_code
from ..system.standard_streams import flush_standard_streams
from .loading import LoadError

logger = logging.getLogger("socketify")

#: Seconds that requests in flight get when a file changes.
_PATIENCE_SECONDS = 2.0
#: Between two looks whether the server is still there.
_LOOK_MILLISECONDS = 500


def run_reloading(work: Callable[[], int], settings: argparse.Namespace) -> int:
    """Serve, and restart whenever a Python file changes; return the signal that stopped it, negated.

    Raises:
        LoadError: watchfiles is not installed.

    """
    try:
        watchfiles = importlib.import_module("watchfiles")
    except ImportError as error:
        message = '--reload needs the package watchfiles: pip install "socketify[cli]"'
        raise LoadError(message) from error
    directories = settings.reload_dir or [settings.app_dir]
    stopped = 0

    def stop(number: int, _frame: object) -> None:
        nonlocal stopped
        stopped = stopped or number

    server = _Server(work)
    handlers: dict[int, Any] = dict.fromkeys((signal.SIGINT, signal.SIGTERM), stop)
    handlers.update(dict.fromkeys((signal.SIGUSR1, signal.SIGUSR2), server.pass_on))
    # Whoever started this process may have it ignored, which would let the server end without a word.
    handlers[signal.SIGCHLD] = signal.SIG_DFL
    previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    server.start()
    try:
        watching = watchfiles.watch(
            *directories,
            watch_filter=watchfiles.PythonFilter(),
            stop_event=_Flag(lambda: bool(stopped)),
            raise_interrupt=False,
            rust_timeout=_LOOK_MILLISECONDS,
            yield_on_timeout=True,
        )
        for changes in watching:
            if changes:
                logger.info("%s changed: starting anew", ", ".join(sorted(path for _, path in changes)))
                server.end()
                server.start()
            else:
                server.look()
    finally:
        server.end()
        for number, handler in previous.items():
            signal.signal(number, handler)
    return -stopped


class _Flag:
    """The stop event of watchfiles, which calls is_set() as of a threading.Event."""

    def __init__(self, is_set: Callable[[], bool]) -> None:
        self.is_set = is_set


class _Server:
    """The process that serves."""

    def __init__(self, work: Callable[[], int]) -> None:
        self._work = work
        #: 0 while there is none.
        self._pid = 0
        #: Whether another one is to take its place without a change.
        self._is_due = False

    def start(self) -> None:
        """Start it."""
        flush_standard_streams()
        parent = os.getpid()
        try:
            self._pid = fork()
        except OSError as error:
            logger.error("the server cannot be started yet: %s", error.strerror)  # noqa: TRY400 - it is said
        self._is_due = not self._pid
        if self._pid or os.getpid() == parent:
            return
        status = 1
        try:
            end_with_parent(parent)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            # A server that has something to do then handles them.
            for number in (signal.SIGUSR1, signal.SIGUSR2):
                signal.signal(number, signal.SIG_IGN)
            # A broken file must not end the watching, as it will be mended.
            status = self._work()
        except BaseException:
            traceback.print_exc()
        finally:
            flush_line_writers()
            flush_standard_streams()
            os._exit(max(status, 0))

    def look(self) -> None:
        """Start another one where it ended because it was told to; one that failed needs a change first."""
        code = exit_code(self._pid) if self._pid else None
        if code is not None:
            self._pid = 0
            self._is_due = code == 0
            if code:
                logger.warning("the server ended: it is started anew when a file changes")
        if self._is_due:
            self.start()

    def pass_on(self, number: int, _frame: object) -> None:
        """Send it a signal that this process got."""
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, number)

    def end(self) -> None:
        """End it."""
        pid, self._pid = self._pid, 0
        if not pid:
            return
        # The second signal skips waiting for requests in flight, such as streams of events that never end.
        end_child(pid, _PATIENCE_SECONDS, signal.SIGTERM)
