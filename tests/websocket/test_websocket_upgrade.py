"""The way to a websocket: upgrade handlers, handshakes, limits and origins, routers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websocket_client import HANDSHAKE, KEY, open_
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from socketify import App, OpCode, WebSocket


def test_upgrade_handler_gives_user_data_protocol_and_headers(serve: Any) -> None:
    def upgrade(res: Any, req: Any, context: Any) -> None:
        user = req.get_parameter(0)
        res.write_header("X-User", user)
        protocols = req.get_header("sec-websocket-protocol")
        res.upgrade(req.get_header("sec-websocket-key"), protocols, "", context, {"user": user})

    behavior = {"upgrade": upgrade, "open": lambda ws: ws.send(ws.get_user_data()["user"], OpCode.TEXT)}
    server = serve(lambda app: app.ws("/chat/:user", behavior))
    with open_(server, "/chat/ann", subprotocols=["chat", "other"]) as client:
        assert client.recv(timeout=10) == "ann"
        assert client.subprotocol == "chat"
        assert client.response is not None
        assert client.response.headers["X-User"] == "ann"


def test_upgrade_after_awaiting(serve: Any) -> None:
    async def upgrade(res: Any, req: Any, context: Any) -> None:
        key = req.get_header("sec-websocket-key")
        await asyncio.sleep(0.02)
        res.upgrade(key, "", "", context, 7)

    server = serve(lambda app: app.ws("/", {"upgrade": upgrade, "message": lambda ws, m, o: ws.send(str(ws.get_user_data()))}))
    with open_(server) as client:
        client.send("?")
        assert client.recv(timeout=10) == b"7"


@pytest.mark.parametrize("wait", [False, True])
def test_upgrade_can_be_refused_with_any_answer(serve: Any, wait: bool) -> None:
    async def later(res: Any, req: Any, context: Any) -> None:
        await asyncio.sleep(0.01)
        res.write_status(403).end("no")

    def at_once(res: Any, req: Any, context: Any) -> None:
        res.write_status(401).write_header("WWW-Authenticate", "Basic").end("who?")

    server = serve(lambda app: app.ws("/", {"upgrade": later if wait else at_once}))
    with pytest.raises(InvalidStatus) as refused:
        open_(server)
    assert refused.value.response.status_code == (403 if wait else 401)


def test_http_and_websocket_share_a_path(serve: Any) -> None:
    def build(app: App) -> None:
        app.get("/", lambda res, req: res.end("page"))
        app.ws("/", {"open": lambda ws: ws.send("socket")})
        app.ws("/only", {"open": lambda ws: ws.send("socket")})
        app.get("/static", lambda res, req: res.end("static"))
        app.ws("/:name", {"open": lambda ws: ws.send("parameter")})

    server = serve(build)
    get = b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert server.exchange(get % b"/").endswith(b"page")
    assert server.exchange(get % b"/static").endswith(b"static")
    assert server.exchange(get % b"/only").startswith(b"HTTP/1.1 426 ")
    for path, expected in (("/", b"socket"), ("/only", b"socket"), ("/static", b"parameter"), ("/else", b"parameter")):
        with open_(server, path) as client:
            assert client.recv(timeout=10) == expected


def test_the_handshake_of_the_rfc(serve: Any) -> None:
    server = serve(lambda app: app.ws("/", {}))
    with server.connect() as connection:
        connection.sendall(HANDSHAKE % (b"WebSocket", b"keep-alive, Upgrade", KEY, b"13"))
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (HANDSHAKE % (b"websocket", b"Upgrade", KEY, b"12"), b"426"),
        (HANDSHAKE % (b"websocket", b"Upgrade", b"short", b"13"), b"400"),
        (HANDSHAKE % (b"websocket", b"Upgrade", b"!" * 22 + b"==", b"13"), b"400"),
        (HANDSHAKE % (b"h2c", b"Upgrade", KEY, b"13"), b"426"),
        (HANDSHAKE % (b"websocket", b"keep-alive", KEY, b"13"), b"426"),
        (HANDSHAKE % (b"websocket", b"Upgrade", KEY, b"13") + b"\x81\x80\0\0\0\0", b"400"),
    ],
)
def test_wrong_handshakes_are_refused(serve: Any, request_bytes: bytes, status: bytes) -> None:
    server = serve(lambda app: app.ws("/", {}))
    with server.connect() as connection:
        connection.sendall(request_bytes)
        answer = connection.recv(4096)
    assert answer.split()[1] == status
    if status == b"426" and b"12\r\n" in request_bytes:
        assert b"Sec-WebSocket-Version: 13" in answer


def test_limits_and_origins(serve: Any) -> None:
    def build(app: App) -> None:
        app.ws("/total", {"max_connections": 2})
        app.ws("/address", {"max_connections_per_address": 1, "open": lambda ws: ws.send("open")})
        app.ws("/origin", {"allowed_origins": ["https://example.org"], "open": lambda ws: ws.send("open")})

    def status(path: str, **options: Any) -> int:
        with pytest.raises(InvalidStatus) as refused:
            open_(server, path, **options)
        return refused.value.response.status_code

    server = serve(build)
    with open_(server, "/total"), open_(server, "/total"):
        assert status("/total") == 503
    with open_(server, "/address"):
        assert status("/address") == 429
    with open_(server, "/address") as client:
        assert client.recv(timeout=10) == b"open"
    for origin in (None, "https://example.org"):
        with open_(server, "/origin", origin=origin) as client:
            assert client.recv(timeout=10) == b"open"
    assert status("/origin", origin="https://example.com") == 403


def test_router_decorator_puts_middlewares_before_the_upgrade(serve: Any) -> None:
    def build(app: App) -> None:
        def user(res: Any, req: Any, data: Any) -> Any:
            name = req.get_header("x-user")
            if name is None:
                res.write_status(401).end("who?")
            return name

        router = app.router("/api", user)

        @router.ws("/chat")
        def on_message(ws: WebSocket, message: Any, opcode: OpCode) -> None:
            ws.send(ws.get_user_data() + ":" + message, opcode)

    server = serve(build)
    with open_(server, "/api/chat", additional_headers={"X-User": "ann"}) as client:
        client.send("hi")
        assert client.recv(timeout=10) == "ann:hi"
    with pytest.raises(InvalidStatus):
        open_(server, "/api/chat")


def test_a_router_takes_a_whole_behavior(serve: Any) -> None:
    def shout(ws: Any, message: Any, opcode: Any) -> None:
        ws.send(message.upper(), opcode)

    def build_routes(app: App) -> None:
        decorate = app.router("/api").ws("/x", {"message": shout})
        with pytest.raises(ValueError, match="already"):
            decorate(shout)

    server = serve(build_routes)
    with connect(f"{server.ws_url}/api/x") as client:
        client.send("hello")
        assert client.recv() == "HELLO"
