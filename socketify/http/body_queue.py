"""What has arrived of a request's body and was not taken yet, and when reading from the connection pauses for it."""

from __future__ import annotations

#: Bytes that wait for the application before reading from the connection pauses.
WAITING_MAX = 256 * 1024


class BodyQueue:
    """Pieces of a body, between the connection and the application."""

    __slots__ = ("_chunks", "_is_complete", "_is_paused", "_size", "is_asked")

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._size = 0
        self._is_complete = False
        self._is_paused = False
        #: Whether the native side was asked for the body.
        self.is_asked = False

    @property
    def is_ready(self) -> bool:
        """Whether there is something to take, if only the end."""
        return self._is_complete or bool(self._chunks)

    def add(self, chunk: bytes, last: bool) -> bool:
        """Add a piece; return whether reading must pause."""
        if chunk:
            self._chunks.append(chunk)
            self._size += len(chunk)
        self._is_complete = last
        if last or self._is_paused or self._size < WAITING_MAX:
            return False
        self._is_paused = True
        return True

    def end(self) -> None:
        """Take note that nothing more will arrive."""
        self._is_complete = True

    def take(self) -> tuple[bytes, bool, bool]:
        """Return what waits, whether more will follow, and whether reading must go on."""
        chunks = self._chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._size = 0
        resume, self._is_paused = self._is_paused, False
        return data, not self._is_complete, resume
