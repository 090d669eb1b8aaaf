"""The topics that a process wants, and those that it is subscribed to at the broker."""

from __future__ import annotations

from itertools import islice

#: Topics that are changed at the broker at a time.
_BATCH = 5000


class Interest:
    """What is subscribed to, and what has to change so that it is what is wanted.

    A hundred thousand topics are usual: each is in one set, and only changes are beside it.
    """

    def __init__(self) -> None:
        self._subscribed: set[str] = set()
        self._changes: dict[str, bool] = {}

    def __len__(self) -> int:
        return len(self._subscribed)

    @property
    def has_changed(self) -> bool:
        """Whether there is something to take."""
        return bool(self._changes)

    def is_subscribed(self, topic: str) -> bool:
        """Return whether the broker knows that it is wanted, or was asked to know it."""
        return topic in self._subscribed

    def want(self, topic: str, wanted: bool) -> None:
        """Take note of what is wanted from now on."""
        if (topic in self._subscribed) == wanted:
            self._changes.pop(topic, None)
        else:
            self._changes[topic] = wanted

    def take(self) -> tuple[list[str], list[str]]:
        """Return topics to subscribe to, and to leave; they count as done from now on, unless the connection is lost."""
        taken = list(islice(self._changes.items(), _BATCH))
        for topic, _ in taken:
            del self._changes[topic]
        new = [topic for topic, wanted in taken if wanted]
        old = [topic for topic, wanted in taken if not wanted]
        self._subscribed.update(new)
        self._subscribed.difference_update(old)
        return new, old

    def lose(self) -> None:
        """Begin again, as the broker has forgotten everything."""
        wanted = self._subscribed
        for topic, is_wanted in self._changes.items():
            (wanted.add if is_wanted else wanted.discard)(topic)
        self._subscribed = set()
        self._changes = dict.fromkeys(wanted, True)
