"""Standard input, output and error, which may be closed, full, or pipes that nobody reads."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from typing import Any, Optional

_STANDARD = (0, 1, 2)


def fill_standard_descriptors() -> None:
    """Open /dev/null in place of standard descriptors that are closed.

    Otherwise the next sockets would get their numbers: printed text would go to clients, and uvloop would abort.
    """
    for descriptor in _STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                opened = os.open(os.devnull, os.O_RDWR)
                if opened == descriptor:
                    os.set_inheritable(opened, True)
                else:
                    os.close(opened)


def is_writable(stream: Any) -> bool:
    """Return whether a stream takes data now, as far as that can be known."""
    try:
        descriptor = stream.fileno()
    except (AttributeError, OSError, ValueError):
        return stream is not None
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return any(events & (select.POLLOUT | select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def flush_standard_streams() -> None:
    """Flush what the program printed, unless that would wait for a reader."""
    for stream in (sys.stdout, sys.stderr):
        if is_writable(stream):
            with contextlib.suppress(Exception):
                stream.flush()


def say(text: str) -> Optional[OSError]:
    """Write a line to standard output at once; return the error if it cannot be written."""
    if not is_writable(sys.stdout):
        return None
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except OSError as error:
        return error
    return None


def complain(text: str) -> None:
    """Write a line to standard error, where there is one."""
    if is_writable(sys.stderr):
        with contextlib.suppress(OSError):
            sys.stderr.write(text + "\n")
