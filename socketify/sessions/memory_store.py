"""Sessions in the memory of one process."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import Optional


class MemoryStore:
    """Keeps sessions as long as the process lives: for one process, for development and for tests.

    Args:
        max_sessions: beyond them those that were not used for the longest time are forgotten.

    Raises:
        ValueError: max_sessions is no int of 1 or more.

    """

    def __init__(self, max_sessions: int = 100_000) -> None:
        if not isinstance(max_sessions, int) or isinstance(max_sessions, bool) or max_sessions < 1:
            message = f"max_sessions must be an int of 1 or more, not {max_sessions!r}"
            raise ValueError(message)
        self._max_sessions = max_sessions
        self._kept: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        # Apps of several threads may share it.
        self._lock = threading.Lock()

    async def load(self, key: str) -> Optional[bytes]:
        """Return what was saved; None where nothing was, or where its time is over."""
        with self._lock:
            end, content = self._kept.get(key, (0.0, b""))
            if end <= time.monotonic():
                self._kept.pop(key, None)
                return None
            self._kept.move_to_end(key)
            return content

    async def save(self, key: str, content: bytes, seconds: int) -> None:
        """Keep a content for so many seconds."""
        with self._lock:
            self._kept[key] = (time.monotonic() + seconds, content)
            self._kept.move_to_end(key)
            while len(self._kept) > self._max_sessions:
                self._kept.popitem(last=False)

    async def delete(self, key: str) -> None:
        """Forget what was saved."""
        with self._lock:
            self._kept.pop(key, None)
