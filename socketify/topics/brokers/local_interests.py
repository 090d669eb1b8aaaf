"""Which of the other processes want a topic."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

Peer = TypeVar("Peer")


class Interests(Generic[Peer]):
    """What each peer is subscribed to. A peer that has not told all of it is thought to want everything."""

    def __init__(self) -> None:
        self._peers_of: dict[str, tuple[Peer, ...]] = {}
        # One tuple of each peer, which all topics share that nobody else wants.
        self._alone: dict[Peer, tuple[Peer, ...]] = {}
        self._untold: tuple[Peer, ...] = ()

    def add(self, peer: Peer) -> None:
        """Add a peer that has told nothing yet."""
        self._alone[peer] = (peer,)
        self._untold = (*self._untold, peer)

    def complete(self, peer: Peer) -> None:
        """Note that a peer has told everything that it wants."""
        self._untold = tuple(each for each in self._untold if each is not peer)

    def reset(self, peer: Peer) -> None:
        """Forget what a peer has told."""
        self.remove(peer)
        self.add(peer)

    def remove(self, peer: Peer) -> None:
        """Forget a peer; harmless if it is unknown."""
        self.complete(peer)
        self.unsubscribe(peer, [topic for topic, peers in self._peers_of.items() if peer in peers])
        self._alone.pop(peer, None)

    def subscribe(self, peer: Peer, topics: Iterable[str]) -> None:
        """Note that a peer wants topics."""
        alone = self._alone[peer]
        peers_of = self._peers_of
        for topic in topics:
            peers = peers_of.setdefault(topic, alone)
            if peer not in peers:
                peers_of[topic] = (*peers, peer)

    def unsubscribe(self, peer: Peer, topics: Iterable[str]) -> None:
        """Note that a peer does not want topics any more."""
        for topic in topics:
            others = tuple(each for each in self._peers_of.get(topic, ()) if each is not peer)
            if not others:
                self._peers_of.pop(topic, None)
            else:
                self._peers_of[topic] = self._alone[others[0]] if len(others) == 1 else others

    def wanting(self, topic: str) -> tuple[Peer, ...]:
        """Return who wants a topic."""
        if not self._untold:
            return self._peers_of.get(topic, ())
        told = self._peers_of.get(topic, ())
        return (*self._untold, *(each for each in told if each not in self._untold))
