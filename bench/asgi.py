"""Compares the ASGI server with uvicorn (uvloop, httptools) and granian: a raw hello world, one process on one core.

    python -m ziglang build bench
    python -m pip install uvicorn httptools granian uvloop websockets
    python bench/asgi.py

All servers run the application of bench/asgi_hello.py, one after the other, pinned to one CPU, with the load on another, in
several rounds of alternating order. For each load, of HTTP and of a websocket echo, it prints requests or messages per
second, the server's CPU microseconds for each, and how many times as fast as each peer socketify was in the same round, by
rate and by CPU time, each as median (least..greatest).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Union

from harness import BenchmarkError, Load, Measurement, Server, Spread, Throughput, choose_cpus, run_websocket_load, run_wrk

HERE = Path(__file__).parent
OURS = "socketify"
PEERS = ("uvicorn", "granian")
LOADS = (Load("64 connections", 64), Load("64 connections, 16 pipelined", 64, pipelined=16))
# Words of the websocket client: mode, connections, bytes of a message, messages in flight.
ECHOES = {
    "websocket echo, 20 bytes, 64 connections": ("echo", 64, 20, 1),
    "websocket echo, 20 bytes, 64 connections, 16 in flight": ("echo", 64, 20, 16),
}
Results = dict[tuple[str, str], list[Union[Measurement, Throughput]]]


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    server_cpu, load_cpu = choose_cpus()
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each server (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=3, help="seconds of each load (default: %(default)s)")
    parser.add_argument("--server-cpu", type=int, default=server_cpu, help="CPU of the servers (default: %(default)s)")
    parser.add_argument("--load-cpu", type=int, default=load_cpu, help="CPU of wrk (default: %(default)s)")
    return parser.parse_args()


def measure(arguments: argparse.Namespace) -> Results:
    """Runs all rounds."""
    commands = {OURS: [sys.executable, str(HERE / "asgi_hello.py")]}
    for peer in PEERS:
        commands[peer] = [sys.executable, str(HERE / "asgi_peer.py"), peer]
    results: Results = {}
    for round_number in range(arguments.rounds):
        names = list(commands)
        if round_number % 2:
            names.reverse()
        for name in names:
            with Server(commands[name], arguments.server_cpu) as server:
                run_wrk(server, LOADS[0], 1, arguments.load_cpu)  # warms caches
                for load in LOADS:
                    measurement = run_wrk(server, load, arguments.seconds, arguments.load_cpu)
                    results.setdefault((load.name, name), []).append(measurement)
                for title, words in ECHOES.items():
                    echoed = run_websocket_load(server, words, arguments.seconds, arguments.load_cpu)
                    results.setdefault((title, name), []).append(echoed)
        print(f"round {round_number + 1} of {arguments.rounds} done", file=sys.stderr)
    return results


def report(results: Results) -> None:
    """Prints one table for each load."""
    for title in (*(load.name for load in LOADS), *ECHOES):
        print(f"\n{title}")
        print(f"  {'':<12}{'requests/s':>32}{'CPU us/request':>24}{'times as fast':>24}{'by CPU time':>24}")
        ours = results[title, OURS]
        for name in (OURS, *PEERS):
            rounds = results[title, name]
            rate = Spread.of([one.requests_per_second for one in rounds])
            cost = Spread.of([one.cpu_us_per_request for one in rounds])
            ratio = Spread.of([own.requests_per_second / one.requests_per_second for own, one in zip(ours, rounds)])
            cheaper = Spread.of([one.cpu_us_per_request / own.cpu_us_per_request for own, one in zip(ours, rounds)])
            print(f"  {name:<12}{rate!s:>32}{cost!s:>24}{ratio!s:>24}{cheaper!s:>24}")


def main() -> int:
    """Measures and reports; returns the exit status."""
    try:
        report(measure(parse_arguments()))
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
