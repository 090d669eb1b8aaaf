"""Measures what many connections cost, and whether workers scale. Linux only.

    python bench/scale.py [--connections 50000] [--sections memory,crowd,workers]

memory   bytes of resident memory for each idle connection: HTTP, websockets without and with compression, TLS with and without
         ``ssl_prefer_low_memory_usage``. Every one was used once. Kernel memory comes on top and is the same for every server.
crowd    one process with so many open websockets, which are pinged and answer: how fast they open, what the server's CPU does
         while all wait, and how long a message takes there and back meanwhile.
workers  requests per second and the server's CPU time per request with one worker and with two, which share the machine with
         the load generator: ``hello`` costs wrk as much as the server, ``work`` is a request that computes.

Connections come from several loopback addresses, as one has ports for less than 30,000. The limit of descriptors is raised as
far as the system permits; where that is not enough for the crowd, its server runs several event loops in threads, each with a
table of descriptors of its own.
"""

from __future__ import annotations

import argparse
import socket
import ssl
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from clients import Load, run_wrk
from crowd import SERVER, measure_crowd
from files import make_certificate
from harness import BenchmarkError, Server, Spread, choose_cpus
from many import ECHO, MESSAGE, many, permitted

SECTIONS = ("memory", "crowd", "workers")


@dataclass(frozen=True)
class Kind:
    """A kind of connection whose memory is measured."""

    name: str
    path: str = ""
    tls: tuple[str, ...] = ()
    connections: int = 10_000


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--connections", type=int, default=50_000, help="websockets of the crowd (default: %(default)s)")
    add("--idle-connections", type=int, default=10_000, help="for memory, of each kind (default: %(default)s)")
    add("--tls-connections", type=int, default=2_000, help="for memory over TLS (default: %(default)s)")
    add("--idle-seconds", type=int, default=20, help="how long the crowd is watched (default: %(default)s)")
    add("--seconds", type=int, default=3, help="of each load of workers (default: %(default)s)")
    add("--rounds", type=int, default=3, help="rounds of each load of workers (default: %(default)s)")
    add("--sections", default=",".join(SECTIONS), help="what to measure, with commas between (default: %(default)s)")
    return parser.parse_args()


# ---- memory


def measure_memory(arguments: argparse.Namespace, files: list[str], cpu: int | None) -> None:
    """Prints the memory of each kind of connection."""
    few, tls = arguments.idle_connections, arguments.tls_connections
    kinds = (
        Kind("HTTP", connections=few),
        Kind("websocket", "/plain", connections=few),
        Kind("websocket, shared compressor", "/shared", connections=few),
        Kind("websocket, compressor of 4 KB and decompressor of 4 KB", "/dedicated", connections=few),
        Kind("HTTPS", tls=(*files, "0"), connections=tls),
        Kind("HTTPS, low memory", tls=(*files, "1"), connections=tls),
        Kind("wss", "/plain", tls=(*files, "0"), connections=tls),
        Kind("wss, low memory", "/plain", tls=(*files, "1"), connections=tls),
    )
    print("\nresident memory of each idle connection, in bytes")
    for kind in kinds:
        count = permitted(kind.connections)
        context = trusting() if kind.tls else None
        with Server([sys.executable, str(SERVER), "idle", *kind.tls], cpu) as server:
            with many(server.port, 100, kind.path, context):
                pass
            time.sleep(0.5)
            before = server.resident_bytes()
            with many(server.port, count, kind.path, context) as connections:
                if kind.path:
                    use(connections, compressed=kind.path != "/plain")
                each = (server.resident_bytes() - before) / count
        print(f"  {kind.name:<56}{each:>10,.0f}   ({count:,} connections)", flush=True)


def trusting() -> ssl.SSLContext:
    """Gives the context of clients that take every certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def use(connections: list[socket.socket], *, compressed: bool) -> None:
    """Sends a message over each websocket and receives its echo."""
    for each in connections:
        each.sendall(MESSAGE)
    for each in connections:
        answer = each.recv(64)
        if not (answer[:1] == b"\xc1" if compressed else answer == ECHO):
            raise BenchmarkError(f"a websocket answered {answer!r}")


# ---- workers


def measure_workers(arguments: argparse.Namespace) -> None:
    """Prints what one worker and two do."""
    print("\nworkers; the load generator shares the machine's CPUs with them")
    print(f"  {'':<18}{'requests/s':>32}{'CPU us/request':>24}{'CPUs used':>24}")
    for mode in ("hello", "work"):
        for workers in (1, 2):
            found = []
            for _ in range(arguments.rounds):
                with Server([sys.executable, str(SERVER), mode, str(workers)]) as server:
                    load = Load(f"{mode}, {workers}", 64)
                    run_wrk(server, load, 1)
                    found.append(run_wrk(server, load, arguments.seconds))
            rate = Spread.of([one.requests_per_second for one in found])
            cost = Spread.of([one.cpu_us_per_request for one in found])
            busy = Spread.of([one.cpu_seconds / one.seconds for one in found])
            print(f"  {mode + ', ' + str(workers) + ' worker' + 's' * (workers > 1):<18}{rate!s:>32}{cost!s:>24}{busy!s:>24}")


def main() -> int:
    """Measures and reports; returns the exit status."""
    arguments = parse_arguments()
    sections = arguments.sections.split(",")
    server_cpu, load_cpu = choose_cpus()
    with tempfile.TemporaryDirectory() as directory:
        try:
            if "memory" in sections:
                measure_memory(arguments, make_certificate(Path(directory)), server_cpu)
            if "crowd" in sections:
                measure_crowd(arguments.connections, arguments.idle_seconds, server_cpu, load_cpu)
            if "workers" in sections:
                measure_workers(arguments)
        except BenchmarkError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
