"""Clients that end their half of the connection after a request, and those that leave, which looks the same at first."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any, Callable

import pytest
from app_servers import TLS, ASGIServer, Server, http_1_only, read_all
from capabilities import search_takes
from wsgi_server import served

from socketify import SSGI

pytestmark = pytest.mark.skipif(TLS is not None, reason="ends halves as TCP does")

LARGE = bytes(range(256)) * 80_000  # 20 MB
SMALL = b"hello"
GET = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"
WAIT = 0.05


def body_of(path: str) -> bytes:
    return LARGE if "large" in path else SMALL


def sync_app(res: Any, req: Any) -> None:
    res.end(body_of(req.get_url()))


async def async_app(res: Any, req: Any) -> None:
    path = req.get_url()
    await asyncio.sleep(WAIT)
    res.end(body_of(path))


async def streaming_app(res: Any, req: Any) -> None:
    body = body_of(req.get_url())
    await asyncio.sleep(WAIT)
    res.write(body[: len(body) // 2])
    await res.drain()
    await asyncio.sleep(WAIT)
    res.end(body[len(body) // 2 :])


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body_of(scope["path"])})


async def asgi_later(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.sleep(WAIT)
    await asgi(scope, receive, send)


async def asgi_streams(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(3):
        await asyncio.sleep(WAIT)
        await send({"type": "http.response.body", "body": body_of(scope["path"])[:700_000], "more_body": True})
    await send({"type": "http.response.body", "body": body_of(scope["path"])})


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [body_of(environ["PATH_INFO"])]


def wsgi_later(environ: Any, start_response: Any) -> list[bytes]:
    time.sleep(WAIT)
    return wsgi(environ, start_response)


def ssgi(*arguments: Any) -> None:
    arguments[-1].send(body_of(arguments[4]))


async def ssgi_later(*arguments: Any) -> None:
    await asyncio.sleep(WAIT)
    arguments[-1].send(body_of(arguments[4]))


@contextlib.contextmanager
def app(handler: Any) -> Iterator[int]:
    server = Server(lambda app: app.get("/*", handler))
    try:
        yield server.port
    finally:
        server.stop()


@contextlib.contextmanager
def asgi_server(application: Any) -> Iterator[int]:
    server = ASGIServer(application, lifespan=False)
    try:
        yield server.port
    finally:
        server.server.close()


@contextlib.contextmanager
def other(application: Any, *arguments: Any, **options: Any) -> Iterator[int]:
    with served(application, *arguments, **options) as server:
        yield server.port


INTERFACES = {
    "app": lambda: app(sync_app),
    "app waits": lambda: app(async_app),
    "app streams": lambda: app(streaming_app),
    "asgi": lambda: asgi_server(asgi),
    "asgi waits": lambda: asgi_server(asgi_later),
    "asgi streams": lambda: asgi_server(asgi_streams),
    "wsgi": lambda: other(wsgi),
    "wsgi threads": lambda: other(wsgi, threads=3),
    "wsgi threads wait": lambda: other(wsgi_later, threads=3),
    "ssgi": lambda: other(ssgi, SSGI),
    "ssgi waits": lambda: other(ssgi_later, SSGI),
}


def ask(port: int, request: bytes, slowly: bool = False) -> bytes:
    """Send, end our half, and read to the end."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(10)
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        if slowly:
            time.sleep(0.2)
        return read_all(connection)


@pytest.mark.parametrize("path", ["small", "large"])
@pytest.mark.parametrize("interface", INTERFACES.values(), ids=INTERFACES.keys())
def test_a_client_that_only_sends_no_more_gets_its_whole_answer(interface: Any, path: str) -> None:
    with interface() as port:
        answer = ask(port, GET % path.encode(), slowly=path == "large")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    if b"\r\nTransfer-Encoding" in answer:
        assert answer.endswith((b"\r\n0\r\n\r\n", b"\r\n00\r\n\r\n"))
    else:
        assert answer.partition(b"\r\n\r\n")[2] == body_of(path)


def test_pipelined_requests_are_all_answered() -> None:
    with app(async_app) as port:
        answer = ask(port, GET % b"small" * 5)
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == answer.count(b"\r\n\r\nhello") == 5


@pytest.mark.parametrize("request_", [b"", b"GET / HTT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"])
def test_less_than_a_request_ends_the_connection(serve: Callable[..., Any], request_: bytes) -> None:
    left = threading.Event()

    async def handler(res: Any, req: Any) -> None:
        res.on_aborted(lambda _: left.set())
        await res.get_data()

    server = serve(lambda app: app.any("/", handler))
    assert ask(server.port, request_) == b""
    assert not request_.startswith(b"POST") or left.wait(5)


@pytest.mark.parametrize("rest", ["body", "handed", "whole"])
@pytest.mark.parametrize("before", ["small", "large"])
def test_the_last_of_pipelined_requests_lacks_its_end(serve: Callable[..., Any], before: str, rest: str) -> None:
    """What is before it is answered; it ends as it would alone, and not when its time is over."""
    ends: list[bool] = []
    ended = threading.Event()

    async def reads(res: Any, req: Any) -> None:
        res.on_aborted(lambda _: ended.set())
        ends.append(await res.get_data() is not None)
        res.end("read")

    def hands(res: Any, req: Any) -> None:
        res.on_aborted(lambda _: ended.set())
        res.on_data(lambda res, chunk, is_last: ends.append(True) if is_last else None)

    server = serve(lambda app: app.get("/*", async_app).post("/body", reads).post("/handed", hands).post("/whole", reads))
    last = b"POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\nabc" % (rest.encode(), 3 if rest == "whole" else 9)
    answer = ask(server.port, GET % before.encode() + last, slowly=before == "large")
    first = answer.partition(b"\r\n\r\n")[2]
    assert first[: len(body_of(before))] == body_of(before)
    if rest == "whole":
        assert first.endswith(b"\r\n\r\nread")
    else:
        assert first == body_of(before)
        assert ended.wait(5)


def leave(connection: socket.socket, resets: bool) -> None:
    if resets:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("pipelined", [1, 3])
@pytest.mark.parametrize("begins", [False, True])
def test_a_client_that_leaves_is_noticed_at_once(serve: Callable[..., Any], resets: bool, pipelined: int, begins: bool) -> None:
    waits, left = threading.Event(), threading.Event()

    async def handler(res: Any, req: Any) -> None:
        res.on_aborted(lambda _: left.set())
        if begins:
            res.write(b"part")
        waits.set()
        await asyncio.get_running_loop().run_in_executor(None, left.wait, 10)

    server = serve(lambda app: app.get("/", handler))
    connection = socket.create_connection(("127.0.0.1", server.port))
    connection.sendall(GET % b"" * pipelined)
    assert waits.wait(5)
    if begins:
        assert connection.recv(100)
    leave(connection, resets)
    assert left.wait(5)


@pytest.mark.parametrize("streams", [False, True])
def test_an_asgi_application_that_waits_is_told(streams: bool) -> None:
    told: list[str] = []
    waits, left = threading.Event(), threading.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if streams:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        waits.set()
        told.append((await receive())["type"])
        left.set()

    with asgi_server(application) as port:
        connection = socket.create_connection(("127.0.0.1", port))
        connection.sendall(GET % b"")
        assert waits.wait(5)
        if streams:
            connection.recv(100)
        connection.shutdown(socket.SHUT_WR)
        assert not left.wait(0.3)
        connection.close()
        # It knew that the client reads; now only the client's system can say that it does not.
        assert left.wait(30)
    assert told == ["http.disconnect"]


@http_1_only("a half of TCP")
def test_waiting_for_a_half_closed_client_costs_nothing(serve: Callable[..., Any]) -> None:
    waits, go = threading.Event(), threading.Event()

    async def handler(res: Any, req: Any) -> None:
        waits.set()
        await asyncio.get_running_loop().run_in_executor(None, go.wait, 10)
        res.end("late")

    server = serve(lambda app: app.get("/", handler))
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.settimeout(10)
        connection.sendall(GET % b"" * 2)
        connection.shutdown(socket.SHUT_WR)
        assert waits.wait(5)
        time.sleep(0.1)
        before = time.process_time()
        time.sleep(0.5)
        assert time.process_time() - before < 0.1 + search_takes()
        go.set()
        assert read_all(connection).count(b"late") == 2


def test_a_websocket_ends_with_its_peers_half(serve: Callable[..., Any]) -> None:
    closed: list[int] = []
    done = threading.Event()

    def on_close(ws: Any, code: int, _: Any) -> None:
        closed.append(code)
        done.set()

    async def upgrade(res: Any, req: Any, context: Any) -> None:
        key = req.get_header("sec-websocket-key")
        await asyncio.sleep(WAIT)
        res.upgrade(key, None, None, context)

    server = serve(lambda app: app.ws("/", {"upgrade": upgrade, "close": on_close, "message": lambda *_: None}))
    handshake = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    handshake += b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    assert ask(server.port, handshake).startswith(b"HTTP/1.1 101")
    assert done.wait(5)
    assert closed == [1006]
