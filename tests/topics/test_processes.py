"""Two apps in two processes that share topics by a real server of Redis or NATS."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from broker_servers import SERVERS, BrokerServer, RedisServer
from server_programs import ROOT, environment
from websocket_crowd import Listener, until

PROGRAM = ROOT / "tests" / "support" / "topics_program.py"


@pytest.fixture(params=SERVERS)
def server(request: Any) -> Iterator[BrokerServer]:
    pytest.importorskip(request.param)
    with SERVERS[request.param]() as server:
        yield server


@contextlib.contextmanager
def program(broker: str, *arguments: str, before: tuple[str, ...] = ()) -> Iterator[int]:
    """Serve in a process of its own; gives the port."""
    command = [*before, sys.executable, "-u", str(PROGRAM), broker, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(), text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def run(coroutine: Any) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 50))


def numbers(listener: Listener, sender: str) -> list[int]:
    """Return the numbers of what somebody published, in the order in which they arrived."""
    return [int(each[len(sender) + 1 :]) for each in listener.texts if each.startswith(f"{sender}:")]


def test_a_thousand_websockets_get_everything_once_and_in_order(server: BrokerServer) -> None:
    async def main(ports: tuple[int, int]) -> None:
        crowd = [await Listener.open(port) for _ in range(500) for port in ports]
        for group in range(0, 1000, 100):
            await asyncio.gather(
                *(each.ask(f"subscribe all,own{index}") for index, each in enumerate(crowd[group : group + 100]))
            )
        one, two = crowd[:2]
        while await one.ask("count all") != "1000":  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        for number in range(20):
            one.send(f"publish all 1:{number}")
            two.send(f"publish all 2:{number}")
            await asyncio.sleep(0)
        await until(lambda: all(len(numbers(each, "1") + numbers(each, "2")) >= 40 for each in crowd))
        for listener in crowd:
            assert numbers(listener, "1") == numbers(listener, "2") == list(range(20))
            listener.transport.abort()

    with program(server.url("")) as first, program(server.url("")) as second:
        run(main((first, second)))


class Load:
    """Two processes, and in each a websocket that publishes numbers for ever, and gets those of both."""

    def __init__(self, ports: tuple[tuple[str, int], tuple[str, int]]) -> None:
        self._ports = ports
        self.sent = {"1": 0, "2": 0}
        self._is_on = True

    async def __aenter__(self) -> Load:
        self.listeners = [await Listener.open(port, host) for host, port in self._ports]
        for listener in self.listeners:
            await listener.ask("subscribe t")
        self._tasks = [asyncio.ensure_future(self._publish(*each)) for each in zip(self.sent, self.listeners)]
        return self

    async def _publish(self, sender: str, listener: Listener) -> None:
        while self._is_on:
            for _ in range(5):
                listener.send(f"publish t {sender}:{self.sent[sender]}")
                self.sent[sender] += 1
            await asyncio.sleep(0.005)

    async def goes_on(self) -> None:
        """Wait until both hear each other's latest."""
        marks = dict(self.sent)
        for listener, other in zip(self.listeners, ("2", "1")):
            await until(lambda listener=listener, other=other: numbers(listener, other)[-1:] >= [marks[other]])

    async def __aexit__(self, *error: object) -> None:
        self._is_on = False
        await asyncio.gather(*self._tasks)
        if error[0] is None:
            await self._check()
        for listener in self.listeners:
            listener.transport.abort()

    async def _check(self) -> None:
        for listener, own, other in zip(self.listeners, ("1", "2"), ("2", "1")):
            last = self.sent[other] - 1
            await until(lambda listener=listener, other=other, last=last: numbers(listener, other)[-1] == last)
            # The own process has everything, whatever the broker does.
            await until(lambda listener=listener, own=own: numbers(listener, own)[-1] == self.sent[own] - 1)
            assert numbers(listener, own) == list(range(self.sent[own]))
            found = numbers(listener, other)
            assert all(before < after for before, after in zip(found, found[1:]))


def test_order_and_at_most_once_hold_when_the_server_is_killed_and_when_it_stops(server: BrokerServer) -> None:
    async def main(ports: Any) -> None:
        async with Load(ports) as load:
            await load.goes_on()
            server.kill()
            await asyncio.sleep(0.3)
            server.start()
            await load.goes_on()
            server.suspend()
            await asyncio.sleep(2.2)
            server.resume()
            await load.goes_on()
            assert [int((await each.ask("flush")).split(",")[3]) for each in load.listeners] == [2, 2]

    with program(server.url()) as first, program(server.url()) as second:
        run(main((("127.0.0.1", first), ("127.0.0.1", second))))


@pytest.mark.parametrize("scheme", SERVERS)
def test_a_broker_that_is_away_ends_the_program_soon_with_one_line(scheme: str, tmp_path: Path) -> None:
    pytest.importorskip(scheme)
    (tmp_path / "quiet.py").write_text("def run(app):\n    pass\n")
    began = time.monotonic()
    command = [sys.executable, "-m", "socketify", "quiet:run", "--port", "0", "--broker", f"{scheme}://me:secret@127.0.0.1:1"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=30, check=False)
    assert time.monotonic() - began < 15
    assert done.returncode == 2
    line = done.stderr.strip()
    assert "\n" not in line
    assert f"{scheme}://127.0.0.1:1" in line
    assert "secret" not in line


@contextlib.contextmanager
def other_host() -> Iterator[tuple[str, str, str]]:
    """Make a network namespace that is joined to this one; gives its name, the address here, and the one there."""
    name, here, there = f"socketify{os.getpid()}", "10.213.77.1", "10.213.77.2"
    steps = [
        f"netns add {name}",
        f"link add sk{os.getpid()} type veth peer name eth0 netns {name}",
        f"addr add {here}/30 dev sk{os.getpid()}",
        f"link set sk{os.getpid()} up",
        f"-n {name} addr add {there}/30 dev eth0",
        f"-n {name} link set eth0 up",
        f"-n {name} link set lo up",
    ]
    if shutil.which("ip") is None:
        pytest.skip("ip is not installed")
    try:
        for step in steps:
            done = subprocess.run(["ip", *step.split()], capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"network namespaces are not permitted: {done.stderr.strip()}")
        yield name, here, there
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


async def ip(arguments: str) -> None:
    process = await asyncio.create_subprocess_exec("ip", *arguments.split())
    assert await process.wait() == 0


def test_two_hosts_whose_connection_is_interrupted() -> None:
    pytest.importorskip("redis")

    async def main(ports: Any, name: str) -> None:
        async with Load(ports) as load:
            await load.goes_on()
            await ip(f"-n {name} link set eth0 down")
            await asyncio.sleep(1.5)
            await ip(f"-n {name} link set eth0 up")
            await load.goes_on()
            reconnects = [int((await each.ask("flush")).split(",")[3]) for each in load.listeners]
            assert reconnects[0] == 0
            assert reconnects[1] > 0

    with other_host() as (name, here, there), RedisServer(host=here) as server:
        inside = ("ip", "netns", "exec", name)
        with program(server.url(), here) as first, program(server.url(), there, before=inside) as second:
            run(main(((here, first), (there, second)), name))
