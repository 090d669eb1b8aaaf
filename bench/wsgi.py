"""Compares the WSGI server with granian, gunicorn, fastwsgi and bjoern: a raw hello world, one process on one core.

    python bench/wsgi.py

All servers that are installed run the application of bench/wsgi_hello.py, one after the other, pinned to one CPU, with wrk
on another, in several rounds of alternating order. For each load it prints requests per second, the server's CPU
microseconds per request, and how many times as fast as each peer socketify was in the same round, by rate and by CPU time,
each as median (least..greatest). "threads 4" is socketify with a pool of threads.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path

from harness import BenchmarkError, Load, Measurement, Server, Spread, choose_cpus, run_wrk

HERE = Path(__file__).parent
OURS = "socketify"
THREADED = "threads 4"
PEERS = ("granian", "gunicorn", "fastwsgi", "bjoern")
LOADS = (Load("64 connections", 64), Load("64 connections, 16 pipelined", 64, pipelined=16))
Results = dict[tuple[str, str], list[Measurement]]


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    server_cpu, load_cpu = choose_cpus()
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each server (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=3, help="seconds of each load (default: %(default)s)")
    parser.add_argument("--server-cpu", type=int, default=server_cpu, help="CPU of the servers (default: %(default)s)")
    parser.add_argument("--load-cpu", type=int, default=load_cpu, help="CPU of wrk (default: %(default)s)")
    parser.add_argument("--pipelined", action="store_true", help="also the load that pipelines, which some peers refuse")
    return parser.parse_args()


def servers() -> dict[str, list[str]]:
    """Returns the commands by name; peers that are not installed are left out, which is said."""
    hello = str(HERE / "wsgi_hello.py")
    commands = {OURS: [sys.executable, hello], THREADED: [sys.executable, hello, "4"]}
    for peer in PEERS:
        if importlib.util.find_spec(peer) is None:
            print(f"{peer} is not installed", file=sys.stderr)
        else:
            commands[peer] = [sys.executable, str(HERE / "wsgi_peer.py"), peer]
    return commands


def measure(arguments: argparse.Namespace, loads: tuple[Load, ...]) -> Results:
    """Runs all rounds."""
    commands = servers()
    results: Results = {}
    for round_number in range(arguments.rounds):
        names = list(commands)
        if round_number % 2:
            names.reverse()
        for name in names:
            with Server(commands[name], arguments.server_cpu) as server:
                run_wrk(server, loads[0], 1, arguments.load_cpu)  # warms caches
                for load in loads:
                    try:
                        measurement = run_wrk(server, load, arguments.seconds, arguments.load_cpu)
                    except BenchmarkError as error:
                        print(f"{name}: {error}", file=sys.stderr)
                    else:
                        results.setdefault((load.name, name), []).append(measurement)
        print(f"round {round_number + 1} of {arguments.rounds} done", file=sys.stderr)
    return results


def report(results: Results, loads: tuple[Load, ...]) -> None:
    """Prints one table for each load."""
    for load in loads:
        print(f"\n{load.name}")
        print(f"  {'':<12}{'requests/s':>32}{'CPU us/request':>24}{'times as fast':>24}{'by CPU time':>24}")
        ours = results[load.name, OURS]
        for name in (OURS, THREADED, *PEERS):
            rounds = results.get((load.name, name))
            if rounds is None:
                continue
            rate = Spread.of([one.requests_per_second for one in rounds])
            cost = Spread.of([one.cpu_us_per_request for one in rounds])
            ratio = Spread.of([own.requests_per_second / one.requests_per_second for own, one in zip(ours, rounds)])
            cheaper = Spread.of([one.cpu_us_per_request / own.cpu_us_per_request for own, one in zip(ours, rounds)])
            print(f"  {name:<12}{rate!s:>32}{cost!s:>24}{ratio!s:>24}{cheaper!s:>24}")


def main() -> int:
    """Measures and reports; returns the exit status."""
    arguments = parse_arguments()
    loads = LOADS if arguments.pipelined else LOADS[:1]
    try:
        report(measure(arguments, loads), loads)
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
