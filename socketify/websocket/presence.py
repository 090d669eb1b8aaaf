"""What keeps who is on a topic, as websockets see it."""

from __future__ import annotations

from typing import Any, Protocol


class PresenceKeeper(Protocol):
    """Keeps what is public of the websockets that are on topics."""

    def join(self, handle: int, topic: str, value: Any) -> None:
        """Take note that a websocket is on a topic, and what is public of it; None if it stays unseen."""

    def leave(self, handle: int, topic: str) -> None:
        """Take note that a websocket left a topic; harmless for one that is not on it."""

    def leave_all(self, handle: int) -> None:
        """Take note that a websocket left all topics."""
