"""What an application has sent leaves before it goes on, whatever it does then."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any, Callable

import pytest
from app_servers import TLS, http_1_only
from wsgi_server import served

from socketify import SSGI

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Blocking:
    """Work that blocks the loop until the client has what came before it."""

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self.outcome: list[bool] = []

    def work(self) -> None:
        self.outcome.append(self.arrived.wait(5))

    def check(self, connection: socket.socket, until: bytes) -> None:
        connection.sendall(GET)
        received = b""
        while until not in received:
            part = connection.recv(65536)
            assert part
            received += part
        self.arrived.set()


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("streams", [False, True])
def test_asgi(serve_asgi: Callable[..., Any], waits: bool, streams: bool) -> None:
    blocking = Blocking()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if waits:
            await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello", "more_body": streams})
        blocking.work()
        if streams:
            await send({"type": "http.response.body", "body": b""})

    server = serve_asgi(application, lifespan=False)
    with server.connect() as connection:
        blocking.check(connection, b"hello")
    assert server.exchange(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert blocking.outcome[0] is True


def test_app(serve: Callable[..., Any]) -> None:
    blocking = Blocking()

    def handler(res: Any, _: Any) -> None:
        res.end("hello")
        blocking.work()

    server = serve(lambda app: app.get("/", handler))
    with server.connect() as connection:
        blocking.check(connection, b"hello")
    server.exchange(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert blocking.outcome[0] is True


@pytest.mark.skipif(TLS is not None, reason="this server does not speak TLS")
def test_ssgi() -> None:
    blocking = Blocking()

    def application(*arguments: Any) -> None:
        arguments[-1].send("hello", has_more=True)
        blocking.work()
        arguments[-1].send()

    with served(application, SSGI) as server:
        with server.connect() as connection:
            blocking.check(connection, b"hello")
        server.ask()
    assert blocking.outcome[0] is True


@http_1_only("counts chunks")
def test_what_is_corked_leaves_together(serve: Callable[..., Any]) -> None:
    def pieces(res: Any) -> None:
        res.write("a")
        res.write("b")
        res.end("c")

    server = serve(lambda app: app.get("/", lambda res, _: res.cork(pieces)))
    with server.connect() as connection:
        connection.sendall(GET)
        assert connection.recv(65536).endswith(b"1\r\nc\r\n0\r\n\r\n")


@http_1_only("pipelining")
def test_pipelined_answers_share_packets(serve: Callable[..., Any]) -> None:
    server = serve(lambda app: app.get("/", lambda res, _: res.end("hello")))
    with server.connect() as connection:
        connection.sendall(GET * 10)
        assert connection.recv(65536).count(b"hello") == 10
