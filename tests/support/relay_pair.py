"""Two processes whose topics a broker in memory joins, in virtual time."""

from __future__ import annotations

from typing import Any, Callable

from memory_broker import Hub, MemoryBroker
from virtual_time import run

from socketify import Publication
from socketify.topics.relay import Relay


class Subscribers:
    """The websockets of a process that are subscribed to what they want."""

    def __init__(self, *topics: str) -> None:
        self.changes = [(topic, True) for topic in topics]
        self.got: list[bytes] = []

    def deliver(self, publication: Publication) -> None:
        self.got.append(publication.data)

    def take_changes(self) -> list[tuple[str, bool]]:
        changes, self.changes = self.changes, []
        return changes


class Pair:
    """Two processes, of which the other is always subscribed to the topic."""

    def __init__(self, echoes: bool = False) -> None:
        self.hub = Hub()
        self.broker, self.other_broker = MemoryBroker(self.hub, echoes=echoes), MemoryBroker(self.hub)
        self.here, self.there = Subscribers("topic"), Subscribers("topic")
        self.relay = Relay(self.broker, "the broker", self.here, required=False)
        self.other = Relay(self.other_broker, "the broker", self.there, required=False)

    async def start(self) -> None:
        for each in (self.relay, self.other):
            await each.start()
            await each.settle()

    def publish(self, *messages: Any) -> None:
        for each in messages:
            data = each if isinstance(each, bytes) else str(each).encode()
            self.relay.publish(Publication("topic", data, is_text=False, compress=False))


def in_virtual_time(play: Callable[[Pair], Any], **options: Any) -> Pair:
    async def main() -> Pair:
        pair = Pair(**options)
        await pair.start()
        await play(pair)
        for each in (pair.relay, pair.other):
            await each.stop(1.0)
        return pair

    result: Pair = run(main())
    return result
