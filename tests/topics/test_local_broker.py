"""The embedded broker by itself: members of one directory, some of them in processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from socketify.topics.broker import BrokerError, Publication
from socketify.topics.brokers import local_frames as frames
from socketify.topics.brokers.local_broker import LocalBroker
from socketify.topics.brokers.local_directory import make_directory, remove_directory

ROOT = Path(__file__).parents[2]


@pytest.fixture
def directory() -> Iterator[Path]:
    made = make_directory()
    yield made
    remove_directory(made)
    assert not made.exists()


def message(topic: str, data: Any = b"x", is_text: bool = False, compress: bool = False) -> Publication:
    return Publication(topic, data if isinstance(data, bytes) else str(data).encode(), is_text, compress)


class Member:
    """A broker, and what it has delivered."""

    def __init__(self, directory: Path, **options: Any) -> None:
        self.broker = LocalBroker(f"local://{directory}", **options)
        self.got: list[Publication] = []

    async def join(self, *topics: str) -> Member:
        await self.broker.connect(self.got.extend)
        await self.broker.subscribe(topics)
        return self

    def texts(self) -> list[str]:
        return [each.data.decode() for each in self.got]


async def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def members(directory: Path, *topics: Sequence[str], **options: Any) -> AsyncIterator[list[Member]]:
    """Give members that know each other, each subscribed to its topics."""
    found = [await Member(directory, **options).join(*each) for each in topics]
    try:
        await acquainted(found)
        yield found
    finally:
        for each in found:
            await each.broker.close()


async def acquainted(found: list[Member]) -> None:
    """Wait until each has read what every other one has told so far."""
    await until(lambda: all(len(each.broker._inlets) >= len(found) - 1 for each in found))
    await asyncio.wait_for(asyncio.gather(*(each.broker.wait_until_known() for each in found)), 20)


def test_only_those_who_subscribed_get_a_publication_and_not_the_sender(directory: Path) -> None:
    async def run() -> None:
        async with members(directory, ["a", "b"], ["a"], ["b"], []) as (one, two, three, four):
            sent = [message("a", "é", is_text=True), message("b", b"\xff\x00", compress=True), message("c")]
            assert not await one.broker.publish(sent)
            await until(lambda: two.got and three.got)
            assert two.got == sent[:1]
            assert three.got == sent[1:2]
            await four.broker.publish([message("b", 4)])
            await until(lambda: one.got and len(three.got) == 2)
            assert [one.texts(), two.texts(), four.got] == [["4"], ["é"], []]
            assert len(one.broker._links) == 3

    asyncio.run(run())


def test_nobody_is_woken_by_what_it_does_not_want(directory: Path) -> None:
    async def run() -> None:
        async with members(directory, [], ["other"]) as (one, two):
            (inlet,) = two.broker._inlets.values()
            reads: list[int] = []
            inlet._reader.feed = lambda data: reads.append(len(data)) or ([], [])  # type: ignore[assignment, func-returns-value]
            await one.broker.publish([message("topic")] * 100)
            await asyncio.sleep(0.05)
            assert reads == []

    asyncio.run(run())


def test_leaving_a_topic_and_coming_back(directory: Path) -> None:
    async def run() -> None:
        async with members(directory, [], ["a"]) as (one, two):
            await one.broker.publish([message("a", 1)])
            await until(lambda: two.got)
            await two.broker.unsubscribe(["a"])
            # What is on its way is not delivered any more.
            await one.broker.publish([message("a", 2)])
            await acquainted([one, two])
            await two.broker.subscribe(["a"])
            await acquainted([one, two])
            await one.broker.publish([message("a", 3)])
            await until(lambda: len(two.got) == 2)
            assert two.texts() == ["1", "3"]

    asyncio.run(run())


def test_who_joins_loses_nothing_that_others_publish_when_they_know_it_and_nothing_of_its_own(directory: Path) -> None:
    async def run() -> None:
        async with members(directory, ["a"]) as (one,):
            two = await Member(directory).join("b")
            # It cannot know yet what others want.
            await two.broker.publish([message("a", 1), message("x", 2)])
            await until(lambda: one.got)
            await one.broker.publish([message("b", 3)])
            await until(lambda: two.got)
            assert [one.texts(), two.texts()] == [["1"], ["3"]]
            await two.broker.close()
            await until(lambda: not one.broker._links)
            assert len(one.broker._links) == 0

    asyncio.run(run())


def test_everything_arrives_once_and_in_order_also_of_any_size(directory: Path) -> None:
    async def run() -> None:
        async with members(directory, ["a"], ["a"], ["a"]) as found:
            sizes = [0, 1, 100, 65_535, 65_536, 300_000, 3_000_000, 5, 0]
            for number, size in enumerate(sizes):
                for sender, each in enumerate(found):
                    assert not await each.broker.publish([message("a", f"{sender}:{number}:" + "x" * size)] * 2)
            await until(lambda: all(len(each.got) == 4 * len(sizes) for each in found))
            for receiver, each in enumerate(found):
                for sender in {0, 1, 2} - {receiver}:
                    mine = [text for text in each.texts() if text.startswith(f"{sender}:")]
                    wanted = [f"{sender}:{number}:" + "x" * size for number, size in enumerate(sizes) for _ in range(2)]
                    assert mine == wanted

    asyncio.run(run())


PROGRAM = """
import asyncio, sys
from socketify.topics.brokers.local_broker import LocalBroker
from socketify.topics.broker import Publication

async def main():
    broker = LocalBroker("local://" + sys.argv[1])
    count = size = 0
    async def report():
        await broker.publish([Publication("report", b"%d" % count, True, False)])
    def deliver(publications):
        nonlocal count
        for each in publications:
            count += each.topic == "a"
            if each.topic == "ask":
                asyncio.ensure_future(report())
    await broker.connect(deliver)
    await broker.subscribe(["a", "ask"])
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@contextlib.contextmanager
def process(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a member in a process of its own, which counts what it gets, and publishes that to `report` when it is asked."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PROGRAM, str(directory)]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert started.stdout is not None
        assert started.stdout.readline() == "ready\n"
        yield started
    finally:
        started.kill()
        started.wait()
        assert started.stdout is not None
        started.stdout.close()


async def count_of(member: Member) -> int:
    before = len(member.got)
    await member.broker.publish([message("ask")])
    await until(lambda: len(member.got) > before)
    return int(member.texts()[-1])


def test_a_killed_process_is_forgotten_and_its_socket_is_removed(directory: Path) -> None:
    async def run() -> None:
        with process(directory) as other:
            async with members(directory, ["a", "report"]) as (one,):
                await until(lambda: one.broker._inlets)
                assert await count_of(one) == 0
                other.send_signal(signal.SIGKILL)
                await until(lambda: not one.broker._links)
                await until(lambda: len(list(directory.iterdir())) == 1)
                assert not await one.broker.publish([message("a")])
                async with members(directory, ["a"]) as (two,):
                    await acquainted([one, two])
                    await one.broker.publish([message("a", 7)])
                    await until(lambda: two.got)
                    assert two.texts() == ["7"]

    asyncio.run(run())


def test_a_stopped_process_costs_others_nothing_but_counted_losses(directory: Path) -> None:
    async def run() -> None:
        with process(directory) as other:
            async with members(directory, ["report"], ["a"], waiting_max=1_000_000) as (one, two):
                await until(lambda: len(one.broker._inlets) == 2)
                assert await count_of(one) == 0
                other.send_signal(signal.SIGSTOP)
                for number in range(1000):
                    await one.broker.publish([message("a", f"{number:05}" + "x" * 5000)])
                    if number % 10 == 0:
                        await asyncio.sleep(0)
                await until(lambda: len(two.got) == 1000)
                assert [text[:5] for text in two.texts()] == [f"{number:05}" for number in range(1000)]
                (stopped,) = (link for link in one.broker._links.values() if link._has_waiting())
                assert stopped._waiting_size <= 1_000_000
                # Interests that it does not read are dropped as well, and told again.
                for number in range(300):
                    await one.broker.subscribe([f"{number}{'t' * 10_000}"])
                assert stopped._notices_size <= 1_100_000
                # Who joins meanwhile has nothing to do with it either.
                three = await Member(directory).join("a")
                await until(lambda: len(one.broker._inlets) == 3)
                await one.broker.publish([message("a", "three")])
                await until(lambda: three.texts() == ["three"])
                await three.broker.close()
                other.send_signal(signal.SIGCONT)
                await until(lambda: not stopped._has_waiting())
                count = await count_of(one)
                assert 0 < one.broker.lost < 1001
                assert count == 1001 - one.broker.lost

    asyncio.run(run())


def test_what_is_subscribed_to_is_known_when_all_who_live_have_read_it(directory: Path) -> None:
    async def run() -> None:
        async with members(directory, ["a"]) as (one,):
            await one.broker.wait_until_known()
            with process(directory) as other:
                await until(lambda: one.broker._inlets)
                await one.broker.wait_until_known()
                other.send_signal(signal.SIGSTOP)
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(one.broker.wait_until_known(), 0.1)
                flushing = asyncio.ensure_future(one.broker.wait_until_known())
                # Who joins meanwhile is asked as well where it was not known.
                two = await Member(directory).join()
                await asyncio.sleep(0.05)
                assert not flushing.done()
                other.send_signal(signal.SIGKILL)
                await asyncio.wait_for(flushing, 20)
                assert not one.broker._questions
                await two.broker.wait_until_known()
                await two.broker.close()

    asyncio.run(run())


def test_who_does_not_answer_is_not_waited_for_again_where_it_may_be_skipped(directory: Path) -> None:
    async def run() -> None:
        with process(directory) as other:
            async with members(directory, ["report"]) as (one,):
                await until(lambda: one.broker._inlets)
                await one.broker.wait_until_known(skips_silent=True)
                other.send_signal(signal.SIGSTOP)
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(one.broker.wait_until_known(skips_silent=True), 0.25)
                await asyncio.wait_for(one.broker.wait_until_known(skips_silent=True), 10)
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(one.broker.wait_until_known(), 0.1)
                other.send_signal(signal.SIGCONT)
                await asyncio.wait_for(one.broker.wait_until_known(), 10)

    asyncio.run(run())


def test_all_that_a_process_wants_is_told_once_however_much_it_is(directory: Path) -> None:
    async def run() -> None:
        async with members(directory, [f"{number}{'t' * 200}" for number in range(30_000)]) as (one,):
            told: list[str] = []
            resumed = one.broker._on_link_resumed
            one.broker._on_link_resumed = lambda link: (told.append(link.name), resumed(link))  # type: ignore[method-assign]
            with process(directory):
                await until(lambda: one.broker._links)
                for number in range(100):
                    await one.broker.subscribe([f"more {number}"])
                await asyncio.wait_for(one.broker.wait_until_known(), 20)
                assert told == []

    asyncio.run(run())


def test_what_another_process_asks_is_answered_when_it_reads_again(directory: Path) -> None:
    async def run() -> None:
        async with members(directory, [], []) as (one, two):
            (link,) = one.broker._links.values()
            link._dropped_notices = True
            asking = asyncio.ensure_future(two.broker.wait_until_known())
            await until(lambda: one.broker._owed)
            link._drain()
            await asyncio.wait_for(asking, 10)

    asyncio.run(run())


def test_a_message_beyond_the_bound_goes_alone_and_others_beside_it_are_lost(directory: Path) -> None:
    async def run() -> None:
        async with members(directory, [], ["a"], waiting_max=100_000) as (one, two):
            large = message("a", "x" * 2_000_000)
            await one.broker.publish([message("b"), large, large, message("b"), *[message("a")] * 3])
            assert one.broker.lost == 3
            await until(lambda: len(two.got) == 2)
            await one.broker.publish([message("a")])
            await until(lambda: len(two.got) == 3)
            assert one.broker.lost == 3
            assert [len(text) for text in two.texts()] == [2_000_000, 2_000_000, 1]

    asyncio.run(run())


def test_a_directory_of_others_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        for mode in (0o777, 0o750, 0o701):
            os.chmod(tmp_path, mode)  # noqa: PTH101 - it takes no time
            with pytest.raises(BrokerError, match=r"must be a directory that this user has alone \(mode 0700\)"):
                await LocalBroker(f"local://{tmp_path}").connect(print)
        with pytest.raises(BrokerError, match="cannot be used: No such file"):
            await LocalBroker("local:///no/such/place").connect(print)
        (tmp_path / "file").touch(mode=0o600)
        with pytest.raises(BrokerError, match="must be a directory"):
            await LocalBroker(f"local://{tmp_path}/file").connect(print)

    asyncio.run(run())


def test_a_missing_directory_is_made_and_a_long_path_is_refused() -> None:
    async def run(base: Path) -> None:
        broker = LocalBroker(f"local://{base}/made%20here")
        await broker.connect(print)
        assert stat.S_IMODE((base / "made here").stat().st_mode) == 0o700
        await broker.close()
        assert not list((base / "made here").iterdir())
        with pytest.raises(BrokerError, match="too long for Unix-domain sockets"):
            await LocalBroker(f"local://{base}/{'x' * 90}").connect(print)

    with tempfile.TemporaryDirectory() as base:
        asyncio.run(run(Path(base)))


def test_a_long_temporary_directory_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    made = make_directory()
    try:
        assert made.parent == Path("/tmp")
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
        with socket.socket(socket.AF_UNIX) as probe:
            probe.bind(str(made / "12345678-12345678.topics"))
    finally:
        remove_directory(made)


@pytest.mark.parametrize("url", ["local://", "local://relative", "redis:///x", ""])
def test_a_url_without_a_path_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="local:///path/of/a/directory"):
        LocalBroker(url)


@pytest.mark.parametrize(
    "stream",
    [
        b"GET / HTTP/1.1\r\n\r\n" + bytes(1000),
        frames.frame_publication(*message("a")),
        frames.frame_mark(frames.COMPLETE),
        frames.frame_hello("../x.topics"),
        frames.frame_hello("no name"),
        frames.frame_hello("ffff-1.topics") * 2,
        frames.frame_hello("ffff-1.topics")[:5],
        b"",
    ],
)
def test_what_is_no_member_is_refused_and_harms_nobody(
    directory: Path, stream: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        async with members(directory, ["a"], ["a"]) as (one, two):
            (name,) = two.broker._links
            with socket.socket(socket.AF_UNIX) as stranger:
                stranger.connect(str(directory / name))
                stranger.sendall(stream)
                stranger.shutdown(socket.SHUT_WR)
                stranger.setblocking(False)
                with contextlib.suppress(ConnectionResetError):
                    assert await asyncio.get_running_loop().sock_recv(stranger, 1) == b""
            await until(lambda: not one.broker._strangers and len(one.broker._inlets) == 1)
            await two.broker.publish([message("a", 1)])
            await until(lambda: one.got)
            assert one.texts() == ["1"]
            assert len(one.broker._links) == 1

    asyncio.run(run())
    assert all("the broker refuses another process" in record.message for record in caplog.records)


def test_members_that_were_cut_off_by_one_of_them_find_each_other_again(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        async with members(directory, ["a"], ["a"]) as (one, two):
            (link,) = one.broker._links.values()
            link.batch.append(struct_of_nonsense())
            link.publish()
            await until(lambda: caplog.records)
            await until(lambda: one.broker._links.get(link.name) not in (link, None) and two.broker._inlets)
            await acquainted([one, two])
            await one.broker.publish([message("a", 1)])
            await two.broker.publish([message("a", 2)])
            await until(lambda: one.got and two.got)
            assert [one.texts(), two.texts()] == [["2"], ["1"]]

    asyncio.run(run())


def struct_of_nonsense() -> bytes:
    return b"\0\0\0\0\0\0\x63\0"


def test_leaving_sends_what_waits_first(directory: Path) -> None:
    async def run() -> None:
        async with members(directory, ["a"]) as (one,):
            two = await Member(directory).join()
            await acquainted([one, two])
            await two.broker.publish([message("a", "x" * 1_000_000) for _ in range(10)])
            await two.broker.close()
            await until(lambda: len(one.got) == 10)

    asyncio.run(run())


def test_closed_it_may_be_connected_again(directory: Path) -> None:
    async def run() -> None:
        async with members(directory, ["a"], []) as (one, two):
            await one.broker.close()
            await one.broker.close()
            await until(lambda: not two.broker._links)
            await one.join("b")
            await acquainted([one, two])
            await two.broker.publish([message("a", 1), message("b", 2)])
            await until(lambda: one.got)
            assert one.texts() == ["2"]

    asyncio.run(run())


def test_many_join_at_once(directory: Path) -> None:
    async def run() -> None:
        found = [Member(directory) for _ in range(12)]
        await asyncio.gather(*(each.join("a") for each in found))
        await acquainted(found)
        for number, each in enumerate(found):
            await each.broker.publish([message("a", number)])
        await until(lambda: all(len(each.got) == 11 for each in found))
        for number, each in enumerate(found):
            assert sorted(map(int, each.texts())) == sorted({*range(12)} - {number})
        for each in found:
            await each.broker.close()

    asyncio.run(run())
