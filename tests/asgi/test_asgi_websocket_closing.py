"""Websockets over ASGI: closes by either side, and what goes wrong."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Callable

import pytest
from asgi_websocket_apps import ACCEPT, Result, raw
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect


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
