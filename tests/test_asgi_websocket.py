"""Websockets over ASGI: handshakes, denials, messages, backpressure, closes. The applications are bare functions."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any, Callable

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from socketify import CompressOptions
from socketify.interfaces import ClientDisconnectedError

ACCEPT = {"type": "websocket.accept"}


def raw(handle: Callable[..., Any]) -> Any:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await handle(scope, receive, send)
        else:
            assert scope["type"] == "http"
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"http"})

    return app


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    assert await receive() == {"type": "websocket.connect"}
    await send(ACCEPT)
    while (message := await receive())["type"] != "websocket.disconnect":
        await send({**message, "type": "websocket.send"})


class Result:
    """What the application tells the test, which runs in another thread."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._value: Any = None

    def tell(self, value: Any) -> None:
        self._value = value
        self._event.set()

    def get(self) -> Any:
        assert self._event.wait(10)
        return self._value


# ---- the handshake


def test_scope(serve_asgi: Callable[..., Any]) -> None:
    scopes: list[dict[str, Any]] = []

    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scopes.append(scope)
        await echo(scope, receive, send)

    server = serve_asgi(raw(handle), lifespan=False, root_path="/api")
    with connect(server.websocket_url + "/a%20b?c", subprotocols=["one", "two"]) as ws:  # type: ignore[list-item]
        port = ws.socket.getsockname()[1]
        ws.send("x")
        assert ws.recv() == "x"
    scope = scopes[0]
    headers = dict(scope.pop("headers"))
    assert headers[b"upgrade"] == b"websocket"
    assert scope == {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/api/a b",
        "raw_path": b"/api/a%20b",
        "query_string": b"c",
        "root_path": "/api",
        "client": ("127.0.0.1", port),
        "server": ("127.0.0.1", server.port),
        "subprotocols": ["one", "two"],
        "state": {},
        "extensions": {"websocket.http.response": {}},
    }


@pytest.mark.parametrize("later", [True, False])
def test_accept_with_subprotocol_and_headers(serve_asgi: Callable[..., Any], later: bool) -> None:
    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        if later:
            await asyncio.sleep(0.05)
        await send({**ACCEPT, "subprotocol": scope["subprotocols"][1], "headers": [(b"x-a", b"1"), [b"set-cookie", b"b=2"]]})
        await send({"type": "websocket.close", "code": 4000, "reason": "go"})

    with connect(serve_asgi(raw(handle), lifespan=False).websocket_url, subprotocols=["one", "two"]) as ws:  # type: ignore[list-item]
        assert ws.subprotocol == "two"
        assert ws.response is not None
        assert ws.response.headers["x-a"] == "1"
        assert ws.response.headers["set-cookie"] == "b=2"
        with pytest.raises(ConnectionClosed):
            ws.recv()
        assert (ws.close_code, ws.close_reason) == (4000, "go")


def test_http_and_websocket_share_a_path(serve_asgi: Callable[..., Any]) -> None:
    server = serve_asgi(raw(echo), lifespan=False)
    assert httpx.get(server.url).text == "http"
    with connect(server.websocket_url) as ws:
        ws.send("x")
        assert ws.recv() == "x"


def status_of(url: str) -> tuple[int, bytes, Any]:
    with pytest.raises(InvalidStatus) as caught, connect(url):
        pass
    response = caught.value.response
    return response.status_code, response.body or b"", response.headers


def test_close_before_accept_is_403(serve_asgi: Callable[..., Any]) -> None:
    events: list[Any] = []

    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": "no"})
        events.append(await receive())
        with pytest.raises(RuntimeError, match="no message after"):
            await send(ACCEPT)

    server = serve_asgi(raw(handle), lifespan=False)
    assert status_of(server.websocket_url)[0] == 403
    assert events == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]


@pytest.mark.parametrize("pieces", [1, 2])
@pytest.mark.parametrize("later", [True, False])
def test_denial_response(serve_asgi: Callable[..., Any], pieces: int, later: bool) -> None:
    events: list[Any] = []

    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        if later:
            await asyncio.sleep(0.02)
        await send({"type": "websocket.http.response.start", "status": 401, "headers": [(b"x-why", b"because")]})
        if pieces == 2:
            await send({"type": "websocket.http.response.body", "body": b"go ", "more_body": True})
            await asyncio.sleep(0.02)
        await send({"type": "websocket.http.response.body", "body": b"away"})
        events.append((await receive())["type"])

    server = serve_asgi(raw(handle), lifespan=False)
    status, body, headers = status_of(server.websocket_url)
    assert (status, headers["x-why"]) == (401, "because")
    assert body.endswith(b"away")
    server.server.close()
    assert events == ["websocket.disconnect"]


async def no_answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await receive()


async def late_error(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await asyncio.sleep(0.01)
    raise ZeroDivisionError("on purpose")


async def half_denial(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send({"type": "websocket.http.response.start", "status": 401})


async def not_accept(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send({"type": "websocket.send", "text": "x"})


async def bad_headers(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send({**ACCEPT, "headers": [("a", "b")]})


async def bad_subprotocol(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send({**ACCEPT, "subprotocol": "a\r\nb"})


@pytest.mark.parametrize("handle", [no_answer, late_error, half_denial, not_accept, bad_headers, bad_subprotocol])
def test_failures_before_accept_are_500(serve_asgi: Callable[..., Any], caplog: Any, handle: Any) -> None:
    with caplog.at_level(logging.ERROR, "socketify"):
        assert status_of(serve_asgi(raw(handle), lifespan=False).websocket_url)[0] == 500
    assert len(caplog.records) == 1


def test_client_that_leaves_before_the_answer(serve_asgi: Callable[..., Any], caplog: Any) -> None:
    result = Result()

    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        message = await receive()
        try:
            await send(ACCEPT)
        except OSError as error:
            result.tell((message, error))
            raise

    server = serve_asgi(raw(handle), lifespan=False)
    with server.connect() as connection:
        connection.sendall(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        time.sleep(0.1)
    message, error = result.get()
    assert message == {"type": "websocket.disconnect", "code": 1006, "reason": ""}
    assert isinstance(error, ClientDisconnectedError)
    assert not caplog.records


# ---- messages


@pytest.mark.parametrize("message", ["", "text é", b"", b"\x00\xff", "x" * 300_000, b"y" * 3_000_000])
@pytest.mark.parametrize("compress", [True, False])
def test_echo(serve_asgi: Callable[..., Any], message: Any, compress: bool) -> None:
    options = {"compression": CompressOptions.SHARED_COMPRESSOR} if compress else None
    server = serve_asgi(raw(echo), lifespan=False, websocket_options=options)
    with connect(server.websocket_url, max_size=None) as ws:
        ws.send(message)
        assert ws.recv() == message
        assert bool(ws.protocol.extensions) == compress


def test_order_both_ways(serve_asgi: Callable[..., Any]) -> None:
    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await asyncio.gather(*(send({"type": "websocket.send", "text": f"first {n}"}) for n in range(100)))
        await asyncio.sleep(0.1)
        for _ in range(500):
            await send({**await receive(), "type": "websocket.send"})

    with connect(serve_asgi(raw(handle), lifespan=False).websocket_url) as ws:
        for n in range(500):
            ws.send(f"{n}")
        assert [ws.recv() for _ in range(600)] == [f"first {n}" for n in range(100)] + [f"{n}" for n in range(500)]


@pytest.mark.parametrize("buffer", [bytearray(b"abc"), memoryview(b"abc")])
def test_other_buffers_are_taken(serve_asgi: Callable[..., Any], buffer: Any) -> None:
    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send(ACCEPT)
        await send({"type": "websocket.send", "bytes": buffer, "text": None})

    with connect(serve_asgi(raw(handle), lifespan=False).websocket_url) as ws:
        assert ws.recv() == b"abc"


def test_too_large_messages_close_with_1009(serve_asgi: Callable[..., Any]) -> None:
    result = Result()

    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        result.tell(await receive())

    server = serve_asgi(raw(handle), lifespan=False, websocket_options={"max_payload_length": 10})
    with connect(server.websocket_url) as ws:
        ws.send("x" * 11)
        with pytest.raises(ConnectionClosed):
            ws.recv()
        assert ws.close_code == 1009
    assert (result.get()["type"], result.get()["code"]) == ("websocket.disconnect", 1009)


@pytest.mark.parametrize("senders", [1, 5])
def test_send_waits_for_a_slow_client(serve_asgi: Callable[..., Any], senders: int) -> None:
    sent: list[int] = []

    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)

        async def one() -> None:
            for number in range(300 // senders):
                await send({"type": "websocket.send", "bytes": bytes(100_000)})
                sent.append(number)

        await asyncio.gather(*(one() for _ in range(senders)))
        await send({"type": "websocket.send", "text": "end"})
        await receive()

    server = serve_asgi(raw(handle), lifespan=False)
    with connect(server.websocket_url, max_size=None, max_queue=1) as ws:
        time.sleep(0.4)
        before = len(sent)
        time.sleep(0.3)
        assert len(sent) == before < 200
        received = 0
        while (message := ws.recv()) != "end":
            assert len(message) == 100_000
            received += 1
    assert received == 300


def test_a_sender_that_is_cancelled_lets_the_next_go_on(serve_asgi: Callable[..., Any]) -> None:
    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        data = {"type": "websocket.send", "bytes": bytes(1_000_000)}
        tasks = [asyncio.ensure_future(send(data)) for _ in range(40)]
        await asyncio.sleep(0.2)
        for task in tasks[10:20]:
            task.cancel()
        await send({"type": "websocket.send", "text": "end"})
        await asyncio.gather(*tasks, return_exceptions=True)
        await receive()

    server = serve_asgi(raw(handle), lifespan=False)
    with connect(server.websocket_url, max_size=None, max_queue=1) as ws:
        time.sleep(0.4)
        received = 0
        while ws.recv() != "end":
            received += 1
    assert 28 <= received <= 40


def test_messages_that_nobody_receives_wait_in_the_kernel(serve_asgi: Callable[..., Any]) -> None:
    go = Result()
    loops: list[asyncio.AbstractEventLoop] = []
    proceed = asyncio.Event()

    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        loops.append(asyncio.get_running_loop())
        await receive()
        await send(ACCEPT)
        await proceed.wait()
        count = 0
        while (await receive())["type"] == "websocket.receive":
            count += 1
        go.tell(count)

    server = serve_asgi(raw(handle), lifespan=False)
    with connect(server.websocket_url) as ws:
        done: list[int] = []

        def send_all() -> None:
            for number in range(3000):
                ws.send(bytes(10_000))
                done.append(number)

        sender = threading.Thread(target=send_all)
        sender.start()
        time.sleep(0.5)
        assert len(done) < 2500
        loops[0].call_soon_threadsafe(proceed.set)
        sender.join(20)
    assert go.get() == 3000


# ---- closing


@pytest.mark.parametrize(("code", "reason", "seen"), [(1000, "", (1000, "")), (4001, "bye é", (4001, "bye é"))])
def test_close_by_the_client(serve_asgi: Callable[..., Any], code: int, reason: str, seen: Any) -> None:
    result = Result()

    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        first = await receive()
        assert first == {"type": "websocket.receive", "text": "last words"}
        message = await receive()
        # It is closed, as is wanted.
        await send({"type": "websocket.close"})
        with pytest.raises(OSError, match=f"code {code}"):
            await send({"type": "websocket.send", "text": "too late"})
        assert await receive() == message
        result.tell(message)

    with connect(serve_asgi(raw(handle), lifespan=False).websocket_url) as ws:
        ws.send("last words")
        ws.close(code, reason)
    assert result.get() == {"type": "websocket.disconnect", "code": seen[0], "reason": seen[1]}


def test_cut_by_the_client_is_1006_and_no_error(serve_asgi: Callable[..., Any], caplog: Any) -> None:
    result = Result()

    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        result.tell(await receive())
        await send({"type": "websocket.send", "text": "x"})

    server = serve_asgi(raw(handle), lifespan=False)
    with caplog.at_level(logging.INFO, "socketify"):
        ws = connect(server.websocket_url)
        ws.socket.shutdown(2)
        assert result.get() == {"type": "websocket.disconnect", "code": 1006, "reason": ""}
        server.server.close()
    assert not caplog.records


async def returns(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send(ACCEPT)


async def waits_and_returns(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send(ACCEPT)
    await asyncio.sleep(0.01)


async def fails(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send(ACCEPT)
    raise ZeroDivisionError("on purpose")


async def fails_later(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send(ACCEPT)
    await asyncio.sleep(0.01)
    raise ZeroDivisionError("on purpose")


@pytest.mark.parametrize(("handle", "code"), [(returns, 1000), (waits_and_returns, 1000), (fails, 1011), (fails_later, 1011)])
def test_end_of_the_application_closes(serve_asgi: Callable[..., Any], handle: Any, code: int) -> None:
    with connect(serve_asgi(raw(handle), lifespan=False).websocket_url) as ws:
        with pytest.raises(ConnectionClosed):
            ws.recv()
        assert ws.close_code == code


@pytest.mark.parametrize(
    ("message", "error", "text"),
    [
        (ACCEPT, RuntimeError, "'websocket.send' or 'websocket.close', not 'websocket.accept'"),
        ({"type": "http.response.start", "status": 200}, RuntimeError, "not 'http.response.start'"),
        ({"type": "websocket.send"}, TypeError, "needs 'bytes' or 'text'"),
        ({"type": "websocket.send", "text": b"x"}, TypeError, "needs 'bytes' or 'text'"),
        ({"type": "websocket.send", "bytes": "x"}, TypeError, "must be bytes, not str"),
        ({"type": "websocket.close", "code": 999}, ValueError, "'code' of 'websocket.close' must be"),
        ({"type": "websocket.close", "code": 1006}, ValueError, "'code' of 'websocket.close' must be"),
        ({"type": "websocket.close", "code": "x"}, ValueError, "'code' of 'websocket.close' must be"),
    ],
)
def test_wrong_messages_raise(serve_asgi: Callable[..., Any], message: Any, error: type[Exception], text: str) -> None:
    result = Result()

    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send(ACCEPT)
        try:
            await send(message)
        except Exception as caught:
            result.tell(caught)
        await send({"type": "websocket.send", "text": "still open"})

    with connect(serve_asgi(raw(handle), lifespan=False).websocket_url) as ws:
        assert ws.recv() == "still open"
    assert isinstance(result.get(), error)
    assert text in str(result.get())


def test_nothing_follows_the_own_close(serve_asgi: Callable[..., Any]) -> None:
    result = Result()

    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send(ACCEPT)
        await send({"type": "websocket.close", "reason": "é" * 100})
        with pytest.raises(RuntimeError, match="no message after"):
            await send({"type": "websocket.send", "text": "x"})
        await receive()
        result.tell(await receive())

    with connect(serve_asgi(raw(handle), lifespan=False).websocket_url) as ws:
        with pytest.raises(ConnectionClosed):
            ws.recv()
        assert (ws.close_code, ws.close_reason) == (1000, "é" * 61)
    assert result.get()["type"] == "websocket.disconnect"
    assert result.get()["code"] == 1000


def test_stopping_closes_with_1001(serve_asgi: Callable[..., Any]) -> None:
    result = Result()

    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        result.tell(await receive())

    server = serve_asgi(raw(handle), lifespan=False)
    with connect(server.websocket_url) as ws:
        server.server.native_app.close()
        with pytest.raises(ConnectionClosed):
            ws.recv()
        assert ws.close_code == 1001
    assert result.get()["code"] == 1001


# ---- limits, and other websockets than the application's


def test_admission(serve_asgi: Callable[..., Any]) -> None:
    options = {"allowed_origins": ["https://good.example"], "max_connections": 1}
    server = serve_asgi(raw(echo), lifespan=False, websocket_options=options)
    url = server.websocket_url
    with connect(url, origin="https://good.example") as ws:  # type: ignore[arg-type]
        ws.send("in")
        assert ws.recv() == "in"
        assert status_of(url)[0] == 503
    time.sleep(0.1)
    with pytest.raises(InvalidStatus, match="403"), connect(url, origin="https://bad.example"):  # type: ignore[arg-type]
        pass
    with connect(url) as ws:
        ws.send("in again")
        assert ws.recv() == "in again"


def test_another_application_has_the_websockets(serve_asgi: Callable[..., Any]) -> None:
    events: list[str] = []

    async def other(scope: dict[str, Any], receive: Any, send: Any) -> None:
        events.append(scope["type"])
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["of"] = "other"
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        assert scope["state"] == {"of": "other"}
        await echo(scope, receive, send)

    async def http(scope: dict[str, Any], receive: Any, send: Any) -> None:
        assert scope["type"] == "http", "websocket given to the http application"
        assert scope["state"] == {}
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"http"})

    server = serve_asgi(http, websocket=other)
    assert httpx.get(server.url).text == "http"
    with connect(server.websocket_url) as ws:
        ws.send("x")
        assert ws.recv() == "x"
    server.server.close()
    assert events == ["lifespan", "websocket"]


def test_a_behaviour_has_the_websockets(serve_asgi: Callable[..., Any]) -> None:
    behavior = {"message": lambda ws, message, opcode: ws.send(f"native {message}", opcode)}
    server = serve_asgi(raw(late_error), lifespan=False, websocket=behavior)
    with connect(server.websocket_url) as ws:
        ws.send("x")
        assert ws.recv() == "native x"


@pytest.mark.parametrize("websocket", [False, None])
def test_no_websockets(serve_asgi: Callable[..., Any], websocket: Any) -> None:
    server = serve_asgi(raw(echo), lifespan=False, websocket=websocket)
    assert status_of(server.websocket_url)[0] == 200


def test_many_connections_come_and_go(serve_asgi: Callable[..., Any]) -> None:
    """What the server knows of a websocket goes with it."""
    import gc  # noqa: PLC0415

    from socketify.interfaces.asgi_http import HTTPExchange  # noqa: PLC0415
    from socketify.interfaces.asgi_websocket import WebSocketExchange  # noqa: PLC0415

    server = serve_asgi(raw(echo), lifespan=False)
    for number in range(30):
        with connect(server.websocket_url) as ws:
            ws.send("x")
            assert ws.recv() == "x"
            if number % 2:
                ws.socket.shutdown(2)
        assert httpx.get(server.url).text == "http"
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        gc.collect()
        left = [each for each in gc.get_objects() if isinstance(each, (HTTPExchange, WebSocketExchange))]
        if not left:
            break
        time.sleep(0.05)
    assert not left
    assert not server.server.native_app._live
