"""Runs the whole comparison and writes docs/benchmarks.md with its plots. Linux only.

    python -m ziglang build && python -m ziglang build bench
    python bench/set_up_peers.py
    python bench/run.py [--quick] [--only SCENARIO]... [--rounds N] [--seconds N]

Scenarios, servers and targets are tables: bench/scenarios.py, bench/programs.py, bench/targets.py. What was measured is kept in
bench/.results after every round, one file for each scenario, so that --only replaces a part, and --render writes the page from
what is there, and what was not measured stays on the page as it is. The first table goes into README.md, too.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import page
import results as kept
from environments import DEFAULT_FOLDER as PEERS
from environments import OWN, Environments
from files import make_files
from harness import ROOT, BenchmarkError, choose_cpus, native_program, raise_descriptor_limit
from http2_loads import Http2, Http2Download, OpenStreams
from loads import Budget
from rounds import Round, Runner, seconds_needed
from scenario import Scenario
from scenarios import SCENARIOS, chosen

FULL = {"rounds": 5, "seconds": 1.5, "warm_up": 0.5, "idle_seconds": 10.0, "idle_connections": 10_000, "requests": 10_000_000}
QUICK = {"rounds": 1, "seconds": 0.8, "warm_up": 0.2, "idle_seconds": 1.0, "idle_connections": 1000, "requests": 300_000}


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    server_cpu, load_cpu = choose_cpus()
    parser.add_argument("--quick", action="store_true", help="one short round of everything")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="SCENARIO",
        help=f"only this scenario; may be given again, and end in *: {', '.join(one.key for one in SCENARIOS)}",
    )
    parser.add_argument("--rounds", type=int, help=f"rounds of each scenario (default: {FULL['rounds']})")
    parser.add_argument("--seconds", type=float, help=f"seconds of each load (default: {FULL['seconds']:g})")
    parser.add_argument("--warm-up", type=float, help=f"seconds before the loads (default: {FULL['warm_up']})")
    parser.add_argument("--requests", type=int, help=f"requests over which memory may not grow (default: {FULL['requests']:,})")
    parser.add_argument(
        "--idle-connections", type=int, help=f"connections that are idle (default: {FULL['idle_connections']:,})"
    )
    parser.add_argument("--idle-seconds", type=float, help=f"seconds without any (default: {FULL['idle_seconds']:g})")
    parser.add_argument("--server-cpu", type=int, default=server_cpu, help="CPU of the servers (default: %(default)s)")
    parser.add_argument("--load-cpu", type=int, default=load_cpu, help="CPU of the load (default: %(default)s)")
    parser.add_argument("--peers", type=Path, default=PEERS, help="what bench/set_up_peers.py made (default: bench/.peers)")
    parser.add_argument("--results", type=Path, default=kept.DEFAULT_FOLDER, help="(default: bench/.results)")
    parser.add_argument("--output", type=Path, default=ROOT / "docs", help="where the page goes (default: docs)")
    parser.add_argument("--render", action="store_true", help="measure nothing, only write the page")
    parser.add_argument("--no-page", action="store_true", help="measure only")
    parser.add_argument("--list", action="store_true", help="tell what would be measured, and how long it would take")
    arguments = parser.parse_args()
    for name, value in (QUICK if arguments.quick else FULL).items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    return arguments


def check_tools(scenarios: list[Scenario]) -> None:
    """Raises BenchmarkError when something is missing without which the scenarios cannot be measured."""
    if any(isinstance(load, (Http2, Http2Download)) for scenario in scenarios for load in scenario.loads):
        for tool, package in {"h2load": "nghttp2-client", "curl": "curl"}.items():
            if shutil.which(tool) is None:
                raise BenchmarkError(f"{tool} is missing; on Debian: apt-get install {package}")
    if all(isinstance(load, (Http2, Http2Download, OpenStreams)) for scenario in scenarios for load in scenario.loads):
        return
    for program in ("bench_hello", "bench_echo", "websocket_load", "paced_load"):
        native_program(program)
    if shutil.which("wrk") is None:
        raise BenchmarkError("wrk is missing; on Debian: apt-get install wrk")


def measure(arguments: argparse.Namespace, scenarios: list[Scenario], budget: Budget) -> None:
    """Measures scenarios one after the other and keeps each round."""
    environments = Environments(arguments.peers)
    if environments.version(OWN, "uvloop") is None:
        print("uvloop is not installed beside socketify: its own servers run on asyncio's loop", file=sys.stderr)
    raise_descriptor_limit(budget.idle_connections + 256)
    with tempfile.TemporaryDirectory(prefix="socketify-bench-") as folder:
        directory = Path(folder)
        make_files(directory)
        runner = Runner(environments, directory, budget, arguments.server_cpu, arguments.load_cpu)
        for scenario in scenarios:
            begin = time.monotonic()
            result = kept.new_result(environments, budget.seconds)

            def keep(done: list[Round], scenario: Scenario = scenario, result: kept.Result = result) -> None:
                result.rounds = done
                kept.save(arguments.results, scenario, result)

            runner.rounds(scenario, arguments.rounds, keep)
            print(f"{scenario.key}: {time.monotonic() - begin:.0f} s", file=sys.stderr)


def write_page(arguments: argparse.Namespace) -> None:
    """Writes the page and its plots. Raises BenchmarkError when nothing was measured, or matplotlib is missing."""
    measured = kept.load(arguments.results)
    if not measured:
        raise BenchmarkError(f"nothing was measured yet in {arguments.results}")
    page.write(measured, arguments.output / "benchmarks.md")
    if arguments.output == ROOT / "docs":
        page.write_readme(measured, ROOT / "README.md")
    environments = Environments(arguments.peers)
    python = environments.python("plots") if environments.version("plots", "matplotlib") else None
    if python is None:
        raise BenchmarkError("the page has no plots: matplotlib is missing, see bench/set_up_peers.py")
    command = [python, str(Path(__file__).with_name("plots.py")), str(arguments.results), str(arguments.output / "benchmarks")]
    drawn = subprocess.run(command, capture_output=True, text=True, check=False)
    if drawn.returncode != 0:
        raise BenchmarkError(f"the plots failed: {drawn.stderr.strip()[-500:]}")


def main() -> int:
    """Measures and writes; returns the exit status."""
    arguments = parse_arguments()
    # Told to stop it must stop its servers, which are in sessions of their own.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    budget = Budget(
        arguments.seconds, arguments.warm_up, arguments.idle_seconds, arguments.idle_connections, arguments.requests
    )
    try:
        scenarios = chosen(arguments.only)
        if arguments.list:
            for scenario in scenarios:
                print(f"{scenario.key:<16}{scenario.title}: {'; '.join(one.name for one in scenario.programs)}")
            print(f"about {seconds_needed(scenarios, budget, arguments.rounds) / 60:.0f} minutes")
            return 0
        if not arguments.render:
            check_tools(scenarios)
            measure(arguments, scenarios, budget)
        if not arguments.no_page:
            write_page(arguments)
    except (BenchmarkError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
