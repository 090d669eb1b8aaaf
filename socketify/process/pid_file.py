"""The file that names the process, for those who want to send it signals."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path


class PidFile:
    """Holds a file with the number of this process, which no second process can hold; :meth:`remove` ends that.

    Who holds it is known by a lock, which ends with the process: what a killed one has left is taken over, also where another
    process has its number meanwhile, as in a container that begins anew.

    Args:
        path: of the file.

    Raises:
        OSError: another process holds it, or it cannot be written; the message says which.

    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._process = os.getpid()
        try:
            self._descriptor = self._open()
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, b"%d\n" % self._process)
        except OSError as error:
            if isinstance(error, BlockingIOError):
                message = f"--pid: {path!r} belongs to a process that runs: {self._holder()}"
                raise OSError(errno.EEXIST, message) from None
            message = f"--pid: cannot write {path!r}: {error.strerror}"
            raise type(error)(error.errno, message) from None

    def _open(self) -> int:
        while True:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Who held it may have removed it meanwhile.
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(descriptor), self._path.stat()):
                        return descriptor
            except PermissionError as error:
                # What some systems say of a lock that another one has.
                os.close(descriptor)
                raise BlockingIOError from error
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def _holder(self) -> str:
        with contextlib.suppress(OSError):
            return self._path.read_text("utf-8", "replace").strip() or "unknown"
        return "unknown"

    def give_to(self, user: int, group: int) -> None:
        """Let another user own it, who can empty it then where the directory is not hers."""
        os.fchown(self._descriptor, user, group)

    def remove(self) -> None:
        """Remove the file, or empty it where that is not permitted; do nothing in children of a fork."""
        if self._process != os.getpid():
            return
        try:
            self._path.unlink()
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
