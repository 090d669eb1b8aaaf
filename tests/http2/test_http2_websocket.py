"""Websockets on streams of HTTP/2 (RFC 8441)."""

from __future__ import annotations

import asyncio
import os
import struct
from typing import Any, Callable

import pytest
from http2_client import Client

from socketify import App, CompressOptions, Limits, OpCode


def routes(app: App) -> None:
    app.ws(
        "/echo",
        {
            "compression": CompressOptions.DISABLED,
            "open": lambda ws: ws.subscribe("all"),
            "message": lambda ws, message, opcode: ws.send(message, opcode),
            "close": lambda _ws, code, _message: CLOSED.append(code),
        },
    )
    app.ws("/declined", {"upgrade": lambda res, _req, _context: res.write_header("x-why", "full").end("no"), "message": print})
    app.get("/", lambda res, _req: res.end("Hello"))

    def publish(res: Any, _req: Any) -> None:
        app.publish("all", "news", OpCode.TEXT)
        res.end("published")

    app.get("/publish", publish)


CLOSED: list[int] = []
CONNECT = ("sec-websocket-version", "13")


class WebSocketStream:
    """A websocket on a stream, whose frames are made here."""

    def __init__(self, client: Client, path: str, *fields: tuple[str, str], early: bytes = b"") -> None:
        self.client = client
        client.wait_for(lambda: client.h2.remote_settings.enable_connect_protocol)
        head = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", "localhost")]
        self.stream = client.open([*head, (":path", path), CONNECT, *fields])
        self.answer = client.answers[self.stream]
        if early:
            self.send(1, early)
        client.wait_for(lambda: self.answer.head)
        self.read = 0

    def send(self, opcode: int, payload: bytes) -> None:
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        size = len(payload)
        if size < 126:
            length = bytes([0x80 | size])
        else:
            length = struct.pack(">BH", 0xFE, size) if size < 65536 else struct.pack(">BQ", 0xFF, size)
        self.client.send(self.stream, bytes([0x80 | opcode]) + length + mask + masked)

    def _take(self, size: int) -> bytes:
        self.client.wait_for(lambda: len(self.answer.body) >= self.read + size)
        self.read += size
        return self.answer.body[self.read - size : self.read]

    def receive(self) -> tuple[int, bytes]:
        first, size = self._take(2)
        if size == 126:
            (size,) = struct.unpack(">H", self._take(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", self._take(8))
        return first & 15, self._take(size)


@pytest.fixture
def client(serve: Callable[..., Any]) -> Any:
    CLOSED.clear()
    server = serve(routes, http="auto")
    with Client(server.port) as client:
        yield client


def test_messages_of_any_size_are_echoed(client: Client) -> None:
    websocket = WebSocketStream(client, "/echo")
    assert websocket.answer.status == 200
    assert websocket.answer.field("sec-websocket-accept") is None
    for payload in (b"", b"hello", b"x" * 200, b"y" * 70_000, b"z" * 1000):
        websocket.send(2, payload)
        assert websocket.receive() == (2, payload)


def test_requests_and_topics_beside_it(client: Client) -> None:
    websocket = WebSocketStream(client, "/echo")
    assert client.get("/").body == b"Hello"
    assert client.get("/publish").body == b"published"
    assert websocket.receive() == (1, b"news")


def test_the_closing_handshake_ends_the_stream(client: Client) -> None:
    websocket = WebSocketStream(client, "/echo")
    websocket.send(8, struct.pack(">H", 1000))
    assert websocket.receive() == (8, struct.pack(">H", 1000))
    assert client.wait(websocket.stream).reset is None
    assert CLOSED == [1000]
    assert client.get("/").status == 200


def test_a_reset_is_a_lost_connection(client: Client) -> None:
    websocket = WebSocketStream(client, "/echo")
    client.h2.reset_stream(websocket.stream, 8)
    client.flush()
    assert client.get("/").status == 200
    assert CLOSED == [1006]


def test_a_protocol_is_chosen(client: Client) -> None:
    websocket = WebSocketStream(client, "/echo", ("sec-websocket-protocol", "a, b"))
    assert websocket.answer.field("sec-websocket-protocol") == "a"


def test_what_is_no_websocket_is_refused(client: Client) -> None:
    assert WebSocketStream(client, "/nowhere").answer.status == 404
    head = [
        (":method", "CONNECT"),
        (":protocol", "other"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", "/echo"),
    ]
    stream = client.open(head)
    client.wait_for(lambda: client.answers[stream].head)
    assert client.answers[stream].status == 501


def test_an_upgrade_handler_that_answers_with_200_has_opened_no_websocket(client: Client) -> None:
    """It would say that to the client (RFC 8441 section 5), which hears of no other status than this in HTTP/1.1, either."""
    websocket = WebSocketStream(client, "/declined")
    assert client.wait(websocket.stream).body == b"no"
    assert websocket.answer.status == 403
    assert websocket.answer.field("x-why") == "full"


def test_websockets_may_be_added_while_a_connection_is_open(serve: Callable[..., Any]) -> None:
    """Extended CONNECT is announced whether there is a route or not: the client would not hear of it later."""

    def build(app: App) -> None:
        app.get("/add", lambda res, _req: (routes(app), res.end("added")))

    with Client(serve(build).port) as client:
        assert WebSocketStream(client, "/echo").answer.status == 404
        assert client.get("/add").body == b"added"
        websocket = WebSocketStream(client, "/echo")
        websocket.send(1, b"hello")
        assert websocket.receive() == (1, b"hello")


def test_a_route_for_get_opens_no_websocket(client: Client) -> None:
    """RFC 8441 section 4: any answer of 2xx would."""
    assert WebSocketStream(client, "/").answer.status == 501


def test_what_comes_on_a_websocket_is_no_content(serve: Callable[..., Any]) -> None:
    server = serve(routes, http="auto", limits=Limits(max_body_size=1000))
    with Client(server.port) as client:
        websocket = WebSocketStream(client, "/echo")
        for _ in range(5):
            websocket.send(2, b"y" * 900)
            assert websocket.receive() == (2, b"y" * 900)


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        return
    assert scope["http_version"] == "2"
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept", "headers": [(b"x-name", b"value")]})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"].upper()})


def test_an_asgi_application(serve_asgi: Callable[..., Any]) -> None:
    server = serve_asgi(application, http="auto")
    with Client(server.port) as client:
        websocket = WebSocketStream(client, "/")
        assert websocket.answer.field("x-name") == "value"
        websocket.send(1, b"hello")
        assert websocket.receive() == (1, b"HELLO")


async def slow_application(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await asyncio.sleep(0.2)
    await application(scope, receive_connect(receive), send)


def receive_connect(receive: Any) -> Any:
    events = [{"type": "websocket.connect"}]

    async def next_event() -> Any:
        return events.pop() if events else await receive()

    return next_event


def test_what_comes_before_the_answer_is_not_lost(serve_asgi: Callable[..., Any]) -> None:
    server = serve_asgi(slow_application, http="auto")
    with Client(server.port) as client:
        websocket = WebSocketStream(client, "/", early=b"early")
        assert websocket.receive() == (1, b"EARLY")
        websocket.send(1, b"late")
        assert websocket.receive() == (1, b"LATE")
