"""What the threads of a worker are doing, also of one that is blocked: faulthandler writes it into its supervisor's file."""

from __future__ import annotations

import contextlib
import faulthandler
import fcntl
import os
import signal
import tempfile

#: Asks a worker for its stacks: none that programs use. What has no signals of real time, as macOS, has one for an instruction
#: that no processor knows any more.
_NUMBER = signal.SIGRTMAX - 3 if hasattr(signal, "SIGRTMAX") else getattr(signal, "SIGEMT", 0)
_BYTES_MAX = 256 * 1024


class Stacks:
    """A file without a name, into which one worker writes its stacks."""

    def __init__(self) -> None:
        try:
            self._descriptor = os.memfd_create("socketify-stacks")
        except (AttributeError, OSError):
            with tempfile.TemporaryFile() as file:
                self._descriptor = os.dup(file.fileno())
        # So that what comes after it was emptied begins at its begin.
        fcntl.fcntl(self._descriptor, fcntl.F_SETFL, os.O_APPEND)

    def answer(self) -> None:
        """Let this process write its stacks when it is asked for them."""
        if not _NUMBER:
            return
        try:
            faulthandler.register(_NUMBER, file=self._descriptor, all_threads=True, chain=False)
        except (AttributeError, RuntimeError, ValueError, OSError):
            # PyPy has none of it. The signal would end the process.
            signal.signal(_NUMBER, signal.SIG_IGN)

    def ask(self, pid: int) -> None:
        """Ask a worker for its stacks, which also one gives that is blocked."""
        os.ftruncate(self._descriptor, 0)
        if _NUMBER:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, _NUMBER)

    @property
    def size(self) -> int:
        """How many bytes were written."""
        return os.fstat(self._descriptor).st_size

    def read(self) -> str:
        """Return what was written."""
        return os.pread(self._descriptor, _BYTES_MAX, 0).decode("utf-8", "replace").rstrip()

    def close(self) -> None:
        """Close the file in this process."""
        os.close(self._descriptor)
