"""Compares the Python hello world with the ceiling: the same engine and sockets in C++, without Python, on epoll.

    python -m ziglang build bench
    python bench/compare.py

The servers (C++ on epoll, Python on each backend) run one after the other, pinned to one CPU, with wrk on another, in
several rounds of alternating order. For each load it prints requests per second, the server's CPU microseconds per
request, and the ratio of the latter, each as median (least..greatest) over the rounds. This is the shortest way to a figure;
bench/run.py measures everything.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from environments import COMMAND, Environments
from harness import BenchmarkError, choose_cpus, native_program
from loads import Budget
from probe import ANY
from programs import CEILING, CPP, CPP_URING, NATIVE_OURS, Program
from results import Result
from rounds import Runner
from scenario import Scenario
from scenarios import MANY, ONE, PIPELINED, VERY_MANY


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


def comparison(peers: list[str], cpp_io_uring: bool = False) -> Scenario:
    """Returns what is measured. Raises BenchmarkError when a peer is not NAME=COMMAND."""
    programs: list[Program] = [CPP, *NATIVE_OURS, *([CPP_URING] if cpp_io_uring else [])]
    for peer in peers:
        name, separator, command = peer.partition("=")
        if not separator:
            raise BenchmarkError(f"--peer {peer}: must be NAME=COMMAND")
        programs.append(Program(name, COMMAND, tuple(shlex.split(command))))
    return Scenario("compare", "", "", "hello", (ONE, MANY, VERY_MANY, PIPELINED), programs, answer_bytes=ANY)


def report(scenario: Scenario, result: Result) -> None:
    """Prints one table for each load."""
    for load in scenario.loads:
        print(f"\n{load.name}")
        print(f"  {'':<26}{'requests/s':>28}{'CPU us/request':>24}{'times the ceiling':>24}")
        for program in scenario.programs:
            rate = result.spread(program.name, load.name, "per_second")
            cost = result.spread(program.name, load.name, "cpu_us")
            if rate is not None:
                # Rounds are compared with their own ceiling, so that a change of the machine's pace hits both.
                ratio = result.ratio(program.name, CEILING, load.name, "cpu_us")
                print(f"  {program.name:<26}{rate!s:>28}{cost!s:>24}{ratio!s:>24}")


def main() -> int:
    """Measures and reports; returns the exit status."""
    arguments = parse_arguments()
    budget = Budget(arguments.seconds, min(1, arguments.seconds), 0, 0, 0)
    result = Result("", arguments.seconds, {}, {})
    try:
        native_program("bench_hello")
        scenario = comparison(arguments.peer, arguments.cpp_io_uring)
        runner = Runner(Environments(), Path(), budget, arguments.server_cpu, arguments.load_cpu)
        result.rounds = runner.rounds(
            scenario, arguments.rounds, lambda done: print(f"round {len(done)} of {arguments.rounds} done", file=sys.stderr)
        )
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    report(scenario, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
