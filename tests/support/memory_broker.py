"""A broker in memory, for several apps of one process: it can be away, refuse, be slow, and lose."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Optional

from socketify import BrokerError, Publication
from socketify.topics.broker import Deliver


class Hub:
    """What the brokers of several apps are connected to, in whatever threads they are."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.connected: list[MemoryBroker] = []
        #: Whether nobody can connect.
        self.is_away = False

    def stop(self) -> None:
        """Be away, for everybody."""
        with self.lock:
            self.is_away = True
            connected, self.connected = self.connected, []
        for each in connected:
            each.lose("the hub stopped")

    def cut(self, broker: MemoryBroker) -> None:
        """Lose the connection of one."""
        with self.lock:
            if broker in self.connected:
                self.connected.remove(broker)
        broker.lose("it was cut")

    def publish(self, publisher: MemoryBroker, publications: Sequence[Publication]) -> None:
        with self.lock:
            for each in self.connected:
                if each is publisher and not each.echoes:
                    continue
                wanted = [publication for publication in publications if publication.topic in each.topics]
                if wanted:
                    each.receive(wanted)


class MemoryBroker:
    """One connection to a hub."""

    def __init__(self, hub: Hub, *, echoes: bool = False) -> None:
        self.hub = hub
        self.echoes = echoes
        self.topics: set[str] = set()
        #: Calls of the relay.
        self.calls: list[tuple[str, tuple[str, ...]]] = []
        #: While it is cleared, nothing that is called returns.
        self.may_go_on: Optional[asyncio.Event] = None
        #: How many publications it took.
        self.taken = 0
        #: Topics of which it takes nothing.
        self.refused: set[str] = set()
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._deliver: Optional[Deliver] = None
        self._lost: Optional[asyncio.Future[str]] = None

    def receive(self, publications: Sequence[Publication]) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._receive, self._deliver, list(publications))

    def _receive(self, deliver: Deliver, publications: Sequence[Publication]) -> None:
        if deliver is self._deliver:
            deliver(publications)

    def lose(self, reason: str) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._lose, reason)

    def _lose(self, reason: str) -> None:
        self._deliver = None
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(reason)

    async def _pass(self, call: str, topics: Sequence[str] = ()) -> None:
        self.calls.append((call, tuple(topics)))
        if self.may_go_on is not None:
            await self.may_go_on.wait()
        if self._lost is None or self._lost.done():
            message = "not connected"
            raise BrokerError(message)

    async def connect(self, deliver: Deliver) -> None:
        loop = self._loop = asyncio.get_running_loop()
        await asyncio.sleep(0)
        with self.hub.lock:
            if self.hub.is_away:
                message = "the hub is away"
                raise BrokerError(message)
            self.topics.clear()
            self._deliver, self._lost = deliver, loop.create_future()
            self.hub.connected.append(self)

    async def wait_until_lost(self) -> str:
        assert self._lost is not None
        return await asyncio.shield(self._lost)

    async def publish(self, publications: Sequence[Publication]) -> int:
        await self._pass("publish", [each.topic for each in publications])
        taken = [each for each in publications if each.topic not in self.refused]
        self.hub.publish(self, taken)
        self.taken += len(taken)
        return len(publications) - len(taken)

    async def flush(self) -> None:
        if self.may_go_on is not None:
            await self.may_go_on.wait()

    async def subscribe(self, topics: Sequence[str]) -> None:
        await self._pass("subscribe", topics)
        with self.hub.lock:
            self.topics.update(topics)

    async def unsubscribe(self, topics: Sequence[str]) -> None:
        await self._pass("unsubscribe", topics)
        with self.hub.lock:
            self.topics.difference_update(topics)
        # What was on its way arrives before.
        await asyncio.sleep(0)

    async def close(self) -> None:
        with self.hub.lock:
            if self in self.hub.connected:
                self.hub.connected.remove(self)
        self._deliver = self._lost = None
