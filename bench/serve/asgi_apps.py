"""Raw ASGI applications, one for each behaviour, under the behaviour's name."""

from __future__ import annotations

import json as json_module
import os
from typing import Any

from answers import BODY, OBJECT, TEXT

_TEXT, _BODY = TEXT.encode(), BODY.encode()


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
    chunks = []
    more = True
    while more:
        message = await receive()
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    await _answer(send, b"application/octet-stream", b"".join(chunks))


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
