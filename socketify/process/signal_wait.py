"""Waiting for signals that are blocked, in the way that the interpreter and the system have."""

from __future__ import annotations

import ctypes
import errno
import os
import select
import signal
import time
from collections.abc import Sequence
from typing import Any, Optional, Union

from ..system.c_library import c_function

#: ``SI_USER``: a process sent it.
_FROM_PROCESS = 0
#: The head of ``siginfo_t`` on Linux, and the size of all of it.
_NUMBER, _CODE, _SIZE = 0, 2, 128
_SET_SIZE = 128
#: What the system's clocks count without overflowing; who waits longer waits again.
_LONGEST = 86400.0


def wait_for_signal(numbers: Sequence[int], seconds: Optional[float]) -> Optional[tuple[int, int]]:
    """Take one of the signals, all of which are blocked in this thread.

    Args:
        numbers: the signals.
        seconds: how long it may take; None for no limit.

    Returns:
        Its number and its ``si_code``, which is 0 where the system does not tell it; None where none came in time.

    """
    deadline = None if seconds is None else time.monotonic() + max(0.0, seconds)
    while True:
        left = _LONGEST if deadline is None else max(0.0, deadline - time.monotonic())
        found = _wait(numbers, min(left, _LONGEST))
        if found is not None or (deadline is not None and time.monotonic() >= deadline):
            return found


def _wait(numbers: Sequence[int], seconds: float) -> Optional[tuple[int, int]]:
    if hasattr(signal, "sigtimedwait"):
        received = signal.sigtimedwait(numbers, seconds)
        return None if received is None else (received.si_signo, received.si_code)
    if hasattr(select, "kqueue"):
        return wait_by_kqueue(numbers, seconds)
    return wait_by_libc(numbers, seconds)


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


def wait_by_libc(numbers: Sequence[int], seconds: float) -> Optional[tuple[int, int]]:
    """Wait by the C library's ``sigtimedwait`` on Linux: PyPy has none of its own.

    Raises:
        OSError: the system refuses it.

    """
    empty, add, wait = (c_function(name) for name in ("sigemptyset", "sigaddset", "sigtimedwait"))
    if empty is None or add is None or wait is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    mask, info = ctypes.create_string_buffer(_SET_SIZE), (ctypes.c_int * (_SIZE // 4))()
    empty(mask)
    for number in numbers:
        add(mask, int(number))
    time_out = _Timespec(int(seconds), int(seconds % 1 * 1e9))
    if wait(mask, info, ctypes.byref(time_out)) < 0:
        # EINTR: a handler of another signal shall run, which it does in between.
        if ctypes.get_errno() in (errno.EAGAIN, errno.EINTR):
            return None
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return info[_NUMBER], info[_CODE]


def wait_by_kqueue(numbers: Sequence[int], seconds: float) -> Optional[tuple[int, int]]:
    """Wait by ``kqueue``, which reports signals that are blocked as well: macOS has no ``sigtimedwait``.

    Args:
        numbers: the signals.
        seconds: how long it may take.

    """
    module: Any = select
    queue = module.kqueue()
    try:
        added = [module.kevent(int(each), module.KQ_FILTER_SIGNAL, module.KQ_EV_ADD) for each in numbers]
        # From here on nothing is missed; what came before is pending.
        queue.control(added, 0, 0)
        if not _pending(numbers):
            queue.control(None, 1, seconds)
        pending = _pending(numbers)
        return (int(signal.sigwait(pending)), _FROM_PROCESS) if pending else None
    finally:
        queue.close()


def _pending(numbers: Sequence[int]) -> set[Union[int, signal.Signals]]:
    return set(signal.sigpending()) & set(numbers)
