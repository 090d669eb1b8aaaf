"""PROXY protocol, version 2: who the client is, as a proxy says before the request."""

from __future__ import annotations

import socket
import struct
from typing import Any

import pytest

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
V4 = socket.inet_aton("192.0.2.7") + socket.inet_aton("192.0.2.9") + struct.pack("!HH", 4711, 80)
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::7") + bytes(16) + struct.pack("!HH", 4711, 80)
# What load balancers add: an identifier of theirs (type 0xEA), and padding (type 4).
EXTRA = b"\xea\x00\x03abc" + b"\x04\x00\x10" + bytes(16)


def header(command: int, family: int, content: bytes = b"", length: int = -1) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(content) if length < 0 else length) + content


@pytest.fixture
def server(serve: Any) -> Any:
    def handler(res: Any, _req: Any) -> None:
        res.end(f"{res.get_proxied_remote_address()} {len(res.get_proxied_remote_address_bytes())}")

    return serve(lambda app: app.get("/", handler), accept_proxy_protocol=True)


@pytest.mark.parametrize(
    ("begin", "client"),
    [
        (b"", b" 0"),
        (b"\r\n", b" 0"),
        (header(0x21, 0x11, V4), b"192.0.2.7 4"),
        (header(0x21, 0x12, V4), b"192.0.2.7 4"),
        (header(0x21, 0x11, V4 + EXTRA), b"192.0.2.7 4"),
        (header(0x21, 0x21, V6), b"2001:db8::7 16"),
        (header(0x21, 0x21, V6 + EXTRA + b"\x20" * 3000), b"2001:db8::7 16"),
        # The proxy asks for itself: whether the server lives.
        (header(0x20, 0x00), b" 0"),
        (header(0x20, 0x11, V4), b" 0"),
        (header(0x20, 0x11, b""), b" 0"),
        # Addresses that are none of the Internet.
        (header(0x21, 0x00), b" 0"),
        (header(0x21, 0x00, EXTRA), b" 0"),
        (header(0x21, 0x31, bytes(216)), b" 0"),
    ],
)
def test_the_client_that_it_names(server: Any, begin: bytes, client: bytes) -> None:
    assert server.exchange(begin + REQUEST).endswith(b"\r\n\r\n" + client)
    with server.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(min(len(begin), 80)):
            connection.sendall(begin[at : at + 1])
        connection.sendall(begin[80:] + REQUEST)
        assert connection.recv(1000).endswith(b"\r\n\r\n" + client)


@pytest.mark.parametrize(
    "begin",
    [
        header(0x21, 0x11, V4[:11]),
        header(0x21, 0x11),
        header(0x21, 0x21, V4),
        header(0x21, 0x41, V6),
        header(0x22, 0x11, V4),
        header(0x11, 0x11, V4),
        header(0x21, 0x11, length=65535),
        SIGNATURE[:11] + b"x",
        b"\r\n\r\nGET / HTTP/1.1\r\n",
    ],
)
def test_what_is_no_header_is_refused(server: Any, begin: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(begin)
        assert connection.recv(12) == b"HTTP/1.1 400"
