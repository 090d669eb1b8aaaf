"""Measures what topics cost one process, without a broker and with one that carries nothing. Linux only.

    python bench/topic_costs.py [--topics 100000] [--messages 20000]

Memory: what each topic takes that one websocket subscribes to, a thousand for each message of it. CPU time: of publishing
100 bytes to a topic that nobody is subscribed to, and of a subscription and its end. Each way has a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from websockets.asyncio.client import connect

from socketify import App, OpCode, Publication

AT_ONCE = 1000


class Idle:
    """A broker that takes everything, and brings nothing."""

    echoes = False

    async def connect(self, deliver: Callable[[Sequence[Publication]], None]) -> None:
        """Begin."""

    async def wait_until_lost(self) -> str:
        """Wait for ever."""
        await asyncio.get_running_loop().create_future()
        return ""

    async def publish(self, _publications: Sequence[Publication]) -> int:
        """Take publications."""
        return 0

    async def flush(self) -> None:
        """Have taken everything."""

    async def subscribe(self, _topics: Sequence[str]) -> None:
        """Take topics."""

    async def unsubscribe(self, _topics: Sequence[str]) -> None:
        """Take topics."""

    async def close(self) -> None:
        """End."""


def private_bytes() -> int:
    """Returns how much memory this process has changed."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty"))


def timed(count: int, function: Callable[..., object], *arguments: Any) -> float:
    """Returns the microseconds of CPU time of a call."""
    began = time.process_time()
    for _ in range(count):
        function(*arguments)
    return (time.process_time() - began) / count * 1e6


async def measure(app: App, topics: int, messages: int) -> None:
    """Measures an app, and prints what it costs."""

    def in_and_out(ws: Any) -> None:
        ws.subscribe("once")
        ws.unsubscribe("once")

    def on_message(ws: Any, message: str, _opcode: OpCode) -> None:
        if message == "time":
            answers = [timed(messages, each, "nobody", b"x" * 100) for each in (app.publish, ws.publish)]
            ws.send([*answers, timed(messages, in_and_out, ws)], OpCode.TEXT)
            return
        for number in range(int(message), int(message) + AT_ONCE):
            ws.subscribe(f"topic-{number:08d}")
        ws.send("done", OpCode.TEXT)

    ports: list[int] = []
    app.ws("/", {"message": on_message, "idle_timeout": 0})
    app.listen(0, lambda config: ports.append(config.port))
    serving = asyncio.ensure_future(app.serve())
    async with connect(f"ws://127.0.0.1:{ports[0]}/", ping_interval=None) as client:
        await client.send("time")
        print("app.publish, ws.publish, subscribe and unsubscribe, us:", await client.recv())
        await app.flush_topics()
        before = private_bytes()
        for number in range(0, topics, AT_ONCE):
            await client.send(str(number))
            await client.recv()
        await app.flush_topics()
        print(f"{(private_bytes() - before) / topics:.0f} bytes for each topic")
    app.close()
    await serving


def main() -> None:
    """Measures both ways, or one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--topics", type=int, default=100_000)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--broker", choices=("none", "idle"), help="only this way")
    arguments = parser.parse_args()
    if arguments.broker is None:
        for broker in ("none", "idle"):
            print(f"broker: {broker}", flush=True)
            subprocess.run([sys.executable, __file__, *sys.argv[1:], "--broker", broker], check=True)
        return
    app = App(broker="none" if arguments.broker == "none" else Idle())
    asyncio.run(measure(app, arguments.topics, arguments.messages))


if __name__ == "__main__":
    main()
