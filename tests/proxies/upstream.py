"""The application behind the proxies: every kind of exchange that the tests count."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

EVENTS = 5


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await _echo_messages(receive, send)
    elif scope["type"] == "http":
        handle = {"/events": _stream_events, "/digest": _digest}.get(scope["path"], _hello)
        await handle(receive, send)
    else:
        raise ValueError("no lifespan here")


async def _start(send: Any, content_type: bytes) -> None:
    # Caches in front shall ask again.
    fields = [(b"content-type", content_type), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": fields})


async def _hello(_receive: Any, send: Any) -> None:
    await _start(send, b"text/plain")
    await send({"type": "http.response.body", "body": b"hello"})


async def _digest(receive: Any, send: Any) -> None:
    digest = hashlib.sha256()
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return
        digest.update(message["body"])
        more = message["more_body"]
    await _start(send, b"text/plain")
    await send({"type": "http.response.body", "body": digest.hexdigest().encode()})


async def _stream_events(_receive: Any, send: Any) -> None:
    await _start(send, b"text/event-stream")
    for number in range(EVENTS):
        await send({"type": "http.response.body", "body": b"data: %d\n\n" % number, "more_body": True})
        await asyncio.sleep(0.002)
    await send({"type": "http.response.body", "body": b""})


async def _echo_messages(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})
