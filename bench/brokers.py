"""Measures what websockets of two processes cost that hear each other by Redis, beside other people's ways. Linux only.

    python bench/set_up_peers.py --only brokers
    python bench/brokers.py [--rounds 3] [--seconds 2] [--only KIND,KIND]

Two processes have 500 websockets each. Two websockets, one of each process, publish: to the only topic, which all subscribe to,
or in turn to 1,000 topics, each of which one of them subscribes to. The servers and Redis share one core, and the clients have
another. What counts is deliveries for each second of the servers' CPU time, with a bounded number of publications on the way;
then, at half of that rate, how long it takes from publishing to receipt. Messages have fixed lengths, so that clients need only
count bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional

import uvloop
from environments import OWN, Environments
from harness import BenchmarkError, Server, Spread, choose_cpus, pinned, raise_descriptor_limit
from services import ADDRESS, free_port, redis

SERVER = Path(__file__).parent / "serve" / "brokers.py"
KINDS = ("socketify", "socketify-nats", "redis-py", "python-socketio", "channels_redis.pubsub", "channels_redis.core")
SUBSCRIBERS = 1000
#: How many publications are on the way at once, by the number of topics.
ON_THE_WAY = {1: 4, 1000: 200}
#: Seconds without a delivery after which what is on the way is missing.
PATIENCE = 5.0


class Client(asyncio.Protocol):
    """A websocket that counts what it gets by its bytes."""

    def __init__(self, load: Load, number: int) -> None:
        self.load = load
        self.number = number
        self.ready: asyncio.Future[None] = load.loop.create_future()
        self._seen = b""
        self._bytes = 0

    def connection_made(self, transport: Any) -> None:
        """Shake hands."""
        self.transport = transport
        path = self.load.path(self.number)
        transport.write(
            f"GET {path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Read the answer to the handshake, and then messages."""
        if self.ready.done():
            self.count(data)
            return
        self._seen += data
        if self.load.kind == "python-socketio":
            # Engine.IO opens, we connect to the namespace, and it confirms that.
            if b"\r\n\r\n" in self._seen and b'0{"' in self._seen and not self._bytes:
                self._bytes = 1
                self.transport.write(frame("40"))
            if b'40{"' in self._seen:
                self.transport.write(frame(f'42["subscribe","{self.load.topic(self.number)}"]'))
                self._bytes = 0
                self.ready.set_result(None)
        elif b"\r\n\r\n" in self._seen:
            self.ready.set_result(None)

    def count(self, data: bytes) -> None:
        """Count whole messages, and look when the last one of those that arrived together was published."""
        self._bytes += len(data)
        whole, self._bytes = divmod(self._bytes, self.load.frame_bytes)
        if whole:
            at = data.rfind(b"@")
            self.load.on_delivery(whole, data[at + 1 : at + 17] if at >= 0 else b"")

    def publish(self, topic: str) -> None:
        """Publish a message that says where it goes, and when that was."""
        text = f"{topic}@{time.monotonic_ns() // 1000:016}".ljust(self.load.message_bytes, "x")
        self.transport.write(frame(f'42["publish","{text}"]' if self.load.kind == "python-socketio" else text))


def frame(text: str) -> bytes:
    """Return a text as a client sends it, masked by nothing."""
    data = text.encode()
    head = bytes((0x81, 0x80 | len(data))) if len(data) < 126 else b"\x81\xfe" + len(data).to_bytes(2, "big")
    return head + bytes(4) + data


@dataclass(frozen=True)
class Run:
    """What a load gave."""

    delivered: int
    missing: int
    seconds: float
    cpu_seconds: float
    latencies_us: tuple[int, ...]

    @property
    def per_cpu_second(self) -> float:
        """Deliveries for each second of the servers' CPU time."""
        return self.delivered / self.cpu_seconds

    @property
    def p99_ms(self) -> float:
        """How long 99 of 100 messages take at most."""
        return sorted(self.latencies_us)[len(self.latencies_us) * 99 // 100] / 1000 if self.latencies_us else 0.0


class Load:
    """Clients of two servers."""

    def __init__(self, kind: str, topics: int, message_bytes: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.kind, self.topics, self.message_bytes = kind, topics, message_bytes
        payload = message_bytes + len('42["m",""]') * (kind == "python-socketio")
        self.frame_bytes = payload + (2 if payload < 126 else 4)
        self.clients: list[Client] = []
        self.delivered = self._published = 0
        self._latencies: list[int] = []
        self._wake = asyncio.Event()

    def topic(self, number: int) -> str:
        """Return what a websocket listens to."""
        return f"{number % self.topics:04}" if number < SUBSCRIBERS else "none"

    def path(self, number: int) -> str:
        """Return where a websocket connects to."""
        return (
            "/socket.io/?EIO=4&transport=websocket"
            if self.kind == "python-socketio"
            else (f"/{self.topic(number)}" if number < SUBSCRIBERS else "/")
        )

    def on_delivery(self, count: int, published_at: bytes) -> None:
        """Count deliveries."""
        self.delivered += count
        if len(published_at) == 16:
            self._latencies.append(time.monotonic_ns() // 1000 - int(published_at))
        self._wake.set()

    async def connect(self, ports: Sequence[int]) -> None:
        """Connect all, alternating between the servers."""
        for first in range(0, SUBSCRIBERS + 2, 50):
            made = []
            for number in range(first, min(first + 50, SUBSCRIBERS + 2)):
                client = Client(self, number)
                await self.loop.create_connection(lambda client=client: client, "127.0.0.1", ports[number % 2])
                made.append(client)
            await asyncio.wait_for(asyncio.gather(*(each.ready for each in made)), 30)
            self.clients += made
        # Subscriptions are on their way to Redis.
        await asyncio.sleep(1)

    def _publish(self) -> None:
        # The neighbour's topic: half of them are subscribed to in the other process.
        number = self._published
        self._published += 1
        self.clients[SUBSCRIBERS + number // 2 % 2].publish(self.topic(number % SUBSCRIBERS))

    async def run(self, seconds: float, rate: float, costs: Callable[[], float]) -> Run:
        """Publish for some seconds, as fast as deliveries arrive, or at a rate of publications."""
        self.delivered = self._published = missing = 0
        self._latencies.clear()
        fan_out = SUBSCRIBERS // self.topics
        before, began = costs(), self.loop.time()
        while (away := self.loop.time() - began) < seconds:
            if rate:
                while self._published < away * rate:
                    self._publish()
                await asyncio.sleep(0.0005)
                continue
            while self._published * fan_out - self.delivered - missing < ON_THE_WAY[self.topics] * fan_out:
                self._publish()
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), PATIENCE)
            except asyncio.TimeoutError:
                missing = self._published * fan_out - self.delivered
        await self._rest(fan_out)
        after = costs()
        return Run(
            self.delivered,
            self._published * fan_out - self.delivered,
            self.loop.time() - began,
            after - before,
            tuple(self._latencies),
        )

    async def _rest(self, fan_out: int) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            while self.delivered < self._published * fan_out:
                self._wake.clear()
                await asyncio.wait_for(self._wake.wait(), PATIENCE)


@contextlib.contextmanager
def broker(kind: str, cpu: Optional[int]) -> Iterator[str]:
    """Run what carries publications; gives its URL."""
    if kind != "socketify-nats":
        with redis(cpu) as variables:
            yield variables[ADDRESS]
        return
    port = free_port()
    command = ["nats-server", "-a", "127.0.0.1", "-p", str(port)]
    with pinned(cpu):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        yield f"nats://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def measure(kind: str, topics: int, message_bytes: int, seconds: float) -> tuple[Run, Run]:
    """Return a run at the peak, and one at half of it."""
    server_cpu, load_cpu = choose_cpus()
    python = sys.executable if kind.startswith("socketify") else Environments().python("brokers")
    if python is None:
        raise BenchmarkError("other people's ways are not installed: python bench/set_up_peers.py --only brokers")

    async def clients(ports: Sequence[int], costs: Callable[[], float]) -> tuple[Run, Run]:
        load = Load(kind, topics, message_bytes)
        await load.connect(ports)
        await load.run(0.5, 0, costs)
        peak = await load.run(seconds, 0, costs)
        rate = peak.delivered / peak.seconds / 2 / (SUBSCRIBERS // topics)
        paced = await load.run(seconds, rate, costs)
        for client in load.clients:
            client.transport.abort()
        return peak, paced

    with broker(kind, server_cpu) as url, contextlib.ExitStack() as stack:
        command = [python, str(SERVER), kind, url]
        own = python == Environments().python(OWN)
        servers = [stack.enter_context(Server(command, server_cpu, source_tree=own)) for _ in range(2)]

        def costs() -> float:
            return sum(each.cpu_seconds() for each in servers)

        with pinned(load_cpu):
            loop = uvloop.new_event_loop()
            try:
                return loop.run_until_complete(clients([each.port for each in servers], costs))
            finally:
                loop.close()


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--rounds", type=int, default=3, help="rounds of each load (default: %(default)s)")
    add("--seconds", type=float, default=2, help="of each load (default: %(default)s)")
    add("--topics", default="1,1000", help="how many topics, with commas between (default: %(default)s)")
    add("--bytes", default="100,1024", help="of a message, with commas between (default: %(default)s)")
    add("--only", default=",".join(KINDS), help="which ways, with commas between (default: all)")
    return parser.parse_args()


def main() -> int:
    """Measure all of it, and print a table."""
    arguments = parse_arguments()
    raise_descriptor_limit(SUBSCRIBERS + 256)
    print("| topics | bytes | way | deliveries/s | per CPU second of the servers | p99 at half of that, ms | missing |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for topics in map(int, arguments.topics.split(",")):
        for message_bytes in map(int, arguments.bytes.split(",")):
            runs: dict[str, list[tuple[Run, Run]]] = {}
            for _ in range(arguments.rounds):
                for kind in arguments.only.split(","):
                    runs.setdefault(kind, []).append(measure(kind, topics, message_bytes, arguments.seconds))
            for kind, found in runs.items():
                peaks = [peak for peak, _ in found]
                cells = [
                    str(topics),
                    str(message_bytes),
                    kind,
                    Spread.of([each.delivered / each.seconds for each in peaks]),
                    Spread.of([each.per_cpu_second for each in peaks]),
                    Spread.of([paced.p99_ms for _, paced in found]),
                    str(sum(peak.missing + paced.missing for peak, paced in found)),
                ]
                print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchmarkError as error:
        sys.exit(f"bench/brokers.py: {error}")
