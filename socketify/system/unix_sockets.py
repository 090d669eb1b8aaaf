"""Unix-domain sockets: the file of one that listens, and who may connect to it."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

#: The longest path that the kernel takes, in bytes, without the final NUL.
_PATH_MAX = 107 if sys.platform == "linux" else 103
#: Whether nobody listens on a socket that refuses. On macOS one whose backlog is full does so, too.
REFUSAL_IS_FINAL = sys.platform == "linux"
#: How often one is tried, and the seconds between, before it is thought to be left over.
_TRIES, _PAUSE_SECONDS = 5, 0.1
#: As a TCP socket of this machine, it takes whoever can reach it.
_PERMISSIONS = 0o666
_DESCRIPTORS = Path("/proc/self/fd")


class SocketFile:
    """The file of a socket that is bound to it. One that another process puts in its place is left alone.

    Args:
        path: of the file.

    Raises:
        OSError: there is none, or it is another one already.

    """

    def __init__(self, path: str) -> None:
        # The program may go to another folder.
        self._path = str(Path(path).absolute())
        found = os.lstat(self._path)
        if not stat.S_ISSOCK(found.st_mode) or found.st_nlink != 1:
            raise PermissionError(errno.EPERM, "another file has taken its place")
        self._identity = _identity(found)

    @property
    def permissions(self) -> int:
        """Its mode."""
        return permissions_of(self._path)

    def set_permissions(self, mode: int) -> None:
        """Change its mode, and never that of a file to which a link leads by now.

        Raises:
            OSError: that is not permitted, or it is another file already.

        """
        with self._own() as place:
            os.chmod(place, mode)  # noqa: PTH101 - no folder, but what a descriptor refers to

    def give_to(self, user: int, group: int) -> None:
        """Let it belong to another user; the errors are those of :meth:`set_permissions`."""
        with self._own() as place:
            os.chown(place, user, group)

    @contextlib.contextmanager
    def _own(self) -> Iterator[str]:
        """Give a path that leads to this file, whatever others do to its folder meanwhile."""
        # Without either there is no such path.
        if not hasattr(os, "O_PATH") or not _DESCRIPTORS.is_dir():
            yield self._path
            return
        descriptor = os.open(self._path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if _identity(os.fstat(descriptor)) != self._identity:
                raise PermissionError(errno.EPERM, "another file has taken its place")
            yield str(_DESCRIPTORS / str(descriptor))
        finally:
            os.close(descriptor)

    def remove(self) -> None:
        """Remove it, as far as that is permitted."""
        with contextlib.suppress(OSError):
            if _identity(os.lstat(self._path)) == self._identity:
                Path(self._path).unlink()


def bound_unix_socket(path: str, permissions: Optional[int] = None) -> tuple[socket.socket, SocketFile]:
    """Bind a stream socket that does not listen yet: until it does, nobody can connect. A file that a dead process left goes.

    Args:
        path: of the file.
        permissions: the mode of the file; None for that of the file that is replaced, or 0o666 where there is none.

    Raises:
        OSError: the path is taken, too long or not permitted.

    """
    encoded = os.fsencode(path)
    if not 0 < len(encoded) <= _PATH_MAX:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        mode = _PERMISSIONS if permissions is None else permissions
        try:
            opened.bind(encoded)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not _is_stale(encoded):
                raise
            if permissions is None:
                mode = permissions_of(path)
            Path(path).unlink()
            opened.bind(encoded)
        file = SocketFile(path)
        try:
            file.set_permissions(mode)
        except BaseException:
            file.remove()
            raise
    except BaseException:
        opened.close()
        raise
    return opened, file


def permissions_of(path: str) -> int:
    """Return the mode of a file, without its kind."""
    return stat.S_IMODE(Path(path).stat().st_mode)


def _identity(found: os.stat_result) -> tuple[int, int, int]:
    # The next file may get the number of one that is gone.
    return (found.st_dev, found.st_ino, found.st_mtime_ns)


def _is_stale(path: bytes) -> bool:
    """Return whether a socket's file is left over from a process that died: nothing listens on it."""
    for again in range(1 if REFUSAL_IS_FINAL else _TRIES):
        if again:
            time.sleep(_PAUSE_SECONDS)
        # Only sockets yield ECONNREFUSED, so other files are never removed.
        if not is_refused(path):
            return False
    return True


def is_refused(path: bytes) -> bool:
    """Return whether a socket refuses connections."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        return probe.connect_ex(path) == errno.ECONNREFUSED
