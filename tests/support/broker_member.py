"""A broker by itself, as a test uses it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Callable

from socketify.topics.broker import Broker, Publication
from socketify.topics.brokers.schemes import open_broker

#: Text, binary that is and is not UTF-8, compressed or not, and what looks like an envelope.
KINDS = [
    *((b"text", True, False), ("\xe4\u20ac\U0001f600".encode(), True, False), (b"", True, False)),
    *((b"", False, False), (b"binary", False, False), (b"\xff\x00\r\n", False, False), (b"\xffsk\x01text", False, False)),
    *((b"text", True, True), (b"binary", False, True), (b"\xff\x00", False, True)),
]


async def until(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def texts(publications: Sequence[Publication]) -> list[str]:
    """Return what was published."""
    return [each.data.decode() for each in publications]


def numbered(topic: str, first: int, end: int, sender: str = "") -> list[Publication]:
    """Return numbered publications."""
    return [Publication(topic, f"{sender}{number}".encode(), is_text=True, compress=False) for number in range(first, end)]


class Member:
    """A broker, and what it has delivered."""

    def __init__(self, url: str) -> None:
        self.broker: Broker = open_broker(url)
        self.got: list[Publication] = []

    async def join(self, *topics: str) -> Member:
        """Connect and subscribe."""
        await self.broker.connect(self.got.extend)
        if topics:
            await self.broker.subscribe(topics)
        return self

    async def publish(self, topic: str, *data: str) -> int:
        """Publish texts, and return how many are lost."""
        return await self.broker.publish([Publication(topic, each.encode(), is_text=True, compress=False) for each in data])

    def texts(self) -> list[str]:
        """Return what arrived."""
        return texts(self.got)


async def flood(member: Member, topic: str) -> None:
    """Publish more than all buffers hold; ends only with an error."""
    sent = 0
    while True:
        await member.broker.publish([each._replace(data=each.data.ljust(10000)) for each in numbered(topic, sent, sent + 20)])
        sent += 20
        await asyncio.sleep(0)
