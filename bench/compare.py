"""Compares the Python hello world with the ceiling: the same engine and sockets in C++, without Python, on epoll.

    python -m ziglang build bench
    python bench/compare.py

The servers (C++ on epoll, Python on each backend) run one after the other, pinned to one CPU, with wrk on another, in
several rounds of alternating order.
For each load it prints requests per second, the server's CPU microseconds per request, and the ratio of the latter,
each as median (least..greatest) over the rounds.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from harness import BenchmarkError, Load, Measurement, Server, Spread, choose_cpus, run_wrk

ROOT = Path(__file__).parent.parent
CEILING = "engine in C++"
BACKENDS = ("epoll", "io_uring")
LOADS = (
    Load("1 connection", 1),
    Load("64 connections", 64),
    Load("1000 connections", 1000),
    Load("64 connections, 16 pipelined", 64, pipelined=16),
)
Results = dict[tuple[str, str], list[Measurement]]


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    server_cpu, load_cpu = choose_cpus()
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each server (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=3, help="seconds of each load (default: %(default)s)")
    parser.add_argument("--server-cpu", type=int, default=server_cpu, help="CPU of the servers (default: %(default)s)")
    parser.add_argument("--load-cpu", type=int, default=load_cpu, help="CPU of wrk (default: %(default)s)")
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="another server: a command that takes the port as last argument and prints 'listening PORT'",
    )
    parser.add_argument("--cpp-io-uring", action="store_true", help="measure the engine in C++ on io_uring too")
    return parser.parse_args()


def on(backend: str, command: list[str]) -> list[str]:
    """Returns the command with its backend forced."""
    return ["env", f"SOCKETIFY_BACKEND={backend}", *command]


def servers(peers: list[str], cpp_io_uring: bool = False) -> dict[str, list[str]]:
    """Returns the commands of all servers by name, the ceiling first.

    Raises BenchmarkError when the ceiling was not built, or a peer is not NAME=COMMAND.
    """
    ceiling = ROOT / "zig-out" / "bin" / "bench_hello"
    if not ceiling.exists():
        raise BenchmarkError(f"{ceiling} is missing; build it with: python -m ziglang build bench")
    commands = {CEILING: on("epoll", [str(ceiling)])}
    for backend in BACKENDS:
        commands[f"socketify {backend}"] = on(backend, [sys.executable, str(ROOT / "bench" / "hello.py")])
    if cpp_io_uring:
        commands["C++ on io_uring"] = on("io_uring", [str(ceiling)])
    for peer in peers:
        name, separator, command = peer.partition("=")
        if not separator:
            raise BenchmarkError(f"--peer {peer}: must be NAME=COMMAND")
        commands[name] = shlex.split(command)
    return commands


def measure(arguments: argparse.Namespace, commands: dict[str, list[str]]) -> Results:
    """Runs all rounds."""
    results: Results = {}
    for round_number in range(arguments.rounds):
        names = list(commands)
        if round_number % 2:
            names.reverse()
        for name in names:
            with Server(commands[name], arguments.server_cpu) as server:
                run_wrk(server, LOADS[1], min(1, arguments.seconds), arguments.load_cpu)  # warms caches and pools
                for load in LOADS:
                    measurement = run_wrk(server, load, arguments.seconds, arguments.load_cpu)
                    results.setdefault((load.name, name), []).append(measurement)
        print(f"round {round_number + 1} of {arguments.rounds} done", file=sys.stderr)
    return results


def report(results: Results, names: list[str]) -> None:
    """Prints one table for each load."""
    for load in LOADS:
        print(f"\n{load.name}")
        print(f"  {'':<18}{'requests/s':>28}{'CPU us/request':>24}{'times the ceiling':>24}")
        ceiling = results[load.name, CEILING]
        for name in names:
            rounds = results[load.name, name]
            rate = Spread.of([one.requests_per_second for one in rounds])
            cost = Spread.of([one.cpu_us_per_request for one in rounds])
            # Rounds are compared with their own ceiling, so that a change of the machine's pace hits both.
            pairs = zip(rounds, ceiling)
            ratio = Spread.of([one.cpu_us_per_request / base.cpu_us_per_request for one, base in pairs])
            print(f"  {name:<18}{rate!s:>28}{cost!s:>24}{ratio!s:>24}")


def main() -> int:
    """Measures and reports; returns the exit status."""
    arguments = parse_arguments()
    try:
        commands = servers(arguments.peer, arguments.cpp_io_uring)
        results = measure(arguments, commands)
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    report(results, list(commands))
    return 0


if __name__ == "__main__":
    sys.exit(main())
