"""What a broker returns to its publisher, which has it already."""

from __future__ import annotations

from collections.abc import Iterable

from .broker import Publication

_OVERHEAD_BYTES = 256


class Echoes:
    """The publications that a broker is about to return.

    What another process published, and equals one of them, cannot be told from it: then it is taken for the echo, and the echo
    for what the other one published. Subscribers get the right number either way.
    """

    def __init__(self) -> None:
        #: About the memory that they take.
        self.bytes = 0
        self._expected: dict[str, dict[Publication, int]] = {}

    def expect(self, publication: Publication) -> None:
        """Take note of one that will come back."""
        of_topic = self._expected.setdefault(publication.topic, {})
        of_topic[publication] = of_topic.get(publication, 0) + 1
        self.bytes += len(publication.data) + _OVERHEAD_BYTES

    def take(self, publication: Publication) -> bool:
        """Return whether it is expected, and expect it no more."""
        of_topic = self._expected.get(publication.topic)
        count = of_topic.get(publication, 0) if of_topic else 0
        if not of_topic or not count:
            return False
        self.bytes -= len(publication.data) + _OVERHEAD_BYTES
        if count > 1:
            of_topic[publication] = count - 1
        else:
            del of_topic[publication]
            if not of_topic:
                del self._expected[publication.topic]
        return True

    def forget(self, topics: Iterable[str]) -> None:
        """Expect nothing more of topics that were left."""
        for topic in topics:
            for publication, count in self._expected.pop(topic, {}).items():
                self.bytes -= count * (len(publication.data) + _OVERHEAD_BYTES)

    def clear(self) -> None:
        """Expect nothing more, as the connection is lost."""
        self._expected.clear()
        self.bytes = 0
