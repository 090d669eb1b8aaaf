"""How the relay ends: what was published before is sent, and everything is released, also with a bad broker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import pytest
from memory_broker import Hub, MemoryBroker
from relay_pair import Pair, Subscribers, in_virtual_time
from virtual_time import run

from socketify import Publication
from socketify.topics.relay import Relay


@pytest.mark.parametrize("seconds", [0.5, 3.0])
def test_what_was_published_is_sent_before_the_end_within_its_time(caplog: pytest.LogCaptureFixture, seconds: float) -> None:
    async def play(pair: Pair) -> None:
        pair.broker.may_go_on = asyncio.Event()
        asyncio.get_running_loop().call_later(1.0, pair.broker.may_go_on.set)
        pair.publish(1, 2)
        await pair.relay.stop(seconds)
        await asyncio.sleep(1)

    pair = in_virtual_time(play)
    in_time = seconds > 1
    assert pair.there.got == ([b"1", b"2"] if in_time else [])
    assert pair.relay.counters.lost == (0 if in_time else 2)
    assert ("2 messages for other processes are lost" in caplog.text) != in_time


def test_the_end_does_not_wait_for_a_broker_that_is_away() -> None:
    async def play(pair: Pair) -> None:
        pair.hub.stop()
        await asyncio.sleep(0.01)
        pair.publish(1)
        began = asyncio.get_running_loop().time()
        await pair.relay.stop(5.0)
        assert asyncio.get_running_loop().time() - began < 0.1

    assert in_virtual_time(play).relay.counters.lost == 1


@pytest.mark.parametrize("moment", [0.01, 0.7, 1.2])
def test_a_stop_that_is_cancelled_releases_everything(moment: float) -> None:
    class Slow(MemoryBroker):
        async def publish(self, publications: Sequence[Publication]) -> int:
            try:
                return await super().publish(publications)
            except asyncio.CancelledError:
                await asyncio.sleep(0.4)
                raise

        async def close(self) -> None:
            try:
                await asyncio.sleep(0.5)
            finally:
                await super().close()

    async def main() -> None:
        hub = Hub()
        broker = Slow(hub)
        relay = Relay(broker, "the broker", Subscribers("topic"), required=False)
        await relay.start()
        await relay.settle()
        broker.may_go_on = asyncio.Event()
        relay.publish(Publication("topic", b"1", is_text=False, compress=False))
        await asyncio.sleep(0.01)
        stopping = asyncio.ensure_future(relay.stop(0.5))
        await asyncio.sleep(moment)
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping
        await asyncio.sleep(3)
        assert hub.connected == []
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert relay.counters.lost == 1
        await relay.stop(1.0)

    run(main())


def test_a_broker_that_cannot_be_stopped_is_left(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)

    class Stubborn(MemoryBroker):
        over: asyncio.Event

        async def publish(self, publications: Sequence[Publication]) -> int:
            while not self.over.is_set():
                try:
                    await self.over.wait()
                except asyncio.CancelledError:
                    continue
            return 0

        async def close(self) -> None:
            await super().close()
            await asyncio.sleep(1000)

    async def main() -> None:
        broker = Stubborn(Hub())
        broker.over = asyncio.Event()
        relay = Relay(broker, "the broker", Subscribers(), required=False)
        await relay.start()
        relay.publish(Publication("topic", b"1", is_text=False, compress=False))
        await asyncio.sleep(0.01)
        began = asyncio.get_running_loop().time()
        await relay.stop(1.0)
        assert asyncio.get_running_loop().time() - began < 10
        broker.over.set()
        await asyncio.sleep(0.1)

    run(main())
    assert "the broker does not close in time, and is left" in caplog.text
    assert "a task of the broker goes on though it was cancelled" in caplog.text
