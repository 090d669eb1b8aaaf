"""Bodies of responses over ASGI: pieces, backpressure, and clients that leave."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Callable

import httpx
import pytest
from asgi_apps import body_of
from asgi_streams import START, Until, piece, raw, sized
from late_event import LateEvent
from waiting import wait_until

from socketify.interfaces import ClientDisconnectedError

# ---- responses


def test_chunked_response(serve_asgi: Callable[..., Any]) -> None:
    async def answer(receive: Any, send: Any) -> None:
        await send(START)
        await send(piece(b""))
        await send(piece(b"one"))
        await asyncio.sleep(0.01)
        await send(piece(bytearray(b"two")))
        await send(piece(b"", more=False))

    text = serve_asgi(raw(answer), lifespan=False).request("GET / HTTP/1.1")
    assert b"\r\nTransfer-Encoding: chunked\r\n" in text
    assert text.endswith(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")


def test_each_piece_arrives_before_the_next_is_made(serve_asgi: Callable[..., Any]) -> None:
    go = LateEvent()
    loops: list[asyncio.AbstractEventLoop] = []

    async def answer(receive: Any, send: Any) -> None:
        loops.append(asyncio.get_running_loop())
        await send(START)
        await send(piece(b"first"))
        await go.wait()
        await send(piece(b"last", more=False))

    server = serve_asgi(raw(answer), lifespan=False)
    with server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        seen = b""
        while b"first" not in seen:
            seen += connection.recv(4096)
        loops[0].call_soon_threadsafe(go.set)
        while b"last" not in seen:
            seen += connection.recv(4096)


@pytest.mark.parametrize("size", [0, 5, 100_000, 5_000_000])
@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize("announced", [True, False])
def test_any_size_arrives_whole(serve_asgi: Callable[..., Any], size: int, pieces: int, announced: bool) -> None:
    body = bytes(range(256)) * (size // 256) + b"z" * (size % 256)

    async def answer(receive: Any, send: Any) -> None:
        await send(sized(size) if announced else START)
        step = size // pieces + 1
        for number in range(pieces):
            await send(piece(body[number * step : (number + 1) * step], more=number < pieces - 1))

    with httpx.Client() as client:
        response = client.get(serve_asgi(raw(answer), lifespan=False).url)
    assert response.content == body
    assert ("content-length" in response.headers) == (announced or pieces == 1)


def test_http_1_0_streams_until_close(serve_asgi: Callable[..., Any]) -> None:
    async def answer(receive: Any, send: Any) -> None:
        await send(START)
        await send(piece(b"one"))
        await send(piece(b"two", more=False))

    text = serve_asgi(raw(answer), lifespan=False).exchange(b"GET / HTTP/1.0\r\n\r\n")
    assert text.endswith(b"\r\n\r\nonetwo")
    assert b"Transfer-Encoding" not in text


@pytest.mark.parametrize(
    ("pieces", "error"),
    [
        ([b"abc", b""], "shorter than the Content-Length"),
        ([b"abc", b"d"], "shorter than the Content-Length"),
        ([b"abcdef", b"g", b""], "not as long as the Content-Length"),
    ],
)
def test_wrong_length_is_an_error_and_a_cut(serve_asgi: Callable[..., Any], pieces: list[bytes], error: str) -> None:
    errors: list[str] = []

    async def answer(receive: Any, send: Any) -> None:
        await send(sized(6))
        try:
            for each in pieces[:-1]:
                await send(piece(each))
            await send(piece(pieces[-1], more=False))
        except RuntimeError as caught:
            errors.append(str(caught))
            raise

    server = serve_asgi(raw(answer), lifespan=False)
    text = server.exchange(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"content-length: 6\r\n" in text.lower()
    assert text.rpartition(b"\r\n\r\n")[2] in (b"", b"abc", b"abcdef")
    wait_until(lambda: errors)
    assert error in errors[0]


def test_send_waits_for_a_slow_client(serve_asgi: Callable[..., Any]) -> None:
    sent: list[int] = []
    done = Until()
    chunk = b"x" * 262_144

    async def answer(receive: Any, send: Any) -> None:
        await send(START)
        for number in range(200):
            await send(piece(chunk))
            sent.append(number)
        await send(piece(b"", more=False))
        done.happened()

    server = serve_asgi(raw(answer), lifespan=False)
    with server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        time.sleep(0.3)
        before = len(sent)
        time.sleep(0.3)
        # What fits into the kernel's buffers, and no more however long it takes.
        assert len(sent) == before < 60
        received = 0
        while data := connection.recv(1 << 20):
            received += len(data)
        done.wait()
    assert received > 200 * len(chunk)


def test_a_large_body_in_one_message_waits_too(serve_asgi: Callable[..., Any]) -> None:
    done = Until()
    body = bytes(range(256)) * 200_000

    async def answer(receive: Any, send: Any) -> None:
        await send(START)
        await send(piece(body, more=False))
        done.happened()

    server = serve_asgi(raw(answer), lifespan=False)
    with server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        time.sleep(0.3)
        assert not done._event.is_set()
        received = b"".join(iter(lambda: connection.recv(1 << 20), b""))
        done.wait()
    assert received.endswith(b"Content-Length: %d\r\n\r\n" % len(body) + body)


def test_two_tasks_send_at_once(serve_asgi: Callable[..., Any]) -> None:
    async def answer(receive: Any, send: Any) -> None:
        await send(START)
        await asyncio.gather(*(send(piece(bytes([65 + n]) * 500_000)) for n in range(8)))
        await send(piece(b"", more=False))

    with httpx.Client() as client:
        content = client.get(serve_asgi(raw(answer), lifespan=False).url).content
    assert {bytes([65 + n]): content.count(bytes([65 + n])) for n in range(8)} == {bytes([65 + n]): 500_000 for n in range(8)}


# ---- clients that leave


@pytest.mark.parametrize("size", [10, 10_000_000])
def test_send_raises_oserror_when_the_client_left(serve_asgi: Callable[..., Any], caplog: Any, size: int) -> None:
    errors: list[BaseException] = []
    done = Until()

    async def answer(receive: Any, send: Any) -> None:
        await send(START)
        try:
            while True:
                await send(piece(b"x" * size))
                await asyncio.sleep(0.01)
        except OSError as error:
            errors.append(error)
            raise
        finally:
            done.happened()

    server = serve_asgi(raw(answer), lifespan=False)
    with caplog.at_level(logging.INFO, "socketify"):
        with server.connect() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            connection.recv(100)
        done.wait()
        server.server.close()
    assert isinstance(errors[0], ClientDisconnectedError)
    # It is none of the application's errors.
    assert not caplog.records


def test_end_that_brings_nothing_is_no_error_when_the_client_left(serve_asgi: Callable[..., Any], caplog: Any) -> None:
    """Clients of the Model Context Protocol leave when they have their answer, before its last message."""
    done = Until()
    errors: list[BaseException] = []

    async def answer(receive: Any, send: Any) -> None:
        await send(START)
        await send(piece(b"answer"))
        while (await receive())["type"] != "http.disconnect":
            pass
        try:
            await send(piece(b"", more=False))
        except OSError as error:
            errors.append(error)
        try:
            await send(piece(b"more"))
        except OSError as error:
            errors.append(error)
            raise
        finally:
            done.happened()

    server = serve_asgi(raw(answer))
    with caplog.at_level(logging.INFO, "socketify"):
        with server.connect() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            received = b""
            while b"answer" not in received:
                received += connection.recv(1000)
        done.wait()
        server.server.close()
    assert [type(error) for error in errors] == [ClientDisconnectedError]
    assert not caplog.records


def test_disconnect_inside_a_task_group_is_no_error(serve_asgi: Callable[..., Any], caplog: Any) -> None:
    anyio = pytest.importorskip("anyio")
    done = Until()

    async def answer(receive: Any, send: Any) -> None:
        async def feed() -> None:
            while True:
                await send(piece(b"x" * 10))
                await asyncio.sleep(0.01)

        await send(START)
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(feed)
                group.start_soon(feed)
        finally:
            done.happened()

    server = serve_asgi(raw(answer), lifespan=False)
    with caplog.at_level(logging.INFO, "socketify"):
        with server.connect() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            connection.recv(100)
        done.wait()
        server.server.close()
    assert not caplog.records


def test_receive_tells_that_the_client_left(serve_asgi: Callable[..., Any]) -> None:
    seen: list[str] = []
    done = Until()

    async def answer(receive: Any, send: Any) -> None:
        seen.append((await receive())["type"])
        both = await asyncio.gather(receive(), receive())
        seen.extend(message["type"] for message in both)
        seen.append((await receive())["type"])
        with pytest.raises(OSError, match="the client left"):
            await send(START)
        done.happened()

    server = serve_asgi(raw(answer), lifespan=False)
    with server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.1)
    done.wait()
    assert seen == ["http.request", "http.disconnect", "http.disconnect", "http.disconnect"]


def test_receive_tells_that_the_response_is_complete(serve_asgi: Callable[..., Any]) -> None:
    seen: list[str] = []

    async def answer(receive: Any, send: Any) -> None:
        await receive()
        waiting = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        await send(START)
        await send(piece(b"x", more=False))
        seen.append((await waiting)["type"])

    server = serve_asgi(raw(answer), lifespan=False)
    assert server.request("GET / HTTP/1.1").endswith(b"x")
    server.server.close()
    assert seen == ["http.disconnect"]


def test_a_cancelled_receive_takes_nothing_from_the_next(serve_asgi: Callable[..., Any]) -> None:
    async def answer(receive: Any, send: Any) -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(receive(), 0.05)
        body = await body_of(receive)
        await send(START)
        await send(piece(body, more=False))

    server = serve_asgi(raw(answer), lifespan=False)
    with server.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\n")
        time.sleep(0.2)
        connection.sendall(b"abc")
        assert connection.recv(4096).endswith(b"abc")
