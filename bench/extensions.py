"""What extensions cost a request: an app without any, and the same with twenty methods and properties, in turn.

Usage: python bench/extensions.py [--rounds N] [--seconds N]; Linux, needs wrk.
Each row gives the server's CPU microseconds per request.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from clients import Load, run_wrk
from harness import Server, Spread, choose_cpus

LOADS = (Load("64 connections", 64), Load("16 pipelined", 64, 16))


def main() -> None:
    """Measure both in alternating rounds, and print medians and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    options = parser.parse_args()
    serve = str(Path(__file__).with_name("extensions_server.py"))
    commands = {"without": [sys.executable, serve, "without"], "with": [sys.executable, serve, "with"]}
    server_cpu, load_cpu = choose_cpus()
    for load in LOADS:
        costs: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(options.rounds):
            for name, command in commands.items():
                with Server(command, server_cpu) as server:
                    costs[name].append(run_wrk(server, load, options.seconds, load_cpu).cpu_us_per_request)
        without, extended = Spread.of(costs["without"]), Spread.of(costs["with"])
        print(f"{load.name}: without {without}, with {extended}, ratio {extended.median / without.median:.3f}")


if __name__ == "__main__":
    main()
