"""What the system knows of a process: of a child how it ended; of any one of the same user what /proc or libproc says."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from pathlib import Path
from typing import Optional

from . import libproc

_PAGE_BYTES = resource.getpagesize()
#: The exit code of a child of which the system does not say how it ended; no child has it.
UNKNOWN_EXIT = 256


def exit_code(pid: int, *, waits: bool = False) -> Optional[int]:
    """Return how a child ended; None while it runs.

    Args:
        pid: of the child.
        waits: whether to wait for its end.

    Returns:
        Its exit status, a signal negated, or UNKNOWN_EXIT where SIGCHLD is ignored or somebody else has waited for it.

    """
    try:
        found, status = os.waitpid(pid, 0 if waits else os.WNOHANG)
    except ChildProcessError:
        return UNKNOWN_EXIT
    return os.waitstatus_to_exitcode(status) if found else None


def end_child(pid: int, patience: float, insistence: signal.Signals) -> None:
    """Ask a child by SIGTERM to end, and wait for it.

    Args:
        pid: of the child.
        patience: seconds that it gets.
        insistence: what it gets then.

    """
    deadline = time.monotonic() + patience
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        while exit_code(pid) is None:
            if time.monotonic() >= deadline:
                os.kill(pid, insistence)
                exit_code(pid, waits=True)
                return
            time.sleep(0.01)


def resident_bytes(pid: int) -> Optional[int]:
    """Return how much memory a process takes (RSS); None where the system does not say."""
    if libproc.has_libproc():
        return libproc.resident_bytes(pid)
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return None


def open_descriptors(pid: int) -> Optional[int]:
    """Return how many descriptors a process has; None where the system does not say."""
    if libproc.has_libproc():
        return libproc.open_descriptors(pid)
    try:
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return None


def is_traced(pid: int) -> bool:
    """Return whether a debugger has stopped a process; False where the system does not say."""
    if libproc.has_libproc():
        return libproc.is_traced(pid)
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="latin-1").rpartition(")")[2].split()[0] == "t"
    return False
