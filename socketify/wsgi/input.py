"""wsgi.input: the body of a request, complete before the application is called."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from io import BytesIO
from typing import IO

#: Bytes of a body that are kept in memory; larger ones go to a temporary file.
MEMORY_MAX = 1024 * 1024
#: The same while no file can be made.
MEMORY_WITHOUT_FILES_MAX = 64 * 1024 * 1024
#: The errors of having no descriptors left, or no directory for temporary files (which may have the same cause).
_NO_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOENT)


class NoInput:
    """The input of requests without a body."""

    __slots__ = ()

    def read(self, _size: int = -1) -> bytes:
        """Return nothing: there is no body."""
        return b""

    def readline(self, _size: int = -1) -> bytes:
        """Return nothing: there is no body."""
        return b""

    def readlines(self, _hint: int = -1) -> list[bytes]:
        """Return nothing: there is no body."""
        return []

    def __iter__(self) -> Iterator[bytes]:
        return iter(())

    def seek(self, _offset: int, _whence: int = 0) -> int:
        """Return the only position there is."""
        return 0

    def tell(self) -> int:
        """Return the only position there is."""
        return 0

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def writable(self) -> bool:
        """Return that it cannot be written."""
        return False

    def seekable(self) -> bool:
        """Return that it can be positioned."""
        return True

    @property
    def closed(self) -> bool:
        """False: it is never closed, as requests share it."""
        return False

    def flush(self) -> None:
        """Do nothing: there is nothing to write."""

    def close(self) -> None:
        """Do nothing: requests share it."""


NO_INPUT = NoInput()


class BodyBuffer:
    """Collects a body: in memory, and in a temporary file when it becomes large."""

    __slots__ = ("_file", "_memory_max", "size")

    def __init__(self) -> None:
        self._file: IO[bytes] = BytesIO()
        self._memory_max = MEMORY_MAX
        self.size = 0

    def add(self, chunk: bytes) -> None:
        """Take the next piece.

        Raises:
            OSError: the disk is full; or no file can be made, and the body is larger than
                :data:`MEMORY_WITHOUT_FILES_MAX`.

        """
        self.size += len(chunk)
        if self.size > self._memory_max and isinstance(self._file, BytesIO):
            self._leave_memory(self._file)
        self._file.write(chunk)

    def _leave_memory(self, memory: BytesIO) -> None:
        try:
            file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives until the response is complete
        except OSError as error:
            if error.errno not in _NO_FILES or self.size > MEMORY_WITHOUT_FILES_MAX:
                raise
            # Other requests may have released their files by then.
            self._memory_max = min(2 * self.size, MEMORY_WITHOUT_FILES_MAX)
            return
        self._file = file
        file.write(memory.getbuffer())

    def finish(self) -> IO[bytes]:
        """Return the body, positioned at its beginning."""
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Release the memory or the file."""
        self._file.close()
