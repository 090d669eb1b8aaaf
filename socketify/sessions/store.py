"""Where sessions are kept on the server."""

from __future__ import annotations

from typing import Optional, Protocol


class SessionStore(Protocol):
    """Keeps the content of sessions by keys, which are no ids: who reads a store cannot take over a session."""

    async def load(self, key: str) -> Optional[bytes]:
        """Return what was saved; None where nothing was, or where its time is over."""

    async def save(self, key: str, content: bytes, seconds: int) -> None:
        """Keep a content for so many seconds, in place of what was saved before."""

    async def delete(self, key: str) -> None:
        """Forget what was saved, if anything was."""
