"""Measures websockets on one topic: memory of each idle connection, and a message that reaches all of them.

python bench/websocket_memory.py [--connections 10000] [--slow 10] [-- COMMAND...]

Some of the connections read nothing until all others have got everything: they must harm nobody.
COMMAND is a server that takes the port as last argument and prints ``listening PORT`` (default: bench/websocket_topic.py).
"""

from __future__ import annotations

import argparse
import selectors
import socket
import sys
import time
from pathlib import Path

from harness import BenchmarkError, Server, choose_cpus, raise_descriptor_limit

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
PAYLOAD = b"x" * 1024
#: With a mask of zeros, which changes nothing.
SENT = b"\x82\xfe" + len(PAYLOAD).to_bytes(2, "big") + b"\0\0\0\0" + PAYLOAD
RECEIVED = b"\x82\x7e" + len(PAYLOAD).to_bytes(2, "big") + PAYLOAD
ROUNDS = 20


def connect(server: Server, count: int) -> list[socket.socket]:
    """Opens websockets. Raises BenchmarkError when one is refused."""
    connections: list[socket.socket] = []
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        connections.append(connection)
        connection.sendall(HANDSHAKE)
        if not connection.recv(4096).startswith(b"HTTP/1.1 101 "):
            raise BenchmarkError(f"connection {len(connections)} was not upgraded")
    return connections


def receive_all(connections: list[socket.socket], expected: bytes) -> None:
    """Reads until every connection has got exactly what is expected. Raises BenchmarkError otherwise."""
    selector = selectors.DefaultSelector()
    buffers = {}
    for connection in connections:
        selector.register(connection, selectors.EVENT_READ)
        buffers[connection] = bytearray()
    waiting = len(connections)
    while waiting:
        events = selector.select(timeout=30)
        if not events:
            raise BenchmarkError(f"{waiting} of {len(connections)} connections did not get the message")
        for key, _ in events:
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            part = connection.recv(65536)
            buffer = buffers[connection]
            buffer += part
            if not part or not expected.startswith(buffer):
                raise BenchmarkError("a connection got something else")
            if len(buffer) == len(expected):
                selector.unregister(connection)
                waiting -= 1
    selector.close()


def main() -> int:
    """Measures and reports; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--slow", type=int, default=10)
    parser.add_argument("command", nargs="*", default=[sys.executable, str(Path(__file__).with_name("websocket_topic.py"))])
    arguments = parser.parse_args()
    count, slow = arguments.connections, arguments.slow
    try:
        raise_descriptor_limit(count + 256)
        with Server(arguments.command, choose_cpus()[0]) as server:
            warm = connect(server, 1)
            before = server.resident_bytes()
            connections = connect(server, count)
            each = (server.resident_bytes() - before) / count
            print(f"{count:,} idle websockets on a topic: {each:,.0f} bytes each")
            started = time.perf_counter()
            connections[0].sendall(SENT)
            receive_all(connections + warm, RECEIVED)
            print(f"1 KiB reached all of them in {(time.perf_counter() - started) * 1000:,.0f} ms")
            readers = connections[slow:]
            started = time.perf_counter()
            for _ in range(ROUNDS):
                readers[0].sendall(SENT)
                receive_all(readers + warm, RECEIVED)
            seconds = time.perf_counter() - started
            print(f"{slow} read nothing: {len(readers) * ROUNDS / seconds:,.0f} deliveries a second to the others")
            after = (server.resident_bytes() - before) / count
            print(f"afterwards {after:,.0f} bytes each")
            for connection in connections + warm:
                connection.close()
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
