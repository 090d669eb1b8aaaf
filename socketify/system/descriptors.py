"""Descriptors: of sockets that another program opened, such as systemd, and which file one belongs to."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from typing import Optional

#: How macOS tells the path of an open file, and how long that may be.
_GET_PATH: Optional[int] = getattr(fcntl, "F_GETPATH", None)
_PATH_BYTES = 1024


def listen_on(descriptor: int, backlog: int = socket.SOMAXCONN) -> None:
    """Make a bound socket listen.

    Args:
        descriptor: of a stream socket; one that listens already stays as it is.
        backlog: connections that may wait.

    Raises:
        OSError: it is not such a socket; the message says which.

    """
    try:
        with socket.socket(fileno=os.dup(descriptor)) as given:
            if _listens(given):
                return
            if _is_bound(given):
                answer_without_delay(given)
                given.listen(backlog)
                return
    except OSError as error:
        message = f"cannot listen on descriptor {descriptor}: {error.strerror}"
        raise type(error)(error.errno, message) from error
    message = f"cannot listen on descriptor {descriptor}: it is not bound"
    raise OSError(errno.EINVAL, message)


def answer_without_delay(bound: socket.socket) -> None:
    """Let connections of a TCP socket send what is small at once (TCP_NODELAY).

    They inherit it when they come, which may be before a native loop serves the socket: so this is called before it listens.
    """
    if bound.family in (socket.AF_INET, socket.AF_INET6) and bound.type == socket.SOCK_STREAM:
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _listens(given: socket.socket) -> bool:
    try:
        return bool(given.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError as error:
        # macOS does not say. To listen once more only changes how many connections may wait.
        if error.errno != errno.ENOPROTOOPT:
            raise
        return False


def _is_bound(given: socket.socket) -> bool:
    name = given.getsockname()
    # Listening would pick a port that nobody knows.
    return bool(name if given.family == socket.AF_UNIX else name[1])


def real_path(descriptor: int) -> Optional[str]:
    """Return the path of an open file, without symbolic links; None where the system does not say."""
    try:
        if _GET_PATH is not None:
            return os.fsdecode(fcntl.fcntl(descriptor, _GET_PATH, bytes(_PATH_BYTES)).partition(b"\0")[0])
        return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - it costs half
    except OSError:
        return None
