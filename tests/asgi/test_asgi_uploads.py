"""Bodies of requests over ASGI."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any, Callable

import httpx
import pytest
from app_servers import http_1_only
from asgi_apps import body_of
from asgi_streams import START, Until, piece, raw
from late_event import LateEvent
from waiting import wait_until

from socketify import Limits


@pytest.mark.parametrize("size", [0, 1, 100, 70_000, 3_000_000])
@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("late", [True, False])
def test_uploads(serve_asgi: Callable[..., Any], size: int, chunked: bool, late: bool) -> None:
    body = (bytes(range(256)) * (size // 256 + 1))[:size]

    async def answer(receive: Any, send: Any) -> None:
        if late:
            await asyncio.sleep(0.05)
        received = await body_of(receive)
        await send(START)
        await send(piece(received, more=False))

    def pieces() -> Any:
        for start in range(0, size, 100_000):
            yield body[start : start + 100_000]

    with httpx.Client() as client:
        response = client.post(serve_asgi(raw(answer), lifespan=False).url, content=pieces() if chunked else body)
    assert response.content == body


def test_a_body_in_the_same_packet_is_there_at_once(serve_asgi: Callable[..., Any]) -> None:
    waits: list[bool] = []

    async def answer(receive: Any, send: Any) -> None:
        coroutine = receive()
        try:
            coroutine.send(None)
            waits.append(True)
            coroutine.close()
        except StopIteration as stop:
            waits.append(stop.value != {"type": "http.request", "body": b"abc", "more_body": False})
        await send(START)
        await send(piece(b"", more=False))

    serve_asgi(raw(answer), lifespan=False).request("POST / HTTP/1.1", "Content-Length: 3", body=b"abc")
    assert waits == [False]


def test_an_upload_that_nobody_receives_waits_in_the_kernel(serve_asgi: Callable[..., Any]) -> None:
    go = LateEvent()
    loops: list[asyncio.AbstractEventLoop] = []
    received: list[int] = []

    async def answer(receive: Any, send: Any) -> None:
        loops.append(asyncio.get_running_loop())
        first = await receive()
        await go.wait()
        received.append(len(first["body"]) + len(await body_of(receive)))
        await send(START)
        await send(piece(b"thanks", more=False))

    server = serve_asgi(raw(answer), lifespan=False)
    # Made once: a socket that is full takes little at a time.
    part = memoryview(b"y" * 262_144)
    with server.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100000000\r\n\r\n")
        connection.setblocking(False)
        sent, quiet = 0, 0
        while quiet < 3:
            try:
                sent += connection.send(part)
                quiet = 0
            except BlockingIOError:
                quiet += 1
                time.sleep(0.1)
        assert sent < 30_000_000
        connection.setblocking(True)
        connection.settimeout(20)
        loops[0].call_soon_threadsafe(go.set)
        while sent < 100_000_000:
            sent += connection.send(part[: 100_000_000 - sent])
        assert connection.recv(4096).endswith(b"thanks")
    assert received == [100_000_000]


@http_1_only("a connection that goes on behind a body that nobody reads")
def test_response_before_the_upload_is_complete(serve_asgi: Callable[..., Any]) -> None:
    async def answer(receive: Any, send: Any) -> None:
        await send({**START, "status": 403})
        await send(piece(b"no", more=False))
        assert (await receive())["type"] == "http.disconnect"

    server = serve_asgi(raw(answer), lifespan=False)
    text = server.exchange(
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n"
        + b"z" * 200_000
        + b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    assert text.count(b"HTTP/1.1 403 ") == 2


@pytest.mark.parametrize("reads", [True, False])
def test_expect_continue(serve_asgi: Callable[..., Any], reads: bool) -> None:
    async def answer(receive: Any, send: Any) -> None:
        body = await body_of(receive) if reads else b"unread"
        await send(START)
        await send(piece(body, more=False))

    server = serve_asgi(raw(answer), lifespan=False)
    with server.connect() as connection:
        connection.sendall(
            b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 3\r\n\r\n"
        )
        first = connection.recv(4096)
        if reads:
            assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
            connection.sendall(b"abc")
            assert connection.recv(4096).endswith(b"abc")
        else:
            assert first.startswith(b"HTTP/1.1 200 OK\r\n")


def test_too_large_uploads_are_413(serve_asgi: Callable[..., Any]) -> None:
    called: list[int] = []

    async def answer(receive: Any, send: Any) -> None:
        called.append(1)
        await send(START)
        await send(piece(b"", more=False))

    server = serve_asgi(raw(answer), lifespan=False, limits=Limits(max_body_size=10))
    text = server.request("POST / HTTP/1.1", "Content-Length: 11", body=b"x" * 11)
    assert text.startswith(b"HTTP/1.1 413 ")
    assert not called


def test_upload_that_breaks_off(serve_asgi: Callable[..., Any]) -> None:
    seen: list[Any] = []
    done = Until()

    async def answer(receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            seen.append((message["type"], message.get("body"), message.get("more_body")))
            if message["type"] == "http.disconnect":
                done.happened()
                return

    server = serve_asgi(raw(answer), lifespan=False)
    with server.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        time.sleep(0.1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    done.wait()
    assert seen == [("http.request", b"abc", True), ("http.disconnect", None, None)]


def test_a_body_is_received_when_that_is_awaited_and_not_before(serve_asgi: Callable[..., Any]) -> None:
    """What drops a call of ``receive``, or cancels a task of it before it began, has received nothing."""
    seen: list[Any] = []

    async def answer(receive: Any, send: Any) -> None:
        receive().close()
        cancelled = asyncio.get_running_loop().create_task(receive())
        cancelled.cancel()
        first, second = receive(), receive()
        seen.append(await second)
        await asyncio.sleep(0)
        seen.append(cancelled.cancelled())
        waiting = asyncio.get_running_loop().create_task(first)
        await asyncio.sleep(0.02)
        seen.append(waiting.done())
        await send(START)
        await send(piece(b"answer", more=False))
        seen.append(await waiting)

    server = serve_asgi(raw(answer), lifespan=False)
    for body in (b"abc", b""):
        seen.clear()
        assert server.request("POST / HTTP/1.1", f"Content-Length: {len(body)}", body=body).endswith(b"answer")
        wait_until(lambda: len(seen) == 4)
        assert seen == [
            {"type": "http.request", "body": body, "more_body": False},
            True,
            False,
            {"type": "http.disconnect"},
        ]


def test_a_body_that_is_here_is_received_after_the_response_began(serve_asgi: Callable[..., Any]) -> None:
    async def answer(receive: Any, send: Any) -> None:
        await send(START)
        message = await receive()
        await send(piece(message["body"], more=False))

    server = serve_asgi(raw(answer), lifespan=False)
    assert server.request("POST / HTTP/1.1", "Content-Length: 3", body=b"abc").endswith(b"abc")
    assert server.request("GET / HTTP/1.1").endswith(b"\r\n\r\n")


def test_a_body_that_nobody_receives_is_no_request(serve_asgi: Callable[..., Any]) -> None:
    async def answer(receive: Any, send: Any) -> None:
        await send(START)
        await send(piece(b"unread", more=False))

    server = serve_asgi(raw(answer), lifespan=False)
    hidden = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(hidden), hidden)
    answers = server.exchange(request + request + b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 3
