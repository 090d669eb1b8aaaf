"""What it costs a raw ASGI application that somebody watches: an access log to a file, and more with socketify.

    pip install granian uvicorn httptools
    python bench/observed.py

socketify counts metrics and names requests, too. The servers run at the same time, pinned to one CPU, with wrk on another, and
are loaded in turns. Prints requests per second, and per second of the server's CPU time, as median (least..greatest).
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path

from clients import Load, run_wrk
from harness import ROOT, Server, Spread, choose_cpus

SERVE = ROOT / "bench" / "serve" / "asgi.py"
LOAD = Load("64 connections", 64)
#: By what the table calls them: the server, and whether it is watched.
SERVERS = {
    "socketify": ("socketify", False),
    "socketify, watched": ("socketify", True),
    "granian, access log": ("granian-asgi", True),
    "uvicorn, access log": ("uvicorn", True),
}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each server (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=2, help="of each turn (default: %(default)s)")
    arguments = parser.parse_args()
    server_cpu, load_cpu = choose_cpus()
    gave: dict[str, list[tuple[float, float]]] = {name: [] for name in SERVERS}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as running:
        servers = {}
        for name, (program, watched) in SERVERS.items():
            log = Path(folder, f"{program}.log")
            variables = {"BENCH_LOG": str(log)} if watched else {}
            command = [sys.executable, str(SERVE), program, "hello", folder]
            servers[name] = running.enter_context(Server(command, server_cpu, variables=variables))
            run_wrk(servers[name], LOAD, 1, load_cpu)
        for _ in range(arguments.rounds):
            for name, server in servers.items():
                measured = run_wrk(server, LOAD, arguments.seconds, load_cpu)
                gave[name].append((measured.requests_per_second, 1e6 / measured.cpu_us_per_request))
        for log in Path(folder).glob("*.log"):
            print(f"{log.name}: {sum(1 for _ in log.open())} lines")
    for name, values in gave.items():
        print(f"{name}: {Spread.of([each[0] for each in values])} /s, {Spread.of([each[1] for each in values])} /CPU s")


if __name__ == "__main__":
    main()
