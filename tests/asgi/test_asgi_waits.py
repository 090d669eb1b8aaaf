"""ASGI applications that wait: their requests stay with the native side, until something happens that it does not know."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Coroutine
from typing import Any, Callable

import httpx
import pytest
from asgi_apps import BODY, answering, body_of
from asgi_streams import START, Until, piece, raw, sized
from late_event import LateEvent
from waiting import wait_until

from socketify import Limits
from socketify.interfaces import ClientDisconnectedError

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"


class Waiting:
    """An application that waits before it answers, and goes on when a client says so."""

    def __init__(self, answer: Callable[..., Coroutine[Any, Any, None]]) -> None:
        self.waits = Until()
        self.ended = Until()
        self.raised: list[BaseException] = []
        self._answer = answer
        self._go = LateEvent()
        self._loop: Any = None

    async def __call__(self, receive: Any, send: Any) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self.waits.happened)
        try:
            await self._go.wait()
            await self._answer(receive, send)
        except BaseException as error:
            self.raised.append(error)
            raise
        finally:
            self.ended.happened()

    def go_on(self) -> None:
        self._loop.call_soon_threadsafe(self._go.set)


@pytest.mark.parametrize("message", [START, piece(b"x")], ids=["start", "body"])
def test_a_client_that_leaves_while_the_application_waits(
    serve_asgi: Callable[..., Any], caplog: Any, message: dict[str, Any]
) -> None:
    async def answer(receive: Any, send: Any) -> None:
        await send(message)

    application = Waiting(answer)
    server = serve_asgi(raw(application), lifespan=False)
    live = server.server.native_app.core.live
    with server.connect() as connection:
        connection.sendall(GET)
        application.waits.wait()
        assert len(live) == 1
    wait_until(lambda: not live)
    application.go_on()
    application.ended.wait()
    assert [type(each) for each in application.raised] == [ClientDisconnectedError]
    assert not caplog.records


@pytest.mark.parametrize("begun", [False, True], ids=["head", "stream"])
def test_what_takes_too_long_is_reported_once(serve_asgi: Callable[..., Any], caplog: Any, begun: bool) -> None:
    raised: list[BaseException] = []

    async def answer(receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        if begun:
            await send(START)
            await send(piece(b"x"))
        try:
            await asyncio.sleep(3)
            await send(piece(b"late") if begun else START)
        except BaseException as error:
            raised.append(error)
            raise

    server = serve_asgi(raw(answer), lifespan=False, limits=Limits(response_timeout=1))
    text = server.request("GET / HTTP/1.1")
    assert (b"200 OK" if begun else b" 500 ") in text
    assert not text.endswith(b"0\r\n\r\n")
    wait_until(lambda: raised)
    assert isinstance(raised[0], ClientDisconnectedError)
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [TimeoutError]


def test_a_task_waits_for_the_end_while_another_streams(serve_asgi: Callable[..., Any]) -> None:
    received: list[str] = []

    async def answer(receive: Any, send: Any) -> None:
        async def listen() -> None:
            received.append((await receive())["type"])

        await receive()
        listeners = [asyncio.ensure_future(listen()) for _ in range(2)]
        await asyncio.sleep(0)
        await send(START)
        for _ in range(3):
            await send(piece(b"one"))
            await asyncio.sleep(0.01)
        assert not received
        await send(piece(b"", more=False))
        await asyncio.wait_for(asyncio.gather(*listeners), 5)
        received.append((await receive())["type"])

    server = serve_asgi(raw(answer), lifespan=False)
    assert server.request("GET / HTTP/1.1").endswith(b"\r\n\r\n" + 3 * b"3\r\none\r\n" + b"0\r\n\r\n")
    wait_until(lambda: len(received) == 3)
    assert received == ["http.disconnect"] * 3
    assert not server.server.native_app.core.live


def test_a_client_that_leaves_a_stream_wakes_who_waits_for_that(serve_asgi: Callable[..., Any], caplog: Any) -> None:
    left, ended = Until(), Until()

    async def answer(receive: Any, send: Any) -> None:
        await receive()

        async def listen() -> None:
            if (await receive())["type"] == "http.disconnect":
                left.happened()

        listener = asyncio.ensure_future(listen())
        await send(START)
        try:
            while True:
                await send(piece(b"tick"))
                await asyncio.sleep(0.005)
        except ClientDisconnectedError:
            await listener
            ended.happened()
            raise

    server = serve_asgi(raw(answer), lifespan=False)
    with server.connect() as connection:
        connection.sendall(GET)
        seen = b""
        while b"tick" not in seen:
            seen += connection.recv(4096)
    left.wait()
    ended.wait()
    assert not caplog.records


@pytest.mark.parametrize("chunked", [False, True], ids=["sized", "chunked"])
@pytest.mark.parametrize("size", [1, 28, 60_000, 300_000])
def test_a_body_is_received_after_a_wait(serve_asgi: Callable[..., Any], size: int, chunked: bool) -> None:
    body = bytes(range(256)) * (size // 256) + b"z" * (size % 256)

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.02)
        got = await body_of(receive)
        await send(START)
        await send(piece(b"%d" % (got == body), more=False))

    server = serve_asgi(answering(answer), lifespan=False)
    for _ in range(2):
        if chunked:
            data = POST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (size, body)
        else:
            data = POST + b"Content-Length: %d\r\n\r\n" % size + body
        assert server.exchange(data).endswith(b"\r\n\r\n1")


def test_a_body_of_which_a_part_is_here_after_a_wait(serve_asgi: Callable[..., Any]) -> None:
    got: list[Any] = []

    async def answer(receive: Any, send: Any) -> None:
        got.append(await receive())
        got.append(await receive())
        await send(START)
        await send(BODY)

    application = Waiting(answer)
    server = serve_asgi(raw(application), lifespan=False)
    with server.connect() as connection:
        connection.sendall(POST + b"Content-Length: 6\r\n\r\none")
        application.waits.wait()
        application.go_on()
        wait_until(lambda: got)
        connection.sendall(b"two")
        application.ended.wait()
    assert got == [{"type": "http.request", "body": body, "more_body": body == b"one"} for body in (b"one", b"two")]


@pytest.mark.parametrize("kind", [LookupError, asyncio.CancelledError, SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("begun", [False, True], ids=["head", "stream"])
def test_whatever_an_application_raises_after_a_wait_ends_its_request(
    serve_asgi: Callable[..., Any], caplog: Any, kind: type[BaseException], begun: bool
) -> None:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        await send(START)
        if scope["path"] == "/fine":
            await send(BODY)
            return
        if begun:
            await send(piece(b"begun"))
            await asyncio.sleep(0)
        raise kind

    server = serve_asgi(answering(answer), lifespan=False)
    text = server.request("GET / HTTP/1.1")
    assert text.endswith(b"begun\r\n") if begun else b" 500 " in text
    assert b" 200 OK" in server.request("GET /fine HTTP/1.1")
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [kind]
    wait_until(lambda: not server.server.native_app.core.live)


def test_who_returns_early_from_a_stream_is_cut(serve_asgi: Callable[..., Any], caplog: Any) -> None:
    async def answer(receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        await send(START)
        await send(piece(b"begun"))

    assert serve_asgi(raw(answer), lifespan=False).request("GET / HTTP/1.1").endswith(b"begun\r\n")
    assert "returned without completing its response" in str(caplog.records[0].exc_info[1])


@pytest.mark.parametrize("lengths", [(2, 4), (2, 3), (5, 1)], ids=["long", "short", "long at once"])
def test_pieces_that_differ_from_the_announced_length_after_a_wait(
    serve_asgi: Callable[..., Any], caplog: Any, lengths: tuple[int, int]
) -> None:
    raised: list[BaseException] = []

    async def answer(receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        await send(sized(4 if lengths != (2, 3) else 6))
        try:
            await send(piece(b"x" * lengths[0]))
            await asyncio.sleep(0)
            await send(piece(b"y" * lengths[1], more=False))
        except BaseException as error:
            raised.append(error)
            raise

    server = serve_asgi(raw(answer), lifespan=False)
    server.request("GET / HTTP/1.1")
    wait_until(lambda: raised)
    assert isinstance(raised[0], RuntimeError)
    assert "Content-Length" in str(raised[0])


@pytest.mark.parametrize("request_line", ["HEAD / HTTP/1.1", "GET / HTTP/1.0"])
def test_a_stream_for_who_takes_no_chunks(serve_asgi: Callable[..., Any], request_line: str) -> None:
    async def answer(receive: Any, send: Any) -> None:
        await send(START)
        for body in (b"one", b"two"):
            await send(piece(body))
            await asyncio.sleep(0)
        await send(piece(b"three", more=False))

    text = serve_asgi(raw(answer), lifespan=False).request(request_line)
    assert text.partition(b"\r\n\r\n")[2] == (b"" if request_line.startswith("HEAD") else b"onetwothree")


def test_nothing_is_left_of_requests_that_waited_and_streamed(serve_asgi: Callable[..., Any]) -> None:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        listener = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        await send(START)
        await send(piece(b"one"))
        await asyncio.sleep(0)
        await send(piece(b"two", more=False))
        await listener
        # A circle, as programs have them.
        scope["send"] = send

    server = serve_asgi(answering(answer), lifespan=False)

    def round_of_requests() -> None:
        with httpx.Client(base_url=server.url) as client:
            for _ in range(60):
                assert client.get("/").text == "onetwo"
        gc.collect()

    round_of_requests()
    before = len(gc.get_objects())
    for _ in range(3):
        round_of_requests()
    assert len(gc.get_objects()) - before < 60


def test_a_first_piece_that_waits_for_what_is_before_it_may_be_cancelled(serve_asgi: Callable[..., Any]) -> None:
    """Whether it was sent or not, what follows it is the rest of the stream."""

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send(START)
        if scope["path"] != "/":
            await send(piece(b"x" * int(scope["path"][1:]), more=False))
            return
        sending = asyncio.ensure_future(send(piece(b"first" * 50_000)))
        sending.cancel()
        await asyncio.wait([sending])
        await send(piece(b"y"))
        await send(piece(b"end", more=False))

    server = serve_asgi(app, lifespan=False)
    # What the kernel takes of the answer before depends on the machine; some of these leave a little.
    for size in range(2_000_000, 4_600_000, 200_000):
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2000)
            connection.settimeout(20)
            connection.connect(("127.0.0.1", server.port))
            connection.sendall(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % size)
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            server.exchange(b"GET /1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            with connection.makefile("rb") as stream:
                received = stream.read()
        assert received.endswith(b"\r\n1\r\ny\r\n3\r\nend\r\n0\r\n\r\n"), received[-100:]
