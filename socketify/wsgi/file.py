"""wsgi.file_wrapper: files that the server reads by itself (PEP 3333, Optional Platform-Specific File Handling)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Any, NamedTuple, Optional

_BLOCK_BYTES = 65536


class FilePart(NamedTuple):
    """What is left of a regular file."""

    descriptor: int
    offset: int
    length: int


class FileWrapper:
    """Yields a file in blocks; a server that knows this class sends a regular file without iterating over it.

    Args:
        filelike: has ``read(size)``, and may have ``close()``, ``fileno()`` and ``tell()``.
        block_size: bytes of a block.

    """

    __slots__ = ("block_size", "filelike")

    def __init__(self, filelike: Any, block_size: int = _BLOCK_BYTES) -> None:
        self.filelike = filelike
        self.block_size = block_size

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.filelike.read(self.block_size), b"")

    def close(self) -> None:
        """Close the file, if it can be closed."""
        close = getattr(self.filelike, "close", None)
        if close is not None:
            close()

    def part(self) -> Optional[FilePart]:
        """Return what is left of a regular file, or None for what must be read by its methods."""
        try:
            descriptor = self.filelike.fileno()
            offset = self.filelike.tell()
            status = os.fstat(descriptor)
        except (AttributeError, OSError, ValueError):
            # io.UnsupportedOperation, which a file in memory raises as it has no descriptor, is both of the latter.
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        return FilePart(descriptor, offset, max(0, status.st_size - offset))
