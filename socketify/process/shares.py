"""Which of the listening sockets each worker accepts from, while their number changes."""

from __future__ import annotations


class Shares:
    """Shares listening sockets among workers, so that each socket has one at least.

    Args:
        workers: how many there are.
        sockets: how many there are; 0 for workers that listen by themselves.

    """

    def __init__(self, workers: int, sockets: int) -> None:
        self._sockets = sockets
        self._of: dict[int, frozenset[int]] = {}
        for index in range(workers):
            self.add(index)

    def of(self, index: int) -> frozenset[int]:
        """Return what a worker accepts from, by the places of the sockets."""
        return self._of[index]

    def add(self, index: int) -> None:
        """Give one more worker its own socket back, or let it share that of another one."""
        if not self._sockets:
            self._of[index] = frozenset()
            return
        own = frozenset((index % self._sockets,))
        if index < self._sockets:
            self._of = {each: share - own or own for each, share in self._of.items()}
        self._of[index] = own

    def remove(self, index: int) -> None:
        """Take away a worker: what was its alone becomes that of the one that has the fewest."""
        left = self._of.pop(index)
        for share in self._of.values():
            left -= share
        if left and self._of:
            heir = min(self._of, key=lambda each: len(self._of[each]))
            self._of[heir] |= left
