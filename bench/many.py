"""Opens many connections from one process."""

from __future__ import annotations

import contextlib
import resource
import socket
import ssl
from collections.abc import Iterator
from typing import Callable

from harness import BenchmarkError, raise_descriptor_limit

#: Of one client address, of which it has 28,000: with more in use, the kernel looks long for a free one.
PORTS_USED = 10_000
#: What a process needs beside its connections.
OTHER_DESCRIPTORS = 512
IP_BIND_ADDRESS_NO_PORT = 24
#: Connections that are made before any is looked at: no more than may wait to be accepted, or some are refused and try later.
BURST = 250
HTTP_REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
UPGRADE = (
    b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)
#: A text of 2 bytes, with a mask of zeros, which changes nothing; and what comes back, where nothing is compressed.
MESSAGE, ECHO = b"\x81\x82\0\0\0\0hi", b"\x81\x02hi"


def permitted(connections: int) -> int:
    """Raises the limit of descriptors of this process and its children; tells how many of the connections one may have then."""
    wanted = connections + OTHER_DESCRIPTORS
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            hard = wanted
        wanted = min(wanted, hard)
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
def many(
    port: int,
    count: int,
    path: str,
    context: ssl.SSLContext | None = None,
    first: int = 0,
    opened: Callable[[list[socket.socket]], None] = lambda _: None,
) -> Iterator[list[socket.socket]]:
    """Opens connections, each of which gets one answer.

    Their numbers count from ``first``: processes that connect to the same port must give them different numbers. ``opened`` is
    called with those that were opened since the last time, again and again.

    Raises BenchmarkError when an answer is wrong.
    """
    request = UPGRADE % path.encode() if path else HTTP_REQUEST
    expected = b"HTTP/1.1 101 " if path else b"HTTP/1.1 200 "
    connections: list[socket.socket] = []
    try:
        while len(connections) < count:
            burst = []
            for _ in range(min(BURST, count - len(connections))):
                burst.append(connect(port, first + len(connections)))
                connections.append(burst[-1])
            if context is not None:
                burst = [context.wrap_socket(each) for each in burst]
                connections[-len(burst) :] = burst
            for each in burst:
                each.sendall(request)
            for each in burst:
                answer = each.recv(4096)
                if not answer.startswith(expected):
                    raise BenchmarkError(
                        f"one of connections {len(connections) - len(burst)} and up was answered {answer[:60]!r}"
                    )
            opened(burst)
        yield connections
    finally:
        for each in connections:
            each.close()
