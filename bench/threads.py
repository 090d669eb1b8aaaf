"""Measures what threads of a worker are for: how they scale, and what memory they take beside workers. Linux only.

    python bench/threads.py [--python /path/of/a/free-threaded/python] [--seconds 4] [--rounds 5]

work    requests per second that compute in Python, with one thread, with two, and with two workers. They share the machine with
        the load generator, which takes little of it: a request computes for half a millisecond and more.
memory  of two threads, and of two workers with their supervisor, after requests: of an application that keeps nothing, and of
        one with a table of 50 MB. Rss counts pages in each process that has them, Pss counts those of several once.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from clients import Load, run_wrk
from harness import BenchmarkError, Server, Spread

SERVER = Path(__file__).with_name("scale_server.py")
#: Workers, and threads of each.
KINDS = ((1, 1), (1, 2), (2, 1))
CONNECTIONS = 16
_ABOUT = "import sys; print(sys.version.split()[0], 'free-threaded' if not getattr(sys, '_is_gil_enabled', bool)() else 'GIL')"
_MIB = 2**20


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="the interpreter of the server (default: this one)")
    parser.add_argument("--seconds", type=int, default=4, help="of each load (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of each load (default: %(default)s)")
    return parser.parse_args()


def serving(python: str, mode: str, workers: int, threads: int) -> Server:
    """Starts a server."""
    return Server([python, str(SERVER), mode, str(workers), str(threads)])


def named(workers: int, threads: int) -> str:
    """Says what serves."""
    return f"{workers} worker{'s' * (workers > 1)}, {threads} thread{'s' * (threads > 1)} each"


def measure_work(arguments: argparse.Namespace) -> None:
    """Prints the rates, in turns, so that what else the machine does meets all kinds."""
    load = Load("long_work", CONNECTIONS)
    rates: dict[tuple[int, int], list[float]] = {kind: [] for kind in KINDS}
    costs: dict[tuple[int, int], list[float]] = {kind: [] for kind in KINDS}
    used: dict[tuple[int, int], list[float]] = {kind: [] for kind in KINDS}
    for _ in range(arguments.rounds):
        for kind in KINDS:
            with serving(arguments.python, "long_work", *kind) as server:
                run_wrk(server, load, 1)
                found = run_wrk(server, load, arguments.seconds)
                rates[kind].append(found.requests_per_second)
                costs[kind].append(found.cpu_us_per_request)
                used[kind].append(found.cpu_seconds / found.seconds)
    first = Spread.of(rates[KINDS[0]]).median
    print("\nrequests that compute")
    for kind in KINDS:
        rate, cost = Spread.of(rates[kind]), Spread.of(costs[kind])
        print(
            f"  {named(*kind):<26}{rate!s:>28} a second, {rate.median / first:.2f} times; {cost} us of CPU each, "
            f"{Spread.of(used[kind]).median:.2f} CPUs used"
        )


def measure_memory(arguments: argparse.Namespace) -> None:
    """Prints the memory."""
    print("\nmemory in MiB, after requests")
    for mode in ("hello", "table"):
        for kind in KINDS:
            with serving(arguments.python, mode, *kind) as server:
                run_wrk(server, Load(mode, CONNECTIONS), 1)
                rss, pss = server.resident_bytes() / _MIB, server.proportional_bytes() / _MIB
            print(f"  {mode:<8}{named(*kind):<26} Rss {rss:7.1f}   Pss {pss:7.1f}")


def main() -> int:
    """Measures and reports; returns the exit status."""
    arguments = parse_arguments()
    about = subprocess.run([arguments.python, "-c", _ABOUT], capture_output=True, text=True, check=True)
    print(f"CPython {about.stdout.strip()}")
    try:
        measure_work(arguments)
        measure_memory(arguments)
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
