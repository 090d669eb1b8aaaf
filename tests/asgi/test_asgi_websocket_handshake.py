"""Websockets over ASGI: scopes, handshakes, denials, and who has the websockets."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Callable

import httpx
import pytest
from app_servers import http_1_only
from asgi_websocket_apps import ACCEPT, Result, echo, raw
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from socketify.interfaces import ClientDisconnectedError


@http_1_only("the version, the addresses, and Upgrade")
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
    assert scope.pop("socketify.websocket")
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
        "extensions": {
            "websocket.http.response": {},
            "websocket.subscribe": {},
            "websocket.unsubscribe": {},
            "websocket.publish": {},
        },
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


@http_1_only("an Upgrade that is ignored; an extended CONNECT gets 501")
@pytest.mark.parametrize("websocket", [False, None])
def test_no_websockets(serve_asgi: Callable[..., Any], websocket: Any) -> None:
    server = serve_asgi(raw(echo), lifespan=False, websocket=websocket)
    assert status_of(server.websocket_url)[0] == 200
