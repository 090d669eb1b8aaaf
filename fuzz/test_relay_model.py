"""Relays of several processes against a model, on a broker that is cut, stops and refuses: nothing arrives twice, out of order
or where it was not asked for; everything arrives that was published while both ends were connected; and all else is counted."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from memory_broker import Hub, MemoryBroker
from virtual_time import run

from socketify import Publication
from socketify.topics.relay import Relay

PROCESSES = 3
TOPICS = ("a", "b", "c")

processes = st.integers(0, PROCESSES - 1)
topics = st.sampled_from(TOPICS)
operations = st.one_of(
    st.tuples(st.just("subscribe"), processes, topics),
    st.tuples(st.just("subscribe"), processes, topics),
    st.tuples(st.just("unsubscribe"), processes, topics),
    st.tuples(st.just("publish"), processes, topics, st.sampled_from([1, 1, 1, 2, 40])),
    st.tuples(st.just("publish"), processes, topics, st.sampled_from([1, 1, 1, 2, 40])),
    # What cannot be told from what another one publishes.
    st.tuples(st.just("publish_same"), processes, topics),
    st.tuples(st.just("settle"), processes),
    st.tuples(st.just("turns"), st.sampled_from([1, 2, 3, 5])),
    st.tuples(st.just("wait"), st.sampled_from([0.01, 0.1, 1.0, 10.0])),
    st.tuples(st.just("cut"), processes),
    st.tuples(st.just("hold"), processes),
    st.tuples(st.just("go_on"), processes),
    st.tuples(st.just("stop_hub")),
    st.tuples(st.just("start_hub")),
)


class Message:
    """A publication, who may get it, and who has to."""

    def __init__(self, publisher: int, topic: str, serial: int) -> None:
        self.publisher = publisher
        self.topic = topic
        self.serial = serial
        self.may: set[int] = set()
        self.must: set[int] = set()
        self.got: set[int] = set()


class Process:
    """One relay, and the subscribers of its process."""

    def __init__(self, number: int, hub: Hub, echoes: bool) -> None:
        self.number = number
        self.broker = MemoryBroker(hub, echoes=echoes)
        self.relay = Relay(self.broker, "the hub", self, required=False)
        self.wanted: set[str] = set()
        self.changed: set[str] = set()
        #: Topics that are subscribed to for certain, and that are not left for certain.
        self.certain: set[str] = set()
        self.possible: set[str] = set()
        self.received: list[Publication] = []
        #: Which stop of the hub it lost its connection by; 0 when it was cut.
        self.stop = 0

    def deliver(self, publication: Publication) -> None:
        self.received.append(publication)

    def take_changes(self) -> list[tuple[str, bool]]:
        changed, self.changed = self.changed, set()
        return [(topic, topic in self.wanted) for topic in changed]


class Model:
    def __init__(self, echoes: list[bool]) -> None:
        self.hub = Hub()
        self.processes = [Process(number, self.hub, each) for number, each in enumerate(echoes)]
        self.messages: dict[bytes, Message] = {}
        self.published = [0] * PROCESSES
        self.same: list[list[str]] = [[] for _ in range(PROCESSES)]
        self.stops = 0

    async def start(self) -> None:
        for each in self.processes:
            await each.relay.start()

    # ---- operations

    def subscribe(self, number: int, topic: str) -> None:
        process = self.processes[number]
        process.wanted.add(topic)
        process.possible.add(topic)
        self._change(process, topic)
        for message in self.messages.values():
            if message.topic == topic and message.publisher != number:
                message.may.add(number)

    def unsubscribe(self, number: int, topic: str) -> None:
        process = self.processes[number]
        process.wanted.discard(topic)
        process.certain.discard(topic)
        self._change(process, topic)
        for message in self.messages.values():
            if message.topic == topic:
                message.must.discard(number)

    def _change(self, process: Process, topic: str) -> None:
        process.changed.add(topic)
        process.relay.wake()

    def publish(self, number: int, topic: str, count: int) -> None:
        process = self.processes[number]
        for _ in range(count):
            data = b"%d %d" % (number, len(self.messages))
            message = self.messages[data] = Message(number, topic, self.published[number])
            for other in self.processes:
                if other is not process and topic in other.possible:
                    message.may.add(other.number)
                if other is not process and topic in other.certain and self._is_connected(process):
                    message.must.add(other.number)
                if other is not process and topic in other.wanted and self._come_back_together(process, other):
                    message.must.add(other.number)
            self.published[number] += 1
            process.relay.publish(Publication(topic, data, is_text=True, compress=False))

    def publish_same(self, number: int, topic: str) -> None:
        self.published[number] += 1
        self.same[number].append(topic)
        self.processes[number].relay.publish(Publication(topic, b"same", is_text=True, compress=False))

    async def settle(self, number: int) -> None:
        process = self.processes[number]
        if not self._is_connected(process) or process.broker.may_go_on is not None:
            return
        await process.relay.settle()
        process.certain = set(process.wanted)
        process.possible = set(process.wanted)

    async def turns(self, count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def cut(self, number: int) -> None:
        process = self.processes[number]
        if process.broker in self.hub.connected:
            self._lose(process)
            process.stop = 0
            self.hub.cut(process.broker)

    def hold(self, number: int) -> None:
        broker = self.processes[number].broker
        broker.may_go_on = broker.may_go_on or asyncio.Event()
        self._discard(number)

    def go_on(self, number: int) -> None:
        broker = self.processes[number].broker
        if broker.may_go_on is not None:
            broker.may_go_on.set()
            broker.may_go_on = None

    def stop_hub(self) -> None:
        self.stops += 1
        for each in self.processes:
            if self._is_connected(each):
                self._lose(each)
                each.stop = self.stops
        self.hub.stop()

    def start_hub(self) -> None:
        self.hub.is_away = False

    def _is_connected(self, process: Process) -> bool:
        return process.broker in self.hub.connected

    def _come_back_together(self, process: Process, other: Process) -> bool:
        """Return whether what is published now is kept until both are connected again."""
        are_away = not process.relay.is_connected and not other.relay.is_connected
        return are_away and process.stop == other.stop > 0 and other.broker.may_go_on is None

    def _discard(self, number: int) -> None:
        """Nothing that a process has not got has to arrive there any more."""
        for message in self.messages.values():
            if not self._was_received(message, number):
                message.must.discard(number)

    def _lose(self, process: Process) -> None:
        """Nothing that is on its way from a process, or to it, has to arrive any more."""
        process.certain = set()
        for message in self.messages.values():
            if message.publisher == process.number:
                message.must -= {number for number in message.must if not self._was_received(message, number)}
        self._discard(process.number)

    def _was_received(self, message: Message, number: int) -> bool:
        data = b"%d %d" % (message.publisher, list(self.messages.values()).index(message))
        return any(each.data == data for each in self.processes[number].received)

    # ---- the end

    async def finish(self) -> None:
        self.start_hub()
        for each in self.processes:
            self.go_on(each.number)
        await asyncio.sleep(20)
        for each in self.processes:
            await each.relay.settle()
        await asyncio.sleep(0.01)
        for each in self.processes:
            assert each.relay.is_connected
            assert each.broker.topics == each.wanted
            await each.relay.stop(1.0)

    def check(self) -> None:
        for process in self.processes:
            last = [-1] * PROCESSES
            others = [topic for number, of_one in enumerate(self.same) for topic in of_one if number != process.number]
            for publication in process.received:
                if publication.data == b"same":
                    others.remove(publication.topic)
                    continue
                message = self.messages[publication.data]
                assert publication == (message.topic, publication.data, True, False)
                assert process.number in message.may
                assert last[message.publisher] < message.serial
                last[message.publisher] = message.serial
                message.got.add(process.number)
            counters = process.relay.counters
            assert counters.published == self.published[process.number]
            assert counters.delivered == len(process.received)
            assert counters.published == process.broker.taken + counters.lost
        for message in self.messages.values():
            assert message.must <= message.got


async def play(echoes: list[bool], script: list[Any]) -> None:
    model = Model(echoes)
    await model.start()
    for name, *arguments in script:
        result = getattr(model, name)(*arguments)
        if asyncio.iscoroutine(result):
            await result
    await model.finish()
    model.check()


@given(echoes=st.lists(st.booleans(), min_size=PROCESSES, max_size=PROCESSES), script=st.lists(operations, max_size=60))
def test_relays(echoes: list[bool], script: list[Any]) -> None:
    run(play(echoes, script))
