"""What sends pieces of files: the kernel's copy to a connection, and reads of what is in memory already."""

from __future__ import annotations

import errno
import os
from typing import Optional

_NOWAIT: Optional[int] = getattr(os, "RWF_NOWAIT", None)
#: What systems say of file systems that the kernel cannot copy from.
_NO_COPY = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
_PIECE_BYTES = 256 * 1024
_probe = [bytearray(1)]


def copy_to_connection(connection: int, descriptor: int, offset: int, length: int) -> tuple[int, bool]:
    """Copy from a file until the kernel's buffer of the connection is full.

    Returns:
        How much was copied, and whether the buffer is full. Less than the length and not full means that the file ended.

    Raises:
        OSError: the file cannot be read.

    """
    sent = 0
    while sent < length:
        try:
            count = _copy(connection, descriptor, offset + sent, length - sent)
        except BlockingIOError:
            return sent, True
        except OSError as error:
            if not isinstance(error, ConnectionError) and error.errno != errno.ENOTCONN:
                raise
            # The latter is what macOS says of a connection that has ended. The event loop finds out by itself, and informs
            # whoever waits.
            return sent, True
        if count == 0:
            break
        sent += count
    return sent, False


def _copy(connection: int, descriptor: int, offset: int, length: int) -> int:
    try:
        return os.sendfile(connection, descriptor, offset, length)
    except OSError as error:
        if error.errno not in _NO_COPY:
            raise
    return os.write(connection, os.pread(descriptor, min(length, _PIECE_BYTES), offset))


def is_in_memory(descriptor: int, offset: int, length: int, *, unknown: bool) -> bool:
    """Return whether a part of a file can be read without waiting for a disk, by its first and last byte.

    Args:
        descriptor: of a regular file.
        offset: where the part begins.
        length: at least 1.
        unknown: the result where the file system does not say.

    """
    if _NOWAIT is None:
        return unknown
    try:
        os.preadv(descriptor, _probe, offset, _NOWAIT)
        os.preadv(descriptor, _probe, offset + length - 1, _NOWAIT)
    except BlockingIOError:
        return False
    except OSError as error:
        return unknown and error.errno in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)
    return True
