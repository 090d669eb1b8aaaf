"""Compares HTTPS with the ceiling, the same engine and sockets in C++, and with uvicorn and granian; and counts memory.

    python -m ziglang build bench
    python -m pip install trustme uvicorn httptools granian uvloop
    python bench/tls.py

All servers run one after the other, pinned to one CPU, with wrk on another, in several rounds of alternating order. For each
load it prints requests per second, the server's CPU microseconds per request, and the share of the ceiling's rate in the same
round, each as median (least..greatest). Then clients shake hands and leave, 10,000 times, and it prints what the server's
memory grew by.
"""

from __future__ import annotations

import argparse
import socket
import ssl
import sys
import tempfile
from pathlib import Path

import trustme
from harness import BenchmarkError, Load, Measurement, Server, Spread, choose_cpus, run_wrk

HERE = Path(__file__).parent
CEILING = "engine in C++"
NAMES = ("socketify", "socketify-asgi", "uvicorn", "granian")
LOADS = (Load("64 connections", 64), Load("64 connections, 16 pipelined", 64, pipelined=16))
WARM_UP_HANDSHAKES = 2_000
Results = dict[tuple[str, str], list[Measurement]]


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    server_cpu, load_cpu = choose_cpus()
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each server (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=3, help="seconds of each load (default: %(default)s)")
    parser.add_argument("--handshakes", type=int, default=10_000, help="for memory; 0 for none (default: %(default)s)")
    parser.add_argument("--server-cpu", type=int, default=server_cpu, help="CPU of the servers (default: %(default)s)")
    parser.add_argument("--load-cpu", type=int, default=load_cpu, help="CPU of wrk (default: %(default)s)")
    return parser.parse_args()


def make_files(directory: Path) -> list[str]:
    """Makes a certificate and its key."""
    leaf = trustme.CA().issue_cert("127.0.0.1", "localhost", key_type=trustme.KeyType.ECDSA)
    certificate, key = directory / "server.pem", directory / "server.key"
    leaf.cert_chain_pems[0].write_to_path(str(certificate))
    leaf.private_key_pem.write_to_path(str(key))
    return [str(certificate), str(key)]


def commands(files: list[str]) -> dict[str, list[str]]:
    """Returns the commands of all servers by name, the ceiling first.

    Raises BenchmarkError when the ceiling was not built.
    """
    ceiling = HERE.parent / "zig-out" / "bin" / "bench_hello"
    if not ceiling.exists():
        raise BenchmarkError(f"{ceiling} is missing; build it with: python -m ziglang build bench")
    found = {CEILING: [str(ceiling), *files]}
    for name in NAMES:
        found[name] = [sys.executable, str(HERE / "tls_server.py"), name, *files]
    return found


def measure(arguments: argparse.Namespace, servers: dict[str, list[str]]) -> Results:
    """Runs all rounds."""
    results: Results = {}
    for round_number in range(arguments.rounds):
        names = list(servers)
        if round_number % 2:
            names.reverse()
        for name in names:
            with Server(servers[name], arguments.server_cpu, scheme="https") as server:
                run_wrk(server, LOADS[0], 1, arguments.load_cpu)  # warms caches
                for load in LOADS:
                    measurement = run_wrk(server, load, arguments.seconds, arguments.load_cpu)
                    results.setdefault((load.name, name), []).append(measurement)
        print(f"round {round_number + 1} of {arguments.rounds} done", file=sys.stderr)
    return results


def report(results: Results) -> None:
    """Prints one table for each load."""
    for load in LOADS:
        print(f"\n{load.name}")
        print(f"  {'':<16}{'requests/s':>32}{'CPU us/request':>24}{'% of the ceiling':>28}")
        ceiling = results[load.name, CEILING]
        for name in (CEILING, *NAMES):
            rounds = results[load.name, name]
            rate = Spread.of([one.requests_per_second for one in rounds])
            cost = Spread.of([one.cpu_us_per_request for one in rounds])
            share = Spread.of([100 * one.requests_per_second / top.requests_per_second for one, top in zip(rounds, ceiling)])
            print(f"  {name:<16}{rate!s:>32}{cost!s:>24}{share!s:>28}")


def shake_hands(server: Server, count: int) -> None:
    """Connects, makes a request, and leaves without a word, again and again."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for _ in range(count):
        with context.wrap_socket(socket.create_connection(("127.0.0.1", server.port))) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            if not connection.recv(1000).startswith(b"HTTP/1.1 200"):
                raise BenchmarkError("a handshake led to no answer")


def count_memory(command: list[str], handshakes: int, cpu: int | None) -> None:
    """Prints what the server's memory grew by over so many handshakes."""
    with Server(command, cpu, scheme="https") as server:
        shake_hands(server, WARM_UP_HANDSHAKES)
        before = server.resident_bytes()
        used = server.cpu_seconds()
        shake_hands(server, handshakes)
        used = server.cpu_seconds() - used
        grown = server.resident_bytes() - before
        print(f"\n{handshakes} handshakes with a request: memory grew by {grown / 1024:,.0f} KiB of {before / 1024:,.0f} KiB,")
        print(f"{used * 1e6 / handshakes:,.0f} us of CPU time each")


def main() -> int:
    """Measures and reports; returns the exit status."""
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as directory:
        try:
            servers = commands(make_files(Path(directory)))
            report(measure(arguments, servers))
            if arguments.handshakes:
                count_memory(servers["socketify"], arguments.handshakes, arguments.server_cpu)
        except BenchmarkError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
