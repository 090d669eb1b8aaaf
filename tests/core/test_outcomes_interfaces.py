"""What test_outcomes.py asks of native handlers, of the applications of other interfaces."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any, Callable

import pytest
from outcome_errors import ENDS, end_in, failures
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from wsgi_server import served

from socketify import ASGI, SSGI, WSGI, Limits

GET = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
GOOD = GET.replace(b"/ ", b"/good ", 1)
POST = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\n"
STATUS_500 = b"HTTP/1.1 500 "
PART = b"part"

every_end = pytest.mark.parametrize("name", ENDS)
before_and_after_a_wait = pytest.mark.parametrize("waits", [False, True], ids=["at once", "after a wait"])
head_out_or_not = pytest.mark.parametrize("begun", [False, True], ids=["nothing is out", "the head is out"])


def check(answer: bytes, begun: bool) -> None:
    if begun:
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert PART in answer
        assert not answer.endswith(b"0\r\n\r\n")
    else:
        assert answer.startswith(STATUS_500)


@head_out_or_not
@before_and_after_a_wait
@every_end
@pytest.mark.parametrize("body", [False, True], ids=["GET", "POST"])
def test_asgi(serve_asgi: Callable[..., Any], caplog: Any, body: bool, name: str, waits: bool, begun: bool) -> None:
    told: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        good = scope["path"] == "/good"
        if body:
            await receive()
        if begun or good:
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"good" if good else PART, "more_body": not good})
        if not good:
            await end_in(name, waits)

    server = serve_asgi(
        app, lifespan="off", setup=lambda app: app.on_error(lambda error, *_: told.append(type(error).__name__))
    )
    check(server.exchange(POST + b"hello" if body else GET), begun)
    assert server.exchange(GOOD).endswith(b"good")
    assert told == failures(caplog) == [ENDS[name][1]]


@before_and_after_a_wait
@every_end
@pytest.mark.parametrize("phase", ["connecting", "open", "denied"])
def test_asgi_websocket(serve_asgi: Callable[..., Any], caplog: Any, phase: str, name: str, waits: bool) -> None:
    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if phase == "open":
            await send({"type": "websocket.accept"})
            await receive()
        if phase == "denied":
            await send({"type": "websocket.http.response.start", "status": 418, "headers": []})
        await end_in(name, waits)

    server = serve_asgi(app, lifespan="off")
    if phase == "open":
        with connect(server.websocket_url) as client:
            client.send("x")
            with pytest.raises(ConnectionClosed):
                client.recv(timeout=10)
            assert client.close_code == 1011
    else:
        with pytest.raises(InvalidStatus) as refusal:
            connect(server.websocket_url)
        assert refusal.value.response.status_code == 500
    assert failures(caplog) == [ENDS[name][1]]


@head_out_or_not
@before_and_after_a_wait
@every_end
@pytest.mark.parametrize("child", [False, True], ids=["application", "run_async"])
def test_ssgi(caplog: Any, child: bool, name: str, waits: bool, begun: bool) -> None:
    async def work(res: Any) -> None:
        if begun:
            res.send(PART, True)
        await end_in(name, waits)

    async def app(_type: str, *arguments: Any) -> None:
        path, res = arguments[3], arguments[-1]
        if path == "/good":
            res.send(b"good")
        elif child:
            res.run_async(work, res)
        else:
            await work(res)

    with served(app, SSGI) as server:
        check(server.raw(GET), begun)
        assert server.raw(GOOD).endswith(b"good")
    assert failures(caplog) == [ENDS[name][1]]


@before_and_after_a_wait
@every_end
@pytest.mark.parametrize("kind", ["waiting", "coming"])
def test_ssgi_websocket(caplog: Any, kind: str, name: str, waits: bool) -> None:
    """Messages that came before somebody wanted them, and those that come afterwards."""

    async def take(_ws: Any, _message: Any) -> None:
        await end_in(name, waits)

    async def app(_type: str, *arguments: Any) -> None:
        ws = arguments[-1]
        if kind == "coming":
            ws.on_receive(take)
        await ws.accept()
        if kind == "waiting":
            await asyncio.sleep(0.05)
            ws.on_receive(take)

    with served(app, SSGI) as server, connect(f"ws://127.0.0.1:{server.port}") as client:
        client.send("x")
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=10)
        assert client.close_code == 1011
    assert failures(caplog) == [ENDS[name][1]]


SYNC = [name for name in ENDS if name not in ("what another task cancelled", "its own cancellation")]


@head_out_or_not
@pytest.mark.parametrize("name", SYNC)
@pytest.mark.parametrize("body", [False, True], ids=["GET", "POST"])
@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("where", ["call", "iteration", "close"])
def test_wsgi(caplog: Any, where: str, threads: int, body: bool, name: str, begun: bool) -> None:
    class Result:
        def __iter__(self) -> Iterator[bytes]:
            if begun:
                yield PART
            if where == "iteration":
                raise_it(name)

        def close(self) -> None:
            if where == "close":
                raise_it(name)

    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [])
        if environ["PATH_INFO"] == "/good":
            return [b"good"]
        if where == "call":
            if begun:
                write(PART)
            raise_it(name)
        return Result()

    with served(app, threads=threads) as server:
        answer = server.raw(POST + b"hello" if body else GET)
        if where == "close":
            assert answer.startswith(b"HTTP/1.1 200 ")
        else:
            check(answer, begun)
        assert server.raw(GOOD).endswith(b"good")
    assert failures(caplog) == [ENDS[name][1]]


def raise_it(name: str) -> None:
    coroutine: Any = ENDS[name][0]()
    coroutine.send(None)


@head_out_or_not
@pytest.mark.parametrize("interface", ["asgi", "ssgi", "wsgi"])
def test_a_response_that_is_forgotten_obeys_a_time_out(caplog: Any, interface: str, begun: bool) -> None:
    told: list[str] = []
    gate = threading.Event()

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/good":
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"good"})
            return
        await receive()
        if begun:
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": PART, "more_body": True})
        told.append((await receive())["type"])

    async def ssgi(_type: str, *arguments: Any) -> None:
        res = arguments[-1]
        if arguments[3] == "/good":
            res.send(b"good")
            return
        left = asyncio.get_running_loop().create_future()
        res.on_aborted(left.set_result, None)
        if begun:
            res.send(PART, True)
        await left
        told.append("http.disconnect")

    def wsgi(environ: Any, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [])
        if environ["PATH_INFO"] == "/good":
            return [b"good"]
        if begun:
            write(PART)
        gate.wait(10)
        told.append("http.disconnect")
        return [b"late"]

    application, kind, more = {
        "asgi": (asgi, ASGI, {"lifespan": "off"}),
        "ssgi": (ssgi, SSGI, {}),
        "wsgi": (wsgi, WSGI, {"threads": 2}),
    }[interface]
    limits = Limits(response_timeout=1, max_concurrent_requests=1)
    with served(application, kind, limits=limits, **more) as server:
        check(server.raw(GET), begun)
        assert server.raw(GOOD).endswith(b"good")
        gate.set()
    assert told == ["http.disconnect"]
    assert failures(caplog) == ["TimeoutError"]
