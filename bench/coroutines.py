"""What coroutines cost that wait so many times: as asyncio's tasks, as its eager ones, and as handlers are run here.

Usage: python bench/coroutines.py [--rounds N] [--coroutines N] [--loop asyncio|uvloop]
Medians of CPU microseconds for each coroutine; rounds of all alternate, and 64 coroutines are under way at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Coroutine
from typing import Any, Callable

from harness import ROOT

sys.path.insert(0, str(ROOT))

from socketify.loop.coroutines import CoroutineRunner
from socketify.loop.event_loop import new_event_loop

WAITS = (0, 2, 6, 10)
AT_A_TIME = 64

Start = Callable[[Coroutine[Any, Any, None]], object]


async def _sleep(waits: int, done: Callable[[], None]) -> None:
    for _ in range(waits):
        await asyncio.sleep(0)
    done()


async def _await_futures(waits: int, done: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(waits):
        future = loop.create_future()
        loop.call_soon(future.set_result, None)
        await future
    done()


KINDS = {"sleep(0)": _sleep, "future": _await_futures}


def _raise(error: BaseException) -> None:
    raise error


def ways(loop: asyncio.AbstractEventLoop) -> dict[str, Start]:
    """Return what starts a coroutine, by name."""
    runner = CoroutineRunner(loop, [])

    def ours(coroutine: Coroutine[Any, Any, None]) -> None:
        waits = runner.begin(coroutine)
        if waits is not None:
            runner.carry_on(coroutine, waits, _raise, None)

    tasks: set[asyncio.Task[None]] = set()

    def kept(coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.Task(coroutine, loop=loop)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    found: dict[str, Start] = {"task": lambda coroutine: asyncio.Task(coroutine, loop=loop), "task in a set": kept}
    if sys.version_info >= (3, 12):
        found["eager task"] = lambda coroutine: asyncio.Task(coroutine, loop=loop, eager_start=True)
    found["socketify"] = ours
    return found


def measure(loop: asyncio.AbstractEventLoop, start: Start, coroutine: Any, waits: int, count: int) -> float:
    """Return CPU microseconds for each coroutine."""
    begun = finished = 0

    def begin() -> None:
        nonlocal begun
        begun += AT_A_TIME
        for _ in range(AT_A_TIME):
            start(coroutine(waits, done))

    def done() -> None:
        nonlocal finished
        finished += 1
        if finished == begun:
            if finished < count:
                loop.call_soon(begin)
            else:
                loop.call_soon(loop.stop)

    loop.call_soon(begin)
    before = time.process_time()
    loop.run_forever()
    return (time.process_time() - before) / begun * 1e6


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--coroutines", type=int, default=6400)
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="uvloop")
    parser.add_argument("--way", help="only this one, once, without a table: for a profiler")
    parser.add_argument("--kind", choices=KINDS, default="sleep(0)")
    parser.add_argument("--waits", type=int, default=2)
    options = parser.parse_args()
    loop = asyncio.new_event_loop() if options.loop == "asyncio" else new_event_loop()
    all_ways = ways(loop)
    if options.way:
        measure(loop, all_ways[options.way], KINDS[options.kind], options.waits, options.coroutines)
        return
    cases = [(kind, waits) for kind in KINDS for waits in WAITS]
    costs: dict[tuple[str, int, str], list[float]] = {(*case, way): [] for case in cases for way in all_ways}
    for _ in range(options.rounds):
        for kind, waits in cases:
            for way, start in all_ways.items():
                costs[kind, waits, way].append(measure(loop, start, KINDS[kind], waits, options.coroutines))
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"CPython {version}, {type(loop).__module__}: CPU microseconds a coroutine")
    print("| waits for | " + " | ".join(all_ways) + " |")
    print("| --- |" + " ---: |" * len(all_ways))
    for kind, waits in cases:
        row = [statistics.median(costs[kind, waits, way]) for way in all_ways]
        print(f"| {waits} x {kind} | " + " | ".join(f"{each:.2f}" for each in row) + " |")


if __name__ == "__main__":
    main()
