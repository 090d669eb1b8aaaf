"""Compares websocket echo and broadcast with the same engine in C++, and with the ``websockets`` and ``picows`` packages.

    python -m ziglang build bench
    python -m pip install websockets picows uvloop
    python bench/websocket.py

The servers run one after the other on one CPU, the load client on another, in rounds of alternating order. For each load
it prints messages per second (those that the client received), the server's CPU microseconds for each, and how many
messages it serves in the CPU time in which the C++ server serves one, as median (least..greatest) over the rounds.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from harness import ROOT, BenchmarkError, Server, Spread, Throughput, choose_cpus, run_websocket_load

CEILING = "engine in C++"
BENCH = Path(__file__).parent


@dataclass(frozen=True)
class WebSocketLoad:
    """What clients do."""

    name: str
    mode: str
    connections: int
    message_bytes: int
    in_flight: int = 1


LOADS = (
    WebSocketLoad("echo, 20 bytes, 64 connections", "echo", 64, 20),
    WebSocketLoad("echo, 16 KB, 64 connections", "echo", 64, 16 * 1024),
    WebSocketLoad("echo, 20 bytes, 64 connections, 16 in flight", "echo", 64, 20, in_flight=16),
    WebSocketLoad("broadcast, 20 bytes, 1000 connections", "broadcast", 1000, 20),
    WebSocketLoad("broadcast, 1 KB, 1000 connections", "broadcast", 1000, 1024),
)


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    server_cpu, load_cpu = choose_cpus()
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each server (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=2, help="seconds of each load (default: %(default)s)")
    parser.add_argument("--server-cpu", type=int, default=server_cpu, help="CPU of the servers (default: %(default)s)")
    parser.add_argument("--load-cpu", type=int, default=load_cpu, help="CPU of the client (default: %(default)s)")
    parser.add_argument("--only", default="", help="loads whose names begin with this")
    parser.add_argument("--no-peers", action="store_true", help="compare with the C++ server only")
    return parser.parse_args()


def chosen(arguments: argparse.Namespace) -> list[WebSocketLoad]:
    """Returns the loads that the command line asked for."""
    return [load for load in LOADS if load.name.startswith(arguments.only)]


def commands(arguments: argparse.Namespace) -> dict[str, list[str]]:
    """Returns the servers' commands by name, the ceiling first."""
    ceiling = ROOT / "zig-out" / "bin" / "bench_echo"
    if not ceiling.exists():
        raise BenchmarkError(f"{ceiling} is missing; build it with: python -m ziglang build bench")
    found = {CEILING: [str(ceiling)], "socketify": [sys.executable, str(BENCH / "websocket_server.py")]}
    if not arguments.no_peers:
        for name in ("websockets", "picows"):
            found[name] = [sys.executable, str(BENCH / "websocket_peers.py"), name]
    return found


def measure(arguments: argparse.Namespace, servers: dict[str, list[str]]) -> dict[tuple[str, str], list[Throughput]]:
    """Runs all rounds."""
    results: dict[tuple[str, str], list[Throughput]] = {}
    for round_number in range(arguments.rounds):
        names = list(servers)
        if round_number % 2:
            names.reverse()
        for load in chosen(arguments):
            for name in names:
                with Server(servers[name], arguments.server_cpu) as server:
                    words = [load.mode, load.connections, load.message_bytes, load.in_flight]
                    run_websocket_load(server, words, 1, arguments.load_cpu)  # warms caches and pools
                    measured = run_websocket_load(server, words, arguments.seconds, arguments.load_cpu)
                    results.setdefault((load.name, name), []).append(measured)
        print(f"round {round_number + 1} of {arguments.rounds} done", file=sys.stderr)
    return results


def report(results: dict[tuple[str, str], list[Throughput]], loads: list[WebSocketLoad], names: list[str]) -> None:
    """Prints one table for each load."""
    for load in loads:
        print(f"\n{load.name}")
        print(f"  {'':<16}{'messages/s':>32}{'CPU us/message':>22}{'of C++, by CPU':>22}{'by messages/s':>22}")
        ceiling = results[load.name, CEILING]
        for name in names:
            rounds = results[load.name, name]
            rate = Spread.of([one.requests_per_second for one in rounds])
            cost = Spread.of([one.cpu_us_per_request for one in rounds])
            pairs = list(zip(rounds, ceiling))
            by_cpu = Spread.of([base.cpu_us_per_request / one.cpu_us_per_request for one, base in pairs])
            by_rate = Spread.of([one.requests_per_second / base.requests_per_second for one, base in pairs])
            print(f"  {name:<16}{rate!s:>32}{cost!s:>22}{by_cpu!s:>22}{by_rate!s:>22}")


def main() -> int:
    """Measures and reports; returns the exit status."""
    arguments = parse_arguments()
    try:
        servers = commands(arguments)
        results = measure(arguments, servers)
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    report(results, chosen(arguments), list(servers))
    return 0


if __name__ == "__main__":
    sys.exit(main())
