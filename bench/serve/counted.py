"""Programs for bench/instructions.py: `counted.py NAME COUNT` prints its port, and ends after so many requests."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import Any, Callable

from socketify import ASGI, WSGI, App, AppListenOptions

TEXT = "Hello, World!"
PIECE = b"x" * 200
FIELDS = (("cache-control", "no-store"), ("x-request", "17"))


def listening(options: AppListenOptions) -> None:
    """Prints the port."""
    print(options.port, flush=True)


def hello(res: Any, _req: Any) -> None:
    """Answers a text."""
    res.end(TEXT)


def parameter(res: Any, req: Any) -> None:
    """Answers what the request says."""
    res.end(req.get_parameter(0) + (req.get_header("user-agent") or "") + (req.get_query("q") or ""))


def fields(res: Any, _req: Any) -> None:
    """Answers with fields."""
    res.send(TEXT, headers=FIELDS)


def pieces(res: Any, _req: Any) -> None:
    """Answers piece by piece."""
    res.write_status(201).write_header("cache-control", "no-store").write(TEXT)
    res.end(TEXT)


async def coroutine(res: Any, _req: Any) -> None:
    """Answers without waiting."""
    res.end(TEXT)


async def coroutine_waits(res: Any, _req: Any) -> None:
    """Answers after two waits."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    res.end(TEXT)


#: How programs end that count for metrics.
COUNTS = "-metrics"

HANDLERS: dict[str, Callable[..., Any]] = {
    "hello": hello,
    "pipelined": hello,
    "http2": hello,
    "parameter": parameter,
    "fields": fields,
    "pieces": pieces,
    "coroutine": coroutine,
    "coroutine-waits": coroutine_waits,
}


def serve_handler(name: str, count: int) -> None:
    """Serves a handler."""
    app = App()
    if name.endswith(COUNTS):
        app.metrics(None)
    app.get("/users/:id" if name == "parameter" else "/", HANDLERS[name.removesuffix(COUNTS)])
    app.listen(0, listening).close_after(count).run()


def serve_websockets(count: int) -> None:
    """Serves an echo."""
    app = App()
    left = count

    def message(ws: Any, data: Any, opcode: Any) -> None:
        nonlocal left
        left -= 1
        ws.send(data, opcode)
        if not left:
            app.close()

    app.ws("/", {"message": message})
    app.listen(0, listening).run()


async def asgi(scope: Any, receive: Any, send: Any, waits: int = 0) -> None:
    """Answers, and reads a body before."""
    for _ in range(waits):
        await asyncio.sleep(0)
    if scope["method"] == "POST":
        await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": TEXT.encode()})


async def asgi_waits(scope: Any, receive: Any, send: Any) -> None:
    """Answers after two waits."""
    await asgi(scope, receive, send, waits=2)


async def asgi_ten_waits(scope: Any, receive: Any, send: Any) -> None:
    """Answers after ten waits."""
    await asgi(scope, receive, send, waits=10)


async def asgi_stream(_scope: Any, _receive: Any, send: Any) -> None:
    """Answers with ten pieces."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    for _ in range(9):
        await send({"type": "http.response.body", "body": PIECE, "more_body": True})
    await send({"type": "http.response.body", "body": PIECE})


APPLICATIONS = {"asgi-waits": asgi_waits, "asgi-ten-waits": asgi_ten_waits, "asgi-stream": asgi_stream}


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    """Answers, and reads a body before."""
    if environ["REQUEST_METHOD"] == "POST":
        environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [TEXT.encode()]


def wsgi_generator(_environ: Any, start_response: Any) -> Iterator[bytes]:
    """Answers in ten blocks."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    for _ in range(10):
        yield PIECE


def wsgi_write(_environ: Any, start_response: Any) -> list[bytes]:
    """Writes ten blocks."""
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    for _ in range(10):
        write(PIECE)
    return []


WSGI_APPLICATIONS: dict[str, Callable[..., Any]] = {
    "wsgi": wsgi,
    "wsgi-post": wsgi,
    "wsgi-generator": wsgi_generator,
    "wsgi-write": wsgi_write,
}


def main(name: str, count: int) -> None:
    """Serves the program of a name."""
    if name.removesuffix(COUNTS) in HANDLERS:
        serve_handler(name, count)
    elif name == "websocket":
        serve_websockets(count)
    else:
        server = (
            WSGI(WSGI_APPLICATIONS[name]) if name in WSGI_APPLICATIONS else ASGI(APPLICATIONS.get(name, asgi), lifespan=False)
        )
        server.native_app.close_after(count)
        server.listen(0, listening)
        server.run()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
