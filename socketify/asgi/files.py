"""Files as bodies over ASGI, copied by the kernel: http.response.pathsend and http.response.zerocopysend."""

from __future__ import annotations

import asyncio
import os
import stat
from typing import Callable, Optional, Protocol

from ..core.core import Core
from ..http.file_pump import pump_file
from ..native import lib
from .protocol import Message, raise_client_left

#: Smaller files are read and sent as other bodies are.
_SMALL_MAX = 256 * 1024


class FileResponse(Protocol):
    """A response whose body is a file, or contains one."""

    core: Core
    handle: int
    trailers: Optional[list[bytes]]

    @property
    def has_begun(self) -> bool:
        """Whether the head was sent."""

    async def send(self, message: Message) -> None:
        """Take a message of the application."""

    def begin_sized(self, length: int) -> None:
        """Send the head of a body of a known length."""

    async def drained(self, ask: Callable[[int], int]) -> None:
        """Wait until the client has taken what was sent."""

    def refused(self, result: int) -> None:
        """Raise the error for a result of the native side."""


async def send_path(response: FileResponse, message: Message) -> None:
    """Send the file of a path as the rest of the body.

    Raises:
        TypeError, ValueError: the path is no absolute path of a regular file.
        OSError: it cannot be read; nothing of it was sent.

    """
    path = message.get("path")
    if not isinstance(path, (str, os.PathLike)):
        error = f"'path' of 'http.response.pathsend' must be a path, not {type(path).__name__}"
        raise TypeError(error)
    loop = asyncio.get_running_loop()
    descriptor, size, head = await loop.run_in_executor(None, _open, os.fspath(path))
    try:
        if head:
            await response.send({"type": "http.response.body", "body": head})
        else:
            await _send_file(response, descriptor, 0, size, more=False)
    finally:
        os.close(descriptor)


async def send_descriptor(response: FileResponse, message: Message) -> None:
    """Send what an open file holds, or a part of it.

    Raises:
        TypeError, ValueError: the file has no descriptor, or offset or count is wrong.

    """
    file, offset, count = message.get("file"), message.get("offset"), message.get("count")
    descriptor = file if isinstance(file, int) else file.fileno()  # type: ignore[union-attr]
    for name, value in (("offset", offset), ("count", count)):
        if value is not None and (not isinstance(value, int) or value < 0):
            error = f"{name!r} of 'http.response.zerocopysend' must be an int of 0 or more, not {value!r}"
            raise ValueError(error)
    moves = offset is None
    start: int = os.lseek(descriptor, 0, os.SEEK_CUR) if offset is None else offset
    size = max(0, os.fstat(descriptor).st_size - start)
    length = size if count is None else min(count, size)
    await _send_file(response, descriptor, start, length, more=bool(message.get("more_body", False)))
    if moves:
        os.lseek(descriptor, start + length, os.SEEK_SET)


async def _send_file(response: FileResponse, descriptor: int, offset: int, length: int, *, more: bool) -> None:
    if not response.has_begun and not more and response.trailers is None:
        response.begin_sized(length)
        if not response.handle:
            # The body is empty, or the request was HEAD.
            return
    elif not response.has_begun:
        await response.send({"type": "http.response.body", "body": b"", "more_body": True})
    if not await pump_file(_ASGISink(response), descriptor, offset, length):
        error = "the file became shorter while it was sent"
        raise RuntimeError(error)
    if not more:
        await response.send({"type": "http.response.body"})


class _ASGISink:
    """A response whose body is a file, or contains one."""

    def __init__(self, response: FileResponse) -> None:
        self._response = response

    #: Never true, as ASGI makes it an error to send more when the client left.
    is_over = False

    def connection(self) -> int:
        """Return the connection's descriptor; negative over TLS, of chunks, and while something waits in memory."""
        response = self._response
        return -1 if response.core.is_secure else int(lib.sk_res_descriptor(response.handle))

    def count_sent(self, size: int) -> None:
        """Count what the kernel copied."""
        if not self._response.handle:
            raise_client_left()
        result = lib.sk_res_count_sent(self._response.handle, size)
        if result != 1:
            self._response.refused(result)

    async def await_room(self) -> None:
        """Wait until the connection has room."""
        await self._response.drained(lib.sk_res_await_room)

    async def send_piece(self, piece: bytes) -> None:
        """Send a piece."""
        await self._response.send({"type": "http.response.body", "body": piece, "more_body": True})


# ---- in worker threads


def _open(path: str) -> tuple[int, int, bytes | None]:
    # Without waiting for a writer, should it be a FIFO.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            error = f"'path' of 'http.response.pathsend' is no regular file: {path!r}"
            raise ValueError(error)
        return descriptor, status.st_size, os.read(descriptor, status.st_size) if status.st_size <= _SMALL_MAX else None
    except BaseException:
        os.close(descriptor)
        raise
