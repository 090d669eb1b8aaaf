"""What lets a process end with the one that forked it, also where that one is killed."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from typing import Optional

from .c_library import c_function

_PR_SET_PDEATHSIG = 1


class _Lifeline:
    """A pipe for children, which only this process can write to: it closes with it."""

    def __init__(self) -> None:
        self._ends: Optional[tuple[int, int]] = None
        #: The end to read of the parent's.
        self._inherited: Optional[int] = None
        os.register_at_fork(after_in_child=self._after_fork)

    def open(self) -> None:
        """Make it, if it was not made yet."""
        if self._ends is None:
            self._ends = os.pipe()

    def _after_fork(self) -> None:
        """Keep of the parent's the end to read alone, and nothing of the grandparent's."""
        if self._inherited is not None:
            os.close(self._inherited)
            self._inherited = None
        if self._ends is not None:
            self._inherited, writer = self._ends
            self._ends = None
            os.close(writer)

    def watch(self) -> None:
        """Let a thread wait for the parent's end."""
        if self._inherited is not None:
            threading.Thread(target=_wait_for_end, args=(self._inherited,), name="socketify-parent", daemon=True).start()


def _wait_for_end(reader: int) -> None:
    # Signals are for the threads that were there before.
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        os.read(reader, 1)
    except OSError:
        # The program has closed all descriptors that it does not know.
        return
    os.kill(os.getpid(), signal.SIGTERM)


_lifeline = _Lifeline()


def fork() -> int:
    """Fork this process, whose child may call :func:`end_with_parent`; return 0 in the child, and here the child's number.

    CPython warns of the threads of a process that forks. Where warnings are errors, its versions from 3.15 on raise that when
    the child is there, which nobody would know of: what runs in our children begins no thread's work, so it is not told.

    Raises:
        OSError: the system has no room for another process, or no descriptors are left.

    """
    # Linux alone has it, and tells by itself that a parent ended.
    if c_function("prctl") is None:
        _lifeline.open()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        return os.fork()


def end_with_parent(parent: int) -> None:
    """Get SIGTERM when the process that forked this one ends, even if that is killed.

    Args:
        parent: its number, which it found out before the fork.

    """
    prctl = c_function("prctl")
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    else:
        _lifeline.watch()
    if os.getppid() != parent:
        # The parent died before that took effect.
        os._exit(1)
