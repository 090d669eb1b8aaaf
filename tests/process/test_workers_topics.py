"""Topics of several workers: they reach all of them, and only itself suffers from one that dies, stops, or is replaced."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_command import children
from topic_program import Client, QuickClient, one_client_each, write_program
from waiting import wait_until


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Give a directory for temporary files that nobody else uses, with a short path."""
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


@pytest.fixture
def start(command: Any, tmp_path: Path, temporary: Path) -> Any:
    def begin(*more: str, workers: int = 2) -> tuple[Any, int, list[int]]:
        write_program(tmp_path)
        arguments = ("topics_app:run", "--workers", str(workers), "--port", "0", *more)
        running = command(*arguments, env={"TMPDIR": str(temporary)})
        port = int(running.url.rpartition(":")[2])
        return running, port, children(running.process.pid)

    return begin


def one_client_of(pid: int, port: int, stack: contextlib.ExitStack) -> QuickClient:
    while True:
        client = QuickClient(port)
        stack.callback(client.close)
        if client.pid == pid:
            return client


def has_members(temporary: Path, count: int) -> bool:
    return len(list(temporary.glob("*/*.topics"))) == count


@pytest.mark.parametrize("loop", ["auto", "asyncio"])
def test_topics_reach_the_websockets_of_all_workers(start: Any, loop: str) -> None:
    running, port, pids = start("--loop", loop)
    with one_client_each(port, pids) as (one, two):
        for each in (one, two):
            each.join("a")
        one.say("a", "text é")
        one.say("a", "bytes", "bytes")
        one.say("a", "packed " * 10, "pack")
        two.say("a", "back")
        for each in (one, two):
            received = sorted((each.recv() for _ in range(4)), key=str)
            assert received == sorted(["text é", b"bytes", "packed " * 10, "back"], key=str)
        assert one.ask("count a") == 2
        assert one.ask("leave a")
        two.say("a", "alone")
        assert two.recv() == "alone"
        assert one.is_silent()
        assert one.ask("counters") == {**one.ask("counters"), "published": 3, "delivered": 1, "lost": 0}
        assert two.ask("counters") == {**two.ask("counters"), "published": 2, "delivered": 3, "lost": 0}
    assert running.stop() == 0


def test_broker_none_keeps_topics_in_each_worker(start: Any, temporary: Path) -> None:
    running, port, pids = start("--broker", "none")
    with one_client_each(port, pids) as (one, two):
        for each in (one, two):
            each.join("a")
        one.say("a", "x")
        assert one.recv() == "x"
        assert two.is_silent()
        assert one.ask("counters")["published"] == 0
    assert has_members(temporary, 0)
    assert running.stop() == 0


def test_the_directory_is_private_and_is_removed(start: Any, temporary: Path) -> None:
    running, _, _ = start()
    wait_until(lambda: has_members(temporary, 2))
    (directory,) = temporary.glob("sk-topics-*")
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert running.stop() == 0
    assert not directory.exists()


def test_a_worker_that_comes_to_the_only_one_shares_its_topics(start: Any, temporary: Path) -> None:
    running, port, (first,) = start("--max-rss", "2G", workers=1)
    running.process.send_signal(signal.SIGTTIN)
    wait_until(lambda: has_members(temporary, 2))
    pids = children(running.process.pid)
    assert first in pids
    with one_client_each(port, pids) as (one, two):
        for each in (one, two):
            each.join("a")
        one.say("a", "text")
        assert one.recv() == two.recv() == "text"
    assert running.stop() == 0


def test_the_directory_is_removed_when_the_supervisor_is_killed(start: Any, temporary: Path) -> None:
    running, _, _ = start()
    wait_until(lambda: has_members(temporary, 2))
    running.process.kill()
    running.process.wait()
    wait_until(lambda: not list(temporary.glob("sk-topics-*")))


def test_a_thousand_websockets(start: Any) -> None:
    running, port, pids = start()
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(1000):
            clients.append(QuickClient(port))
            stack.callback(clients[-1].close)
        assert {each.pid for each in clients} == set(pids)
        for each in clients:
            each.send("join room")
        for each in clients:
            assert each.recv() == "true"
        publishers = [next(each for each in clients if each.pid == pid) for pid in pids]
        for number in range(10):
            for index, each in enumerate(publishers):
                each.send(f"say room {index}:{number}")
        for each in clients:
            received = [each.recv() for _ in range(20)]
            for index in range(2):
                assert [text for text in received if text.startswith(f"{index}:")] == [f"{index}:{n}" for n in range(10)]
        clients[0].send("count room")
        assert clients[0].recv() == "1000"
    assert running.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_ends_costs_the_others_nothing_and_its_successor_joins(
    start: Any, temporary: Path, number: signal.Signals
) -> None:
    running, port, pids = start(workers=3)
    with one_client_each(port, pids) as (one, two, three):
        for each in (two, three):
            each.join("a")
        for first in range(0, 3000, 100):
            one.say("a", f"{first} {first + 100} 100", "many")
            if first == 1000:
                os.kill(three.pid, number)
        assert two.numbers(3000) == list(range(3000))
        wait_until(lambda: len(set(children(running.process.pid)) - {three.pid}) == 3)
        (successor,) = set(children(running.process.pid)) - {one.pid, two.pid, three.pid}
        with one_client_each(port, [successor]) as (four,):
            four.join("a")
            wait_until(lambda: has_members(temporary, 3))
            one.say("a", "again")
            assert [two.recv(), four.recv()] == ["again", "again"]
            assert one.ask("counters")["lost"] == 0
            assert one.ask("count a") == 2
    assert running.stop() == 0


def test_a_stopped_worker_costs_the_others_nothing_but_counted_losses(start: Any) -> None:
    running, port, pids = start(workers=3)
    count, size = 4000, 10_000
    options = {"max_size": None, "max_queue": None}
    with one_client_each(port, pids, **options) as (one, two, three), contextlib.ExitStack() as stack:
        for each in (two, three):
            each.join("a")
        waiting = one_client_of(one.pid, port, stack)
        os.kill(three.pid, signal.SIGSTOP)
        try:
            # One waits until the stopped one knows what it is subscribed to; the others know it meanwhile.
            waiting.send("join b")
            wait_until(lambda: two.say("b", "known") or waiting.has_received())
            assert waiting.recv() == "known"
            # Others are not kept waiting, by publishing or by joining.
            for first in range(0, count, 100):
                one.say("a", f"{first} {first + 100} {size}", "many")
                assert two.numbers(100) == list(range(first, first + 100))
            lost = one.ask("counters")["lost"]
            assert 0 < lost < count
            two.say("a", "meanwhile")
            assert two.recv() == "meanwhile"
        finally:
            os.kill(three.pid, signal.SIGCONT)
        while waiting.recv() != "true":
            pass
        received = []
        for _ in range(count - lost + 1):
            received.append(three.recv().partition(":")[0])
        assert received.count("meanwhile") == 1
        received.remove("meanwhile")
        assert list(map(int, received)) == sorted(set(map(int, received)))
        assert three.is_silent()
        one.say("a", "again")
        assert [two.recv(), three.recv()] == ["again", "again"]
    assert running.stop() == 0


def test_a_websocket_that_does_not_read_costs_the_others_nothing(start: Any) -> None:
    running, port, pids = start()
    with one_client_each(port, pids) as (one, two), contextlib.ExitStack() as stack:
        slow = [stack.enter_context(contextlib.closing(QuickClient(port))) for _ in range(8)]
        assert {each.pid for each in slow} <= set(pids)
        for quick in slow:
            quick.send("join a")
            assert quick.recv() == "true"
        two.join("a")
        for first in range(0, 2000, 100):
            one.say("a", f"{first} {first + 100} 10000", "many")
            assert two.numbers(100) == list(range(first, first + 100))
    assert running.stop() == 0


def test_a_rolling_restart(start: Any, temporary: Path) -> None:
    running, port, pids = start()
    with one_client_each(port, pids) as (one, two):
        one.join("a")
        two.join("a")
        running.process.send_signal(signal.SIGHUP)
        # The first successor joins while old workers serve.
        wait_until(lambda: len(set(children(running.process.pid)) - set(pids)) > 0)
        with contextlib.suppress(Exception):
            two.say("a", "old to old")
            assert one.recv() == "old to old"
    wait_until(lambda: not set(children(running.process.pid)) & set(pids) and len(children(running.process.pid)) == 2)
    wait_until(lambda: has_members(temporary, 2))
    with one_client_each(port, children(running.process.pid)) as (one, two):
        one.join("a")
        two.join("a")
        one.say("a", "x")
        assert [one.recv(), two.recv()] == ["x", "x"]
        assert one.ask("count a") == 2
    assert running.stop() == 0


def test_workers_of_another_supervisor_are_strangers(start: Any) -> None:
    (first, first_port, _), (second, second_port, _) = start(), start()
    one, two = Client(first_port), Client(second_port)
    with contextlib.closing(one), contextlib.closing(two):
        one.join("a")
        two.join("a")
        one.say("a", "x")
        assert one.recv() == "x"
        assert two.is_silent()
        assert one.ask("count a") == 1
    assert first.stop() == 0
    assert second.stop() == 0
