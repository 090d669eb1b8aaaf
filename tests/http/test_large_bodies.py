"""Bodies that arrive in pieces and are read as a whole: nothing is missing, and what is not here costs nothing."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import threading
from typing import Any, Callable

import pytest
from resident import resident_bytes

from socketify import App

KIB = 1024
BODY = os.urandom(1 << 20) + b"end"
DECLARED = 10 << 20
CLIENTS = 64


def digest(data: bytes) -> bytes:
    return b"%d %s" % (len(data), hashlib.sha256(data).hexdigest().encode())


def head(path: str, length: int) -> bytes:
    return b"POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % (path.encode(), length)


async def at_once(res: Any, req: Any) -> None:
    res.end(digest((await res.get_data()).getvalue()))


async def later(res: Any, req: Any) -> None:
    await asyncio.sleep(0.05)
    await at_once(res, req)


def routes(app: App) -> None:
    app.post("/", at_once).post("/later", later)


@pytest.mark.parametrize("path", ["/", "/later"])
@pytest.mark.parametrize("size", [64 * KIB, 128 * KIB - 1, 128 * KIB, 1 << 20, len(BODY)])
def test_all_of_a_body_is_there(serve: Callable[..., Any], path: str, size: int) -> None:
    server = serve(routes)
    body = BODY[:size]
    assert server.exchange(head(path, size) + body).endswith(digest(body))


@pytest.mark.parametrize("path", ["/", "/later"])
def test_pieces_of_any_size_are_the_whole(serve: Callable[..., Any], path: str) -> None:
    server = serve(routes)
    data = head(path, len(BODY)) + BODY
    with server.connect() as connection:
        position = 0
        for size in (10, 100, 1, 5000, 70_000, 1, 300_000, len(data)):
            connection.sendall(data[position : position + size])
            position += size
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert answer.endswith(digest(BODY))


def test_a_body_in_chunks_is_the_same(serve: Callable[..., Any]) -> None:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (BODY[:300_000], BODY[300_000:]))
    data = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    assert serve(routes).exchange(data).endswith(digest(BODY))


def test_who_leaves_early_sent_what_arrived(serve: Callable[..., Any]) -> None:
    found: list[bytes] = []
    ended = threading.Event()

    async def collect(res: Any, req: Any) -> None:
        found.append((await res.get_data()).getvalue())
        ended.set()

    server = serve(lambda app: app.post("/", collect))
    with server.connect() as connection:
        connection.sendall(head("/", len(BODY)) + BODY[:200_000])
        # An answer of another connection means that this one was read.
        server.exchange(b"GET /missing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert ended.wait(10)
    assert BODY.startswith(found[0])
    assert len(found[0]) > 0


def test_what_is_declared_and_not_sent_costs_nothing(serve: Callable[..., Any]) -> None:
    server = serve(routes)
    before = resident_bytes()
    clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(CLIENTS)]
    try:
        for client in clients:
            client.sendall(head("/", DECLARED) + b"x")
        server.exchange(b"GET /missing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert resident_bytes() - before < CLIENTS * DECLARED // 4
    finally:
        for client in clients:
            client.close()
