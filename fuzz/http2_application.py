"""An ASGI application that tells what it sees; by its path, how it answers. Other servers run it, too."""

from __future__ import annotations

import hashlib
import json
from typing import Any

#: What a response of any size is made of.
PATTERN = bytes(range(256)) * 16


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise ValueError("only requests")
    kind, _, rest = scope["path"].lstrip("/").partition("/")
    handle = {"echo": _echo, "stream": _stream, "sized": _sized, "empty": _empty}.get(kind, _tell)
    await handle(scope, rest, receive, send)


async def _body(receive: Any) -> Any:
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return
        more = message["more_body"]
        yield message["body"]


async def _answer(send: Any, body: bytes, status: int = 200) -> None:
    fields = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body)), (b"x-two", b"1"), (b"x-two", b"2")]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def _tell(scope: Any, _rest: str, receive: Any, send: Any) -> None:
    body = b"".join([piece async for piece in _body(receive)])
    seen = {name: scope[name] for name in ("http_version", "method", "scheme", "path")}
    seen["raw_path"], seen["query"] = scope["raw_path"].decode(), scope["query_string"].decode()
    # A server may join the parts of a cookie, and need not.
    cookies = [value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie"]
    seen["cookie"] = "; ".join(cookies)
    seen["headers"] = [[each.decode("latin-1") for each in pair] for pair in scope["headers"] if pair[0] != b"cookie"]
    seen["body"] = [len(body), hashlib.sha256(body).hexdigest()]
    await _answer(send, json.dumps(seen, sort_keys=True).encode())


async def _echo(_scope: Any, _rest: str, receive: Any, send: Any) -> None:
    await _answer(send, b"".join([piece async for piece in _body(receive)]), 201)


async def _stream(_scope: Any, _rest: str, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-kind", b"stream")]})
    async for piece in _body(receive):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _sized(_scope: Any, rest: str, receive: Any, send: Any) -> None:
    async for _ in _body(receive):
        pass
    size, pieces = (int(each) for each in rest.split("/")[:2])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-size", b"%d" % size)]})
    for number in range(pieces):
        piece = (PATTERN * (size // len(PATTERN) + 1))[:size]
        await send({"type": "http.response.body", "body": piece, "more_body": number + 1 < pieces})


async def _empty(_scope: Any, rest: str, receive: Any, send: Any) -> None:
    async for _ in _body(receive):
        pass
    await send({"type": "http.response.start", "status": int(rest), "headers": [(b"x-kind", b"empty")]})
    await send({"type": "http.response.body", "body": b""})
