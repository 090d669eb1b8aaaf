"""Raw ASGI applications, one for each behaviour, under the behaviour's name."""

from __future__ import annotations

import asyncio
import importlib
import json as json_module
import os
from typing import Any

from answers import BODY, OBJECT, PIECE, PIECES, TEXT, total

_TEXT, _BODY, _PIECE = TEXT.encode(), BODY.encode(), PIECE.encode()


async def _answer(send: Any, content_type: bytes, payload: bytes) -> None:
    headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(payload))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": payload})


async def hello(scope: dict[str, Any], _receive: Any, send: Any) -> None:
    """Answers every request with the same text, and no lifespan; without a helper between: it is measured too."""
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"13")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _TEXT})


tls = hello


async def json(_scope: dict[str, Any], _receive: Any, send: Any) -> None:
    """An object as JSON."""
    await _answer(send, b"application/json", json_module.dumps(OBJECT).encode())


async def body(_scope: dict[str, Any], _receive: Any, send: Any) -> None:
    """Ten kilobytes of text."""
    await _answer(send, b"text/plain", _BODY)


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Sends the body of the request back."""
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    await _answer(send, b"application/octet-stream", await _body_of(receive))


async def upload(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Reads the body of the request."""
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    while (await receive()).get("more_body", False):
        pass
    await _answer(send, b"text/plain", _TEXT)


async def _body_of(receive: Any) -> bytes:
    chunks = []
    more = True
    while more:
        message = await receive()
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(chunks)


async def two_waits(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers after two turns of the loop."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await hello(scope, receive, send)


async def ten_waits(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers after ten turns of the loop."""
    for _ in range(10):
        await asyncio.sleep(0)
    await hello(scope, receive, send)


async def stream(_scope: dict[str, Any], _receive: Any, send: Any) -> None:
    """Pieces, each in a message of its own, of which nobody knows how many there will be."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    for number in range(PIECES):
        await send({"type": "http.response.body", "body": _PIECE, "more_body": number < PIECES - 1})


async def order(_scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Reads JSON and answers with JSON."""
    answer = total(json_module.loads(await _body_of(receive)))
    await _answer(send, b"application/json", json_module.dumps(answer).encode())


ROUTES = {"/": hello, "/two-waits": two_waits, "/ten-waits": ten_waits, "/stream": stream, "/orders": order}


async def routes(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """All of these."""
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    await ROUTES[scope["path"]](scope, receive, send)


class Waiting:
    """Holds all requests until it is told to answer them; those for ``/count`` and ``/release`` it answers at once."""

    def __init__(self) -> None:
        self.count = 0
        self.released: asyncio.Event | None = None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answers with how many wait, for ``/count``; with the usual text otherwise."""
        if scope["type"] != "http":
            raise ValueError(scope["type"])
        self.released = self.released or asyncio.Event()
        if scope["path"] == "/count":
            await _answer(send, b"text/plain", b"%d" % self.count)
            return
        if scope["path"] == "/release":
            self.released.set()
        else:
            self.count += 1
            await self.released.wait()
        await hello(scope, receive, send)


async def websocket(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Sends every message back."""
    if scope["type"] != "websocket":
        raise ValueError(scope["type"])
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": message.get("bytes"), "text": message.get("text")})


def find(behaviour: str, directory: str) -> Any:
    """Returns the application of a behaviour."""
    if behaviour in ("fastapi", "starlette", "django"):
        return importlib.import_module(f"{behaviour}_app").asgi
    if behaviour == "waiting":
        return Waiting()
    if behaviour == "static":
        from starlette.applications import Starlette  # noqa: PLC0415 - only what is asked for needs to be installed
        from starlette.routing import Mount  # noqa: PLC0415
        from starlette.staticfiles import StaticFiles  # noqa: PLC0415

        return Starlette(routes=[Mount("/static", StaticFiles(directory=f"{directory}/static"))])
    if behaviour == "falcon":
        import falcon.asgi  # noqa: PLC0415

        class Hello:
            async def on_get(self, _req: Any, resp: Any) -> None:
                resp.content_type = "text/plain"
                resp.text = TEXT

        app = falcon.asgi.App()
        app.add_route("/", Hello())
        return app
    return globals()[behaviour]


# For servers that load the application by name, in a process of their own.
if "BENCH_BEHAVIOUR" in os.environ:
    chosen = find(os.environ["BENCH_BEHAVIOUR"], os.environ["BENCH_DIRECTORY"])
