"""Compares the time that request parsers take: ours, the engine's own, llhttp through ``httptools``, and ``h11``.

    python -m ziglang build bench
    python -m pip install httptools h11
    python bench/parser.py

Each figure is the least of many rounds, in nanoseconds per request; rounds of all parsers alternate. Ours and the engine's
are called from C++ as the engine calls them; ``httptools`` without callbacks, which is nearly llhttp alone.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable

import h11
import httptools
from harness import ROOT, choose_cpus, pinned

REQUESTS = Path(__file__).parent / "requests"
NATIVE = {"socketify": "bench_parser_ours", "engine": "bench_parser_engines"}


def native(name: str, request: Path) -> float:
    """Runs a parser's program, for a fraction of a second."""
    program = ROOT / "zig-out" / "bin" / NATIVE[name]
    return float(subprocess.run([program, request, "5"], capture_output=True, text=True, check=True).stdout)


def with_httptools(data: bytes, count: int) -> None:
    """Parses with llhttp, all requests on one connection."""
    parser = httptools.HttpRequestParser(object())
    for _ in range(count):
        parser.feed_data(data)


def with_h11(data: bytes, count: int) -> None:
    """Parses with h11."""
    for _ in range(count):
        connection = h11.Connection(h11.SERVER)
        connection.receive_data(data)
        assert isinstance(connection.next_event(), h11.Request)


def timed(function: Callable[[bytes, int], None], data: bytes, count: int) -> float:
    """Returns nanoseconds per request."""
    begin = time.perf_counter_ns()
    function(data, count)
    return (time.perf_counter_ns() - begin) / count


def main() -> int:
    """Measures and prints a table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=10)
    rounds = arguments.parse_args().rounds
    with pinned(choose_cpus()[0]):
        for request in sorted(REQUESTS.glob("*.http")):
            data = request.read_bytes()
            measured: dict[str, list[float]] = {}
            for _ in range(rounds):
                for name in NATIVE:
                    measured.setdefault(name, []).append(native(name, request))
                measured.setdefault("httptools", []).append(timed(with_httptools, data, 20_000))
                measured.setdefault("h11", []).append(timed(with_h11, data, 200))
            ours = min(measured["socketify"])
            print(f"\n{request.name}: {len(data)} bytes, {data.count(b': ')} fields")
            for name, values in measured.items():
                print(f"  {name:<10}{min(values):>12,.0f} ns  {min(values) / ours:>8.2f} times ours")
    return 0


if __name__ == "__main__":
    sys.exit(main())
