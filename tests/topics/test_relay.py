"""The relay on a broker that is away, slow, wrong or lost, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from memory_broker import Hub, MemoryBroker
from relay_pair import Pair, Subscribers, in_virtual_time
from virtual_time import run

from socketify import BrokerError, Publication
from socketify.topics import relay as relay_module
from socketify.topics.relay import Relay


def test_those_of_a_turn_go_out_together() -> None:
    async def play(pair: Pair) -> None:
        pair.publish(1, 2, 3)
        await pair.relay.settle()
        pair.publish(4)
        await pair.relay.settle()
        await asyncio.sleep(0)

    pair = in_virtual_time(play)
    assert [len(topics) for name, topics in pair.broker.calls if name == "publish"] == [3, 1]
    assert pair.there.got == [b"1", b"2", b"3", b"4"]
    assert pair.here.got == []


def test_topics_are_changed_together_and_only_if_they_changed() -> None:
    async def play(pair: Pair) -> None:
        pair.here.changes = [("topic", False), ("a", True), ("b", True), ("c", True), ("b", False), ("topic", True)]
        pair.relay.wake()
        await pair.relay.settle()

    pair = in_virtual_time(play)
    assert pair.broker.calls == [("subscribe", ("topic",)), ("subscribe", ("a", "c"))]


def test_what_is_published_during_an_outage_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    async def play(pair: Pair) -> None:
        pair.hub.stop()
        await asyncio.sleep(0.01)
        assert not pair.relay.is_connected
        pair.publish(1, 2)
        await asyncio.sleep(5)
        pair.hub.is_away = False
        await asyncio.sleep(5)
        pair.publish(3)
        await pair.relay.settle()
        await asyncio.sleep(0)

    pair = in_virtual_time(play)
    assert pair.there.got == [b"1", b"2", b"3"]
    assert pair.relay.counters._replace(lag=0) == (3, 0, 0, 1, 0)
    assert [each.message for each in caplog.records if "lost" in each.message] == 2 * [
        "the connection to the broker is lost (the hub stopped): nothing reaches other processes before it is made again"
    ]
    assert sum("is back after" in each.message and "messages were kept" in each.message for each in caplog.records) == 2


def test_what_exceeds_the_queue_is_lost_and_logged_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "QUEUE_BYTES", 10_000)

    async def play(pair: Pair) -> None:
        for _ in range(2):
            pair.hub.stop()
            await asyncio.sleep(0.01)
            pair.publish(*range(100))
            pair.publish(b"x" * 20_000)
            pair.publish(*(b"%04d" % number for number in range(10)))
            pair.hub.is_away = False
            await asyncio.sleep(10)
        await pair.relay.settle()

    pair = in_virtual_time(play)
    assert pair.there.got == 2 * [b"%04d" % number for number in range(10)]
    assert pair.relay.counters.lost == 202
    assert sum("does not take them fast enough" in each.message for each in caplog.records) == 2


def test_what_was_on_its_way_is_not_sent_again(caplog: pytest.LogCaptureFixture) -> None:
    async def play(pair: Pair) -> None:
        pair.broker.may_go_on = asyncio.Event()
        pair.publish(1, 2)
        await asyncio.sleep(0.01)
        pair.publish(3)
        pair.hub.cut(pair.broker)
        await asyncio.sleep(0.01)
        pair.broker.may_go_on.set()
        await asyncio.sleep(5)
        await pair.relay.settle()

    pair = in_virtual_time(play)
    assert pair.there.got == [b"3"]
    assert pair.relay.counters._replace(lag=0) == (3, 0, 2, 1, 0)
    assert "lost (it was cut), and perhaps 2 messages that were on their way: nothing" in caplog.text


def test_lag_is_what_waits_or_the_last_had_to_wait() -> None:
    lags: list[float] = []

    async def play(pair: Pair) -> None:
        pair.broker.may_go_on = asyncio.Event()
        pair.publish(1)
        await asyncio.sleep(2)
        pair.publish(2)
        await asyncio.sleep(1)
        lags.append(pair.relay.counters.lag)
        pair.broker.may_go_on.set()
        await asyncio.sleep(1)
        lags.append(pair.relay.counters.lag)
        pair.publish(3)
        await asyncio.sleep(1)
        lags.append(pair.relay.counters.lag)

    in_virtual_time(play)
    assert [round(each, 2) for each in lags] == [3, 1, 0]


def test_a_refused_message_is_lost_alone() -> None:
    async def play(pair: Pair) -> None:
        pair.broker.refused.add("secret")
        pair.relay.publish(Publication("secret", b"1", is_text=False, compress=False))
        pair.publish(2)
        await pair.relay.settle()
        await asyncio.sleep(0)

    pair = in_virtual_time(play)
    assert pair.there.got == [b"2"]
    assert pair.relay.counters._replace(lag=0) == (2, 0, 1, 0, 0)


def test_an_echo_is_not_awaited_any_more_once_the_connection_is_lost() -> None:
    async def play(pair: Pair) -> None:
        returned = pair.broker._receive
        pair.broker._receive = lambda *_arguments: None  # type: ignore[method-assign]
        pair.publish("same")
        await pair.relay.settle()
        pair.broker._receive = returned  # type: ignore[method-assign]
        pair.hub.cut(pair.broker)
        await asyncio.sleep(1)
        await pair.relay.settle()
        # This is no echo.
        pair.other.publish(Publication("topic", b"same", is_text=False, compress=False))
        await pair.other.settle()
        await asyncio.sleep(0)

    assert in_virtual_time(play, echoes=True).here.got == [b"same"]


def test_a_broker_that_returns_nothing_is_connected_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "QUEUE_BYTES", 1000)

    async def play(pair: Pair) -> None:
        pair.broker._receive = lambda *_arguments: None  # type: ignore[method-assign]
        for number in range(20):
            pair.publish(number)
            await asyncio.sleep(0.01)
        await asyncio.sleep(11)
        assert pair.relay.counters.reconnects == 1

    in_virtual_time(play, echoes=True)
    assert "it does not return within 10 s what was published" in caplog.text


class BadBroker(MemoryBroker):
    """It raises what no broker should."""

    def __init__(self, hub: Hub, bad: str) -> None:
        super().__init__(hub)
        self.bad = bad
        self.attempts: list[float] = []

    def _fail(self, call: str) -> None:
        if call == self.bad:
            message = f"{call} has a fault"
            raise KeyError(message)

    async def connect(self, deliver: Any) -> None:
        self.attempts.append(asyncio.get_running_loop().time())
        self._fail("connect")
        await super().connect(deliver)

    async def wait_until_lost(self) -> str:
        self._fail("wait_until_lost")
        return await super().wait_until_lost()

    async def publish(self, publications: Sequence[Publication]) -> int:
        self._fail("publish")
        return await super().publish(publications)

    async def subscribe(self, topics: Sequence[str]) -> None:
        self._fail("subscribe")
        await super().subscribe(topics)

    async def close(self) -> None:
        self._fail("close")
        await super().close()


@pytest.mark.parametrize("bad", ["connect", "wait_until_lost", "publish", "subscribe", "close"])
def test_a_broker_with_a_fault_is_tried_again(caplog: pytest.LogCaptureFixture, bad: str) -> None:
    broker = BadBroker(Hub(), bad)

    async def main() -> None:
        subscribers = Subscribers("topic")
        relay = Relay(broker, "the broker", subscribers, required=False)
        await relay.start()
        relay.publish(Publication("topic", b"1", is_text=False, compress=False))
        await asyncio.sleep(3)
        broker.bad = "nothing"
        await asyncio.sleep(3)
        assert relay.is_connected
        assert broker.topics == {"topic"}
        broker.bad = bad if bad == "close" else "nothing"
        await relay.stop(1.0)
        counters = relay.counters
        assert counters.published == broker.taken + counters.lost == 1

    run(main())
    assert f"{bad} has a fault" in caplog.text


def test_pauses_between_attempts_grow_and_differ() -> None:
    async def attempts() -> list[float]:
        broker = BadBroker(Hub(), "connect")
        relay = Relay(broker, "the broker", Subscribers(), required=False)
        await relay.start()
        await asyncio.sleep(100)
        await relay.stop(1.0)
        return broker.attempts

    one, two = run(attempts()), run(attempts())
    assert one[1] < 0.1
    assert 30 < len(one) < 90
    assert all(after - before <= 1.001 for before, after in zip(one, one[1:]) if after < 30)
    assert all(after - before <= 5.001 for before, after in zip(one, one[1:]))
    assert one[10:20] != two[10:20]


def test_a_required_broker_has_to_be_reached() -> None:
    async def main(broker: MemoryBroker) -> float:
        relay = Relay(broker, "the broker", Subscribers(), required=True)
        began = asyncio.get_running_loop().time()
        with pytest.raises(BrokerError) as raised:
            await relay.start()
        reasons.append(str(raised.value))
        await relay.stop(1.0)
        return asyncio.get_running_loop().time() - began

    class Silent(MemoryBroker):
        async def connect(self, deliver: Any) -> None:
            await asyncio.sleep(1000)

    reasons: list[str] = []
    hub = Hub()
    hub.is_away = True
    assert run(main(MemoryBroker(hub))) < 1
    assert run(main(Silent(hub))) < 6
    assert run(main(BadBroker(hub, "connect"))) < 1
    assert reasons == [
        "the broker cannot be reached: the hub is away",
        "the broker does not answer within 5 seconds",
        "the broker cannot be reached: KeyError: 'connect has a fault'",
    ]


def test_another_broker_may_come_later(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        hub = Hub()
        hub.is_away = True
        broker = MemoryBroker(hub)
        relay = Relay(broker, "the broker", Subscribers("topic"), required=False)
        relay.publish(Publication("topic", b"1", is_text=False, compress=False))
        await relay.start()
        await asyncio.sleep(10)
        hub.is_away = False
        await asyncio.sleep(3)
        assert broker.topics == {"topic"}
        assert broker.taken == 1
        await relay.stop(1.0)

    run(main())
    assert "the broker cannot be reached: the hub is away: it is tried again" in caplog.text


def test_only_what_somebody_published_waits_after_an_outage_or_counts_as_lost(caplog: pytest.LogCaptureFixture) -> None:
    async def play(pair: Pair) -> None:
        def tell() -> None:
            pair.relay.publish(Publication("$socketify.all", b"x", is_text=False, compress=False), at_once=True)

        pair.hub.stop()
        await asyncio.sleep(40)
        pair.publish(1)
        tell()
        pair.hub.is_away = False
        while not pair.relay.is_connected:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)
        assert pair.broker.calls[-1] == ("publish", ("$socketify.all",))
        tell()
        await asyncio.sleep(0.01)
        assert pair.broker.calls[-2:] == [("publish", ("$socketify.all",))] * 2
        await pair.relay.settle()
        assert pair.broker.calls[-1] == ("publish", ("topic",))
        pair.hub.stop()
        await asyncio.sleep(0.01)
        tell()

    pair = in_virtual_time(play)
    assert pair.relay.counters.lost == 0
    assert "messages for other processes are lost" not in caplog.text


def test_changes_of_subscribers_do_not_pile_up_during_an_outage() -> None:
    async def play(pair: Pair) -> None:
        pair.here.changes = [("before", True)]
        pair.hub.stop()
        await asyncio.sleep(0.01)
        assert pair.here.changes == []
        pair.here.changes = [("topic", False), ("a", True), ("before", False)]
        pair.relay.take_changes()
        assert pair.here.changes == []
        pair.hub.is_away = False
        await asyncio.sleep(5)
        assert pair.broker.topics == {"a"}

    in_virtual_time(play)


def test_nothing_lags_longer_than_the_app_is_served() -> None:
    async def main() -> None:
        broker = MemoryBroker(Hub())
        relay = Relay(broker, "the broker", Subscribers(), required=False)
        for _ in range(10_000):
            relay.publish(Publication("topic", b"1" * 1000, is_text=False, compress=False))
        # An app that is not served keeps little.
        assert relay.counters.lost > 9000
        await asyncio.sleep(1000)
        await relay.start()
        broker.may_go_on = asyncio.Event()
        await asyncio.sleep(1)
        assert round(relay.counters.lag, 2) == 1
        broker.may_go_on.set()
        await relay.settle()
        assert round(relay.counters.lag, 2) == 1
        await relay.stop(1.0)

    run(main())
