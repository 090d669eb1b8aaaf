"""What was published and is not handed over to the broker yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from ..native.abi import WS_TOPICS_RESERVED
from .broker import Publication

#: What a publication takes in memory beside its data, about.
_OVERHEAD_BYTES = 256
#: How much is handed over at a time: then it is the turn of subscriptions.
_BATCH_BYTES = 1024 * 1024


class Outbox:
    """A queue of publications, which loses the oldest of them when it is full.

    Args:
        capacity: bytes of memory; a single publication may take more.

    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._bytes = 0
        # With the times at which they came.
        self._waiting: deque[tuple[Publication, float]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def since(self) -> float:
        """When the oldest came; only while there is one."""
        return self._waiting[0][1]

    def add(self, publication: Publication, now: float) -> list[Publication]:
        """Add one, and return the oldest that are lost for it."""
        self._waiting.append((publication, now))
        self._bytes += len(publication.data) + _OVERHEAD_BYTES
        lost = []
        while self._bytes > self.capacity and len(self._waiting) > 1:
            lost.append(self._remove())
        return lost

    def _remove(self) -> Publication:
        publication, _ = self._waiting.popleft()
        self._bytes -= len(publication.data) + _OVERHEAD_BYTES
        return publication

    def take(self) -> list[Publication]:
        """Return the oldest, as many as are handed over at a time."""
        least = self._bytes - _BATCH_BYTES
        taken: list[Publication] = []
        while self._waiting and (not taken or self._bytes > least):
            taken.append(self._remove())
        return taken

    def clear(self) -> list[Publication]:
        """Forget all, and return them."""
        lost = [publication for publication, _ in self._waiting]
        self._waiting.clear()
        self._bytes = 0
        return lost


def count_published(publications: Iterable[Publication]) -> int:
    """Return how many of these the program published, rather than the framework."""
    return sum(not each.topic.startswith(WS_TOPICS_RESERVED) for each in publications)
