"""Unix-domain sockets: the file of one that listens, and who may connect to it."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path
from typing import Optional

#: The longest path that the kernel takes, in bytes, without the final NUL.
_PATH_MAX = 107
#: As a TCP socket of this machine, it takes whoever can reach it.
_PERMISSIONS = 0o666


def bound_unix_socket(path: str, permissions: Optional[int] = None) -> socket.socket:
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
        Path(path).chmod(mode)
    except BaseException:
        opened.close()
        raise
    return opened


def permissions_of(path: str) -> int:
    """Return the mode of a file, without its kind."""
    return stat.S_IMODE(Path(path).stat().st_mode)


def _is_stale(path: bytes) -> bool:
    """Return whether a socket's file is left over from a process that died: nothing listens on it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        # Only sockets yield ECONNREFUSED, so other files are never removed.
        return probe.connect_ex(path) == errno.ECONNREFUSED
