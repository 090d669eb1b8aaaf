"""The file that names the process, for those who want to send it signals."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
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
        # The program may go to another folder.
        self._path = Path(path).absolute()
        self._descriptor = -1
        try:
            self._descriptor = self._open()
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, b"%d\n" % os.getpid())
        except OSError as error:
            if isinstance(error, BlockingIOError):
                message = f"--pid: {path!r} belongs to a process that runs: {self._holder()}"
                raise OSError(errno.EEXIST, message) from None
            why = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
            message = f"--pid: cannot write {path!r}: {why}"
            raise type(error)(error.errno, message) from None
        os.register_at_fork(after_in_child=self._close_in_child)

    def _open(self) -> int:
        # Root may write here on behalf of another user, whose folder it is, and who must not choose what is written to.
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        while True:
            descriptor = os.open(self._path, flags, 0o644)
            try:
                found = os.fstat(descriptor)
                if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
                    raise OSError(errno.EINVAL, "it is no file of its own")
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Who held it may have removed it meanwhile.
                if self._is_there(descriptor):
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def _is_there(self, descriptor: int) -> bool:
        with contextlib.suppress(OSError):
            return os.path.samestat(os.fstat(descriptor), os.lstat(self._path))
        return False

    def _holder(self) -> str:
        with contextlib.suppress(OSError):
            return self._path.read_text("utf-8", "replace").strip() or "unknown"
        return "unknown"

    def _close_in_child(self) -> None:
        """Let a child of a fork have no part in the lock, which would outlive this process with it."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def remove(self) -> None:
        """Remove the file, or empty it where that is not permitted; do nothing in children of a fork."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        if self._is_there(descriptor):
            with contextlib.suppress(OSError):
                self._path.unlink()
        os.ftruncate(descriptor, 0)
        os.close(descriptor)
