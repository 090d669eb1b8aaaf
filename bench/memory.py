"""Measures what a server keeps: memory after many requests, memory of idle connections, CPU time while idle.

python bench/memory.py [--requests 1000000] [--connections 10000] [--idle-seconds 30] [-- COMMAND...]

COMMAND is a server that takes the port as last argument and prints ``listening PORT`` (default: bench/hello.py).
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from clients import Load, run_wrk
from harness import BenchmarkError, Server, choose_cpus, raise_descriptor_limit

REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
LOAD = Load("64 connections, 16 pipelined", 64, pipelined=16)


@dataclass(frozen=True)
class Growth:
    """Resident memory before and after, in bytes."""

    before: int
    after: int

    @property
    def bytes(self) -> int:
        """How much was added."""
        return self.after - self.before


def growth_over_requests(server: Server, requests: int, cpu: int | None = None) -> Growth:
    """Measures memory around a number of requests, after a warm-up of one second."""
    run_wrk(server, LOAD, 1, cpu)
    before = server.resident_bytes()
    served = 0.0
    while served < requests:
        served += run_wrk(server, LOAD, 1, cpu).requests
    return Growth(before, server.resident_bytes())


def growth_over_connections(server: Server, count: int) -> Growth:
    """Measures memory around opening a number of connections, each of which made one request and is idle now.

    Raises BenchmarkError when a connection is refused, answered wrongly, or closed before the end.
    """
    raise_descriptor_limit(count + 256)
    before = server.resident_bytes()
    connections: list[socket.socket] = []
    try:
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
            connections.append(connection)
            connection.sendall(REQUEST)
            if not connection.recv(4096).startswith(b"HTTP/1.1 200 "):
                raise BenchmarkError(f"connection {len(connections)} was not answered with 200")
        after = server.resident_bytes()
        for connection in connections:
            connection.setblocking(False)  # noqa: FBT003 - the socket module's signature
            if _is_closed(connection):
                raise BenchmarkError(f"the server closed one of {count} idle connections; measure with fewer")
    finally:
        for connection in connections:
            connection.close()
    return Growth(before, after)


def growth_over_waiting(server: Server, count: int, patience: float = 30) -> Growth:
    """Measures memory around requests, each on a connection of its own, that wait in their handlers at the same time.

    Raises BenchmarkError when not all of them get that far after some seconds, or when one is not answered with 200 in the end.
    """
    raise_descriptor_limit(count + 256)
    before = server.resident_bytes()
    with contextlib.ExitStack() as stack:
        connections = []
        for _ in range(count):
            connections.append(stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10)))
            connections[-1].sendall(REQUEST)
        asker = stack.enter_context(contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)))
        deadline = time.monotonic() + patience
        while (waiting := _asked(asker, "/count")) != b"%d" % count:
            if time.monotonic() > deadline:
                raise BenchmarkError(f"{waiting!r} of {count} requests wait")
            time.sleep(0.1)
        after = server.resident_bytes()
        _asked(asker, "/release")
        for number, connection in enumerate(connections, 1):
            if not connection.recv(4096).startswith(b"HTTP/1.1 200 "):
                raise BenchmarkError(f"request {number} was not answered with 200")
    return Growth(before, after)


def _asked(connection: http.client.HTTPConnection, path: str) -> bytes:
    connection.request("GET", path)
    return connection.getresponse().read()


def _is_closed(connection: socket.socket) -> bool:
    try:
        # Some servers send the head of an answer and its body apart.
        while connection.recv(4096):
            continue
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
    return True


def idle_cost(server: Server, seconds: float) -> tuple[int, float]:
    """Returns the ticks and the exact seconds of CPU time that an idle server uses in some seconds."""
    time.sleep(1)  # what the load before left to do
    ticks, cpu = server.cpu_ticks(), server.cpu_seconds()
    time.sleep(seconds)
    return server.cpu_ticks() - ticks, server.cpu_seconds() - cpu


def main() -> int:
    """Measures and reports; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--idle-seconds", type=float, default=30)
    parser.add_argument("command", nargs="*", default=[sys.executable, str(Path(__file__).with_name("hello.py"))])
    arguments = parser.parse_args()
    server_cpu, load_cpu = choose_cpus()
    try:
        raise_descriptor_limit(arguments.connections + 256)
        with Server(arguments.command, server_cpu) as server:
            requests = growth_over_requests(server, arguments.requests, load_cpu)
            print(f"memory before {arguments.requests:,} requests: {requests.before / 1024:,.0f} KiB")
            print(f"memory after them:  {requests.after / 1024:,.0f} KiB ({requests.bytes / 1024:+,.0f} KiB)")
            ticks, seconds = idle_cost(server, arguments.idle_seconds)
            print(f"CPU time idle for {arguments.idle_seconds:g} s: {ticks} ticks, {seconds * 1e6:,.0f} us")
            connections = growth_over_connections(server, arguments.connections)
            each = connections.bytes / arguments.connections
            print(f"{arguments.connections:,} idle connections: {connections.bytes / 1024:+,.0f} KiB, {each:,.0f} bytes each")
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
