"""Measures what many connections cost, and whether workers scale. Linux only.

    python -m pip install trustme
    python bench/scale.py [--connections 50000] [--sections memory,crowd,workers]

memory   bytes of resident memory for each idle connection: HTTP, websockets without and with compression, TLS with and without
         ``ssl_prefer_low_memory_usage``. Every one was used once. Kernel memory comes on top and is the same for every server.
crowd    one process with so many open websockets, which are pinged and answer: how fast they open, what the server's CPU does
         while all wait, and how long a message takes there and back meanwhile.
workers  requests per second and the server's CPU time per request with one worker and with two, which share the machine with
         the load generator: ``hello`` costs wrk as much as the server, ``work`` is a request that computes.

Connections come from several loopback addresses, as one has ports for less than 30,000. The limit of descriptors is raised as
far as the system permits.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import select
import socket
import ssl
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import trustme
from clients import Load, run_wrk
from harness import BenchmarkError, Server, Spread, choose_cpus, pinned, raise_descriptor_limit

SERVER = Path(__file__).with_name("scale_server.py")
SECTIONS = ("memory", "crowd", "workers")
#: Of one client address.
PORTS_USED = 20_000
#: What a process needs beside its connections.
OTHER_DESCRIPTORS = 512
IP_BIND_ADDRESS_NO_PORT = 24
#: Connections that are made before any is looked at.
BURST = 1_000
HTTP_REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
UPGRADE = (
    b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)
#: A text of 2 bytes, with a mask of zeros, which changes nothing; and what comes back, where nothing is compressed.
MESSAGE, ECHO = b"\x81\x82\0\0\0\0hi", b"\x81\x02hi"
PONG = b"\x8a\x80\0\0\0\0"
PING_OPCODE = 0x89


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


def permitted(connections: int) -> int:
    """Raises the limit of descriptors of this process and its servers; tells how many connections the system permits then."""
    wanted = connections + OTHER_DESCRIPTORS
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            hard = wanted
        if hard < wanted:
            wanted = hard
            print(f"\nthe system permits a process {hard:,} descriptors, not the {connections:,} that were asked for")
    raise_descriptor_limit(wanted)
    return wanted - OTHER_DESCRIPTORS


def connect(port: int, number: int) -> socket.socket:
    """Connects from the address that has ports left for a connection with this number."""
    connection = socket.socket()
    connection.settimeout(30)
    connection.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.bind((f"127.0.0.{2 + number // PORTS_USED}", 0))
    connection.connect(("127.0.0.1", port))
    return connection


@contextlib.contextmanager
def many(server: Server, count: int, path: str, context: ssl.SSLContext | None = None) -> Iterator[list[socket.socket]]:
    """Opens connections, each of which gets one answer. Raises BenchmarkError when one is wrong."""
    request = UPGRADE % path.encode() if path else HTTP_REQUEST
    expected = b"HTTP/1.1 101 " if path else b"HTTP/1.1 200 "
    connections: list[socket.socket] = []
    try:
        while len(connections) < count:
            burst = []
            for _ in range(min(BURST, count - len(connections))):
                burst.append(connect(server.port, len(connections)))
                connections.append(burst[-1])
            if context is not None:
                burst = [context.wrap_socket(each) for each in burst]
                connections[-len(burst) :] = burst
            for each in burst:
                each.sendall(request)
            for each in burst:
                if not each.recv(4096).startswith(expected):
                    raise BenchmarkError(f"one of connections {len(connections) - len(burst)} and up was not answered")
        yield connections
    finally:
        for each in connections:
            each.close()


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
            with many(server, 100, kind.path, context):
                pass
            time.sleep(0.5)
            before = server.resident_bytes()
            with many(server, count, kind.path, context) as connections:
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


# ---- the crowd


def measure_crowd(arguments: argparse.Namespace, server_cpu: int | None, load_cpu: int | None) -> None:
    """Prints what a process with very many websockets does."""
    count = permitted(arguments.connections)
    print(f"\n{count:,} websockets in one process")
    with Server([sys.executable, str(SERVER), "idle"], server_cpu) as server, pinned(load_cpu):
        with many(server, 100, "/plain"):
            alone = watch(server, [], arguments.idle_seconds)
        time.sleep(0.5)
        before = server.resident_bytes()
        begin, used = time.monotonic(), server.cpu_seconds()
        with many(server, count, "/plain") as connections:
            seconds = time.monotonic() - begin
            used = server.cpu_seconds() - used
            each = (server.resident_bytes() - before) / count
            print(f"  opened in {seconds:.1f} s, in bursts of {BURST}; {used * 1e6 / count:.0f} us of the server's CPU each")
            print(f"  {each:,.0f} bytes of memory each")
            crowded = watch(server, connections, arguments.idle_seconds)
    print(f"  {'':<24}{'CPU idle':>12}{'echo p50':>12}{'p99':>12}{'p99.9':>12}{'longest':>12}")
    for name, found in (("few connections", alone), ("all of them", crowded)):
        row = "".join(f"{found[key]:>9,.0f} us" for key in ("p50", "p99", "p999", "longest"))
        print(f"  {name:<24}{found['cpu']:>10.2f} %{row}")


def watch(server: Server, connections: list[socket.socket], seconds: int) -> dict[str, float]:
    """Answers pings, while another process sends a message every millisecond and half of the time nothing but pings goes on."""
    with contextlib.closing(select.epoll()) as waiting:
        by_number = {each.fileno(): each for each in connections}
        for number in by_number:
            waiting.register(number, select.EPOLLIN)
        used = server.cpu_seconds()
        answer_pings(waiting, by_number, time.monotonic() + seconds)
        idle = (server.cpu_seconds() - used) / seconds
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(writer, json.dumps(probe(server.port, seconds)).encode())
            finally:
                os._exit(0)
        os.close(writer)
        waiting.register(reader, select.EPOLLIN)
        answer_pings(waiting, by_number, time.monotonic() + seconds + 10, until=reader)
        found: dict[str, float] = json.loads(os.read(reader, 65536) or b"{}")
        os.close(reader)
        os.waitpid(child, 0)
    if not found:
        raise BenchmarkError("the connection that measures latency was lost")
    return {**found, "cpu": 100 * idle}


def answer_pings(waiting: select.epoll, by_number: dict[int, socket.socket], end: float, until: int | None = None) -> None:
    """Answers pings till an end, or until another descriptor can be read. Raises BenchmarkError when a connection is lost."""
    while (left := end - time.monotonic()) > 0:
        for number, _event in waiting.poll(left):
            if number == until:
                return
            received = by_number[number].recv(4096)
            if received[:1] != bytes([PING_OPCODE]):
                raise BenchmarkError(f"an idle websocket received {received!r}")
            by_number[number].sendall(PONG)


def probe(port: int, seconds: int) -> dict[str, float]:
    """Measures how long a message takes there and back, in microseconds."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(UPGRADE % b"/plain")
        connection.recv(4096)
        took: list[float] = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            begin = time.perf_counter()
            connection.sendall(MESSAGE)
            if not connection.recv(64).endswith(ECHO):
                break
            took.append((time.perf_counter() - begin) * 1e6)
            time.sleep(0.001)
    took.sort()
    at = {"p50": 0.5, "p99": 0.99, "p999": 0.999}
    return {**{name: took[int(len(took) * part)] for name, part in at.items()}, "longest": took[-1]}


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


def make_files(directory: Path) -> list[str]:
    """Makes a certificate and its key."""
    leaf = trustme.CA().issue_cert("127.0.0.1", "localhost", key_type=trustme.KeyType.ECDSA)
    certificate, key = directory / "server.pem", directory / "server.key"
    leaf.cert_chain_pems[0].write_to_path(str(certificate))
    leaf.private_key_pem.write_to_path(str(key))
    return [str(certificate), str(key)]


def main() -> int:
    """Measures and reports; returns the exit status."""
    arguments = parse_arguments()
    sections = arguments.sections.split(",")
    server_cpu, load_cpu = choose_cpus()
    with tempfile.TemporaryDirectory() as directory:
        try:
            if "memory" in sections:
                measure_memory(arguments, make_files(Path(directory)), server_cpu)
            if "crowd" in sections:
                measure_crowd(arguments, server_cpu, load_cpu)
            if "workers" in sections:
                measure_workers(arguments)
        except BenchmarkError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
