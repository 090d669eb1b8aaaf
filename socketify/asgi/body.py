"""The body of a request on its way to an ASGI application."""

from __future__ import annotations

from typing import Any, Optional

#: Bytes that wait for the application before reading from the connection pauses.
_WAITING_MAX = 256 * 1024


class RequestBody:
    """What came of a body and was not received yet."""

    __slots__ = ("_chunks", "_complete", "_paused", "_size", "asked", "scope")

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._size = 0
        self._complete = False
        self._paused = False
        #: Whether the native side was asked for it.
        self.asked = False
        #: Of an application that is called when the first piece comes.
        self.scope: Optional[dict[str, Any]] = None

    @property
    def is_ready(self) -> bool:
        """Whether there is something to receive, if only the end."""
        return self._complete or bool(self._chunks)

    def add(self, chunk: bytes, last: bool) -> bool:
        """Take a piece; True when it is time to pause."""
        if chunk:
            self._chunks.append(chunk)
            self._size += len(chunk)
        self._complete = last
        if last or self._paused or self._size < _WAITING_MAX:
            return False
        self._paused = True
        return True

    def take(self) -> tuple[bytes, bool, bool]:
        """Give what waits, whether more will come, and whether it is time to go on reading."""
        chunks = self._chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._size = 0
        resume, self._paused = self._paused, False
        return data, not self._complete, resume
