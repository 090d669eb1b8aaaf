"""Restarts the server when a file changes. For development."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import signal
import time
import traceback
from typing import Callable

from ..system.line_writer import flush_line_writers
from ..system.standard_streams import flush_standard_streams
from ..system.worker import end_with_parent
from .loading import LoadError

logger = logging.getLogger("socketify")

#: Seconds that requests in flight get when a file changes.
_PATIENCE_SECONDS = 2.0


def run_reloading(work: Callable[[], int], settings: argparse.Namespace) -> int:
    """Serve, and restart whenever a Python file changes; return the signal that stopped it, negated.

    Raises:
        LoadError: watchfiles is not installed.

    """
    try:
        watchfiles = importlib.import_module("watchfiles")
    except ImportError as error:
        message = "--reload needs the package watchfiles"
        raise LoadError(message) from error
    directories = settings.reload_dir or [settings.app_dir]
    stopped = 0

    def stop(number: int, _frame: object) -> None:
        nonlocal stopped
        stopped = stopped or number

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    child = _fork(work)
    try:
        watching = watchfiles.watch(
            *directories,
            watch_filter=watchfiles.PythonFilter(),
            stop_event=_Flag(lambda: bool(stopped)),
            raise_interrupt=False,
        )
        for changes in watching:
            logger.info("%s changed: starting anew", ", ".join(sorted(path for _, path in changes)))
            _end(child)
            child = _fork(work)
    finally:
        _end(child)
        for number, handler in previous.items():
            signal.signal(number, handler)
    return -stopped


class _Flag:
    """The stop event of watchfiles, which calls is_set() as of a threading.Event."""

    def __init__(self, is_set: Callable[[], bool]) -> None:
        self.is_set = is_set


def _fork(work: Callable[[], int]) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        end_with_parent(parent)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # A broken file must not end the watching, as it will be mended.
        status = work()
    except BaseException:
        traceback.print_exc()
    finally:
        flush_line_writers()
        flush_standard_streams()
        os._exit(max(status, 0))


def _end(child: int) -> None:
    try:
        os.kill(child, signal.SIGTERM)
    except ProcessLookupError:
        return
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not os.waitpid(child, os.WNOHANG)[0]:
        if time.monotonic() >= deadline:
            # The second signal skips waiting for requests in flight, such as streams of events that never end.
            os.kill(child, signal.SIGTERM)
            os.waitpid(child, 0)
            return
        time.sleep(0.02)
