"""Answers that come before the request has: the client gets them whenever it sends the rest (RFC 9112 section 9.6)."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Any, Callable

import pytest
from app_servers import http_1_only, read_all

from socketify import Limits

TRIES = 10


def send_late(port: int, head: bytes, rest: bytes) -> bytes:
    """Send the rest a little after the head, as over a network, then read; a reset loses what was not read before."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(10)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(head)
        try:
            for _ in range(3):
                time.sleep(0.002)
                connection.sendall(rest)
        except OSError:
            return b""
        return read_all(connection)


REFUSED = {
    "413": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", b"413"),
    "400": (b"POST / HTTP/1.1\r\nHost: x\r\nHost: y\r\nContent-Length: 1000000\r\n\r\n", b"400"),
    "401": (b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\nConnection: close\r\n\r\n", b"401"),
}


@pytest.mark.parametrize("kind", ["413", pytest.param("400", marks=http_1_only("a malformed head")), "401"])
def test_an_early_answer_arrives(serve: Callable[..., Any], kind: str) -> None:
    def build(app: Any) -> None:
        app.post("/", lambda res, _: res.end("never"))
        app.post("/login", lambda res, _: res.write_status(401).end("who are you?"))

    server = serve(build, limits=Limits(max_body_size=50_000))
    head, status = REFUSED[kind]
    answers = [send_late(server.port, head, b"x" * 10_000) for _ in range(TRIES)]
    assert [answer[9:12] for answer in answers] == [status] * TRIES


@http_1_only("the end of a connection")
def test_lingering_is_bounded(serve: Callable[..., Any]) -> None:
    server = serve(lambda app: app.post("/", lambda res, _: res.end("never")), limits=Limits(max_body_size=10))
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.settimeout(10)
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        assert b"413" in read_all(connection)
        # Nobody reads for ever what a client sends that does not stop.
        began = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() < began + 9:
                connection.sendall(b"x" * 1_000_000)
        assert time.monotonic() < began + 9
