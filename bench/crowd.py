"""One process with very many open websockets, for bench/scale.py.

The clients are processes, which the parent tells to stop by closing a socket. Each has as many connections as its limit of
descriptors permits, from an address of its own. Where one table of descriptors is too small for the server too, it runs several
event loops, in threads with a table each.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness import BenchmarkError, Server, pinned
from many import BURST, ECHO, MESSAGE, PORTS_USED, UPGRADE, many, permitted

SERVER = Path(__file__).with_name("scale_server.py")
#: What of its limit a loop may use: the kernel does not give all loops the same number of connections.
FILLED = 0.95
OPEN = b"open"
OPEN_TIMEOUT = 300
PONG = b"\x8a\x80\0\0\0\0"
PING_OPCODE = 0x89


@dataclass(frozen=True)
class Latency:
    """How long a message and its echo take, in microseconds, and what of a CPU the server used while none was sent."""

    cpu_percent: float
    p50: float
    p99: float
    p999: float
    longest: float


def measure_crowd(wanted: int, seconds: int, server_cpu: int | None, load_cpu: int | None) -> None:
    """Prints what a process with very many websockets does."""
    table = permitted(wanted)
    loops = 1 if table >= wanted else math.ceil(wanted / (FILLED * table))
    print(f"\n{wanted:,} websockets in one process")
    if loops > 1:
        print(
            f"  the system permits {table:,} connections for each table of descriptors: {loops} event loops with a table each"
        )
    with Server([sys.executable, str(SERVER), "crowd", str(loops)], server_cpu) as server, pinned(load_cpu):
        with crowd(server, 100, table):
            alone = watch(server, seconds)
        time.sleep(0.5)
        before = server.resident_bytes()
        begin, used = time.monotonic(), server.cpu_seconds()
        with crowd(server, wanted, table):
            took = time.monotonic() - begin
            used = server.cpu_seconds() - used
            each = (server.resident_bytes() - before) / wanted
            print(f"  opened in {took:.1f} s, in bursts of {BURST}; {used * 1e6 / wanted:.0f} us of the server's CPU each")
            print(f"  {each:,.0f} bytes of memory each")
            crowded = watch(server, seconds)
    print(f"  {'':<24}{'CPU idle':>12}{'echo p50':>12}{'p99':>12}{'p99.9':>12}{'longest':>12}")
    for name, found in (("few connections", alone), ("all of them", crowded)):
        row = "".join(f"{value:>9,.0f} us" for value in (found.p50, found.p99, found.p999, found.longest))
        print(f"  {name:<24}{found.cpu_percent:>10.2f} %{row}")


@contextlib.contextmanager
def crowd(server: Server, count: int, table: int) -> Iterator[None]:
    """Holds a number of websockets open, whose clients answer pings.

    Raises BenchmarkError when one is refused, or lost before the end.
    """
    most = min(table, PORTS_USED)
    clients = [
        Client(server.port, min(most, count - first), PORTS_USED * number) for number, first in enumerate(range(0, count, most))
    ]
    try:
        for client in clients:
            client.wait_until_open()
        yield
    finally:
        words = [client.stop() for client in clients]
    if any(words):
        raise BenchmarkError("; ".join(filter(None, words)))


class Client:
    """A process that holds websockets open."""

    def __init__(self, port: int, count: int, first: int) -> None:
        self._parent, child = socket.socketpair()
        self._parent.settimeout(OPEN_TIMEOUT)
        self._pid = os.fork()
        if self._pid == 0:
            self._parent.close()
            status = 1
            try:
                self._hold(child, port, count, first)
                status = 0
            except (BenchmarkError, OSError) as error:
                child.sendall(f"{type(error).__name__}: {error}".encode())
            finally:
                os._exit(status)
        child.close()

    @staticmethod
    def _hold(parent: socket.socket, port: int, count: int, first: int) -> None:
        with contextlib.closing(Pings()) as pings, many(port, count, "/plain", first=first, opened=pings.answer_also):
            parent.sendall(OPEN)
            pings.answer_until(parent)

    def wait_until_open(self) -> None:
        """Returns when all connections are open. Raises BenchmarkError when one is refused."""
        try:
            said = self._parent.recv(4096)
        except TimeoutError:
            said = b"the connections did not open"
        if said != OPEN:
            raise BenchmarkError(said.decode() or "a client ended without a word")

    def stop(self) -> str:
        """Closes the connections; tells what went wrong since they were open, or nothing."""
        self._parent.shutdown(socket.SHUT_WR)
        said = self._parent.recv(4096).removeprefix(OPEN).decode()
        self._parent.close()
        os.waitpid(self._pid, 0)
        return said


class Pings:
    """Answers the pings that websockets receive."""

    def __init__(self) -> None:
        self._connections: dict[int, socket.socket] = {}
        self._waiting = select.epoll()

    def close(self) -> None:
        """Answers no more."""
        self._waiting.close()

    def answer_also(self, opened: list[socket.socket]) -> None:
        """Answers the pings of more connections, and those that have come."""
        for each in opened:
            self._connections[each.fileno()] = each
            self._waiting.register(each, select.EPOLLIN)
        for number, _event in self._waiting.poll(0):
            self._answer(number)

    def answer_until(self, parent: socket.socket) -> None:
        """Answers until the parent closes its end. Raises BenchmarkError when a connection is lost."""
        self._waiting.register(parent, select.EPOLLIN)
        while True:
            for number, _event in self._waiting.poll():
                if number == parent.fileno():
                    return
                self._answer(number)

    def _answer(self, number: int) -> None:
        received = self._connections[number].recv(4096)
        if received[:1] != bytes([PING_OPCODE]):
            raise BenchmarkError(f"an idle websocket received {received!r}")
        self._connections[number].sendall(PONG)


def watch(server: Server, seconds: int) -> Latency:
    """Looks at the server while nothing but pings goes on, and then while another client sends a message every millisecond."""
    used = server.cpu_seconds()
    time.sleep(seconds)
    idle = (server.cpu_seconds() - used) / seconds
    took: list[float] = []
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(UPGRADE % b"/plain")
        connection.recv(4096)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            begin = time.perf_counter()
            connection.sendall(MESSAGE)
            received = connection.recv(64)
            if not received.endswith(ECHO):
                raise BenchmarkError(f"the connection that measures latency received {received!r}")
            took.append((time.perf_counter() - begin) * 1e6)
            time.sleep(0.001)
    took.sort()
    return Latency(100 * idle, *(took[int(len(took) * part)] for part in (0.5, 0.99, 0.999)), took[-1])
