"""The bounds of what clients send, and of the time they take."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

import pytest
from app_servers import HTTP_2, http_1_only, read_all

from socketify import App, Limits

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def ok(app: App) -> None:
    app.get("/", lambda res, _req: res.end("ok"))


def status(answer: bytes) -> int:
    return int(answer[9:12]) if answer else 0


@pytest.mark.parametrize(
    ("limits", "request_bytes", "expected"),
    [
        (Limits(max_target_bytes=10), b"GET /" + b"a" * 9 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        (Limits(max_target_bytes=10), b"GET /" + b"a" * 10 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (Limits(max_header_bytes=20), b"GET / HTTP/1.1\r\nHost: a\r\nX: 123456\r\n\r\n", 200),
        (Limits(max_header_bytes=20), b"GET / HTTP/1.1\r\nHost: a\r\nX: 1234567\r\n\r\n", 431),
        (Limits(max_header_count=2), b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n", 200),
        (Limits(max_header_count=2), b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nX: 1\r\n\r\n", 431),
        (Limits(max_body_size=3), b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 200),
        (Limits(max_body_size=3), b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n", 413),
        (
            Limits(max_body_size=3),
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
            413,
        ),
        pytest.param(
            Limits(max_chunk_extension_bytes=4),
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;abcde\r\na\r\n0\r\n\r\n",
            431,
            marks=http_1_only("extensions of chunks"),
        ),
        (
            Limits(max_trailer_bytes=4),
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nAb: cd\r\n\r\n",
            431,
        ),
    ],
)
def test_sizes(serve: Any, limits: Limits, request_bytes: bytes, expected: int) -> None:
    async def take(res: Any, _req: Any) -> None:
        await res.get_data()
        res.end("ok")

    def build(app: App) -> None:
        ok(app)
        app.post("/", take)

    server = serve(build, limits=limits)
    with server.connect() as connection:
        connection.sendall(request_bytes)
        answer = connection.recv(65536)
        assert status(answer) == expected
        # A stream that is refused leaves its connection to others.
        if expected >= 413 and not HTTP_2:
            assert b"\r\nConnection: close\r\n" in answer
            connection.sendall(GET)
            assert b"200 OK" not in read_all(connection)


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (b"POST / HTTP/1.0\r\n\r\n", 405),
        (b"POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n", 405),
        (b"GET / HTTP/1.0\r\n\r\n", 200),
        (b"PUT / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"PUT /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        (b"BREW /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        (b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        (b"DELETE /any HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (b"BREW /any HTTP/1.1\r\nHost: a\r\n\r\n", 200),
    ],
)
def test_statuses_of_what_no_route_takes(serve: Any, request_bytes: bytes, expected: int) -> None:
    def build(app: App) -> None:
        ok(app)
        app.get("/never", lambda _res, req: req.set_yield(1))
        app.any("/any", lambda res, _req: res.end("ok"))

    server = serve(build)
    with server.connect() as connection:
        connection.sendall(request_bytes)
        answer = connection.recv(65536)
    assert status(answer) == expected
    assert (b"\r\nAllow: GET, HEAD\r\n" in answer) == (expected == 405)


@http_1_only("half a head")
def test_a_slow_head_gets_408_while_others_are_served(serve: Any) -> None:
    server = serve(ok, limits=Limits(header_timeout=1))
    with server.connect() as slow, server.connect() as silent, server.connect() as other:
        began = time.monotonic()
        answer = b""
        slow.settimeout(0.3)
        slow.sendall(b"GET / HTTP/1.1\r\n")
        while time.monotonic() - began < 8 and not answer:
            try:
                answer = slow.recv(65536)
            except socket.timeout:
                slow.sendall(b"X")
            other.sendall(GET)
            assert other.recv(1000).endswith(b"ok")
        assert status(answer) == 408
        assert 0.9 < time.monotonic() - began < 4
        # A client that never said anything would take an answer for that to its first request.
        assert read_all(silent) == b""


@http_1_only("half a head")
def test_the_head_of_a_later_request_has_its_own_clock(serve: Any) -> None:
    server = serve(ok, limits=Limits(header_timeout=1, keep_alive_timeout=60))
    with server.connect() as connection:
        connection.sendall(GET)
        assert connection.recv(1000).endswith(b"ok")
        time.sleep(2.5)
        connection.sendall(GET[:5])
        time.sleep(0.2)
        connection.sendall(GET[5:] + GET[:10])
        assert connection.recv(1000).endswith(b"ok")
        began = time.monotonic()
        assert status(read_all(connection)) == 408
        assert time.monotonic() - began < 4


@pytest.mark.parametrize("chunked", [False, True])
def test_a_slow_body_gets_408_and_aborts(serve: Any, chunked: bool) -> None:
    aborted = threading.Event()

    async def take(res: Any, _req: Any) -> None:
        res.on_aborted(lambda _res: aborted.set())
        assert await res.get_data() is None or res.aborted

    server = serve(lambda app: app.post("/", take), limits=Limits(body_timeout=1, min_body_rate=1000))
    with server.connect() as connection:
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 100000"
        connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n")
        connection.settimeout(0.3)
        began = time.monotonic()
        answer = b""
        while time.monotonic() - began < 8 and not answer:
            try:
                answer = connection.recv(65536)
            except socket.timeout:
                connection.sendall(b"1\r\na\r\n" if chunked else b"abcd")
        assert status(answer) == 408
    assert aborted.wait(5)


def test_a_body_that_keeps_its_pace_may_take_long(serve: Any) -> None:
    async def take(res: Any, _req: Any) -> None:
        data = await res.get_data()
        res.end(str(len(data.getvalue())))

    server = serve(lambda app: app.post("/", take), limits=Limits(body_timeout=1, min_body_rate=1000))
    with server.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12000\r\n\r\n")
        for _ in range(12):
            connection.sendall(b"x" * 1000)
            time.sleep(0.4)
        assert connection.recv(1000).endswith(b"12000")


def test_no_clock_runs_while_the_handler_is_waited_for(serve: Any) -> None:
    async def take(res: Any, _req: Any) -> None:
        await asyncio.sleep(3.5)
        data = await res.get_data()
        res.end(str(len(data.getvalue())))

    server = serve(lambda app: app.post("/", take), limits=Limits(body_timeout=1, header_timeout=1, keep_alive_timeout=1))
    with server.connect() as connection, server.connect() as expecting:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000)
        expecting.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(1000).endswith(b"200000")
        assert expecting.recv(1000).startswith(b"HTTP/1.1 100")
        expecting.sendall(b"abc")
        assert expecting.recv(1000).endswith(b"3")


def test_a_streaming_handler_may_be_silent_after_a_slow_reader_caught_up(serve: Any) -> None:
    async def stream(res: Any, _req: Any) -> None:
        res.write(b"x" * 8_000_000)
        await asyncio.sleep(3.5)
        res.end(b"end")

    server = serve(lambda app: app.get("/", stream), limits=Limits(write_timeout=2, keep_alive_timeout=1))
    with server.connect() as connection:
        connection.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        time.sleep(0.5)
        assert read_all(connection).endswith(b"\r\n3\r\nend\r\n0\r\n\r\n")


def test_a_client_that_does_not_read_is_cut(serve: Any) -> None:
    aborted = threading.Event()

    async def stream(res: Any, _req: Any) -> None:
        res.on_aborted(lambda _res: aborted.set())
        while not res.aborted:
            await res.write(b"x" * 1_000_000).drain()

    server = serve(lambda app: app.get("/", stream), limits=Limits(write_timeout=1))
    with server.connect() as connection:
        connection.sendall(GET)
        assert aborted.wait(8)


def test_accepting_pauses_at_the_limit(serve: Any) -> None:
    def ask() -> socket.socket:
        connection = server.connect()
        connection.sendall(GET)
        assert connection.recv(1000).endswith(b"ok")
        return connection

    server = serve(ok, limits=Limits(max_connections=2, keep_alive_timeout=60))
    with ask() as first, ask(), ThreadPoolExecutor(1) as pool:
        # Over TLS its handshake waits, too.
        third = pool.submit(ask)
        with pytest.raises(FutureTimeout):
            third.result(0.5)
        first.close()
        third.result(10).close()


@http_1_only("broken chunks")
def test_errors_after_a_response_began_only_cut(serve: Any) -> None:
    async def stream(res: Any, _req: Any) -> None:
        res.write(b"begun")
        await res.get_data()

    server = serve(lambda app: app.post("/", stream))
    answer = server.exchange(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nnonsense\r\n")
    assert answer.endswith(b"\r\n5\r\nbegun\r\n")
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    ("make", "error", "named"),
    [
        (lambda: Limits(max_header_count=1000), ValueError, "max_header_count must be from 1 to 128"),
        (lambda: Limits(header_timeout=1.5), TypeError, "header_timeout must be an int"),  # type: ignore[arg-type]
        (lambda: Limits(max_connections=-1), ValueError, "max_connections"),
        (lambda: Limits(backlog=True), TypeError, "backlog"),
        (lambda: App(limits={"max_body_size": 1}), TypeError, "limits must be a Limits"),  # type: ignore[arg-type]
    ],
)
def test_wrong_limits_are_named(make: Any, error: Any, named: str) -> None:
    with pytest.raises(error, match=named):
        make()
