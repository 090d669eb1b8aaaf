"""ASGI applications behind middlewares that change bodies, and streams that are left: what frameworks take from a scope."""

from __future__ import annotations

import asyncio
import gzip
import sys
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Callable

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from waiting import wait_until

from socketify import ASGI
from socketify.cli.arguments import parse_arguments
from socketify.cli.server import build_server

STYLE = b"p { color: red }\n" * 40_000


class Deflating:
    """Compresses bodies as brotli-asgi, zstd-asgi and asgi-compression do: what is no start and no body is lost."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start: dict[str, Any] = {}
        compressor = zlib.compressobj()

        async def compress(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            elif message["type"] == "http.response.body":
                more = message.get("more_body", False)
                body = compressor.compress(message.get("body", b"")) + (b"" if more else compressor.flush())
                if start:
                    headers = [each for each in start["headers"] if each[0] != b"content-length"]
                    await send({**start, "headers": [*headers, (b"content-encoding", b"deflate")]})
                    start.clear()
                await send({"type": "http.response.body", "body": body, "more_body": more})

        await self.app(scope, receive, compress)


@pytest.fixture
def site(tmp_path: Path) -> Starlette:
    """Files, as an application gives them."""
    (tmp_path / "style.css").write_bytes(STYLE)

    async def file(request: Request) -> FileResponse:
        return FileResponse(tmp_path / "style.css")

    return Starlette(routes=[Route("/file", file), Mount("/static", StaticFiles(directory=tmp_path))])


@pytest.mark.parametrize("path", ["/file", "/static/style.css"])
def test_files_behind_a_middleware_that_compresses(serve_asgi: Callable[..., Any], site: Starlette, path: str) -> None:
    response = httpx.get(serve_asgi(Deflating(site)).url + path)
    assert response.status_code == 200
    assert response.headers["content-encoding"] == "deflate"
    assert int(response.num_bytes_downloaded) < len(STYLE) // 10
    assert response.content == STYLE


@pytest.mark.parametrize("path", ["/file", "/static/style.css"])
def test_files_behind_gzip(serve_asgi: Callable[..., Any], site: Starlette, path: str) -> None:
    url = serve_asgi(GZipMiddleware(site)).url + path
    with httpx.stream("GET", url, headers={"Accept-Encoding": "gzip"}) as response:
        assert response.headers["content-encoding"] == "gzip"
        assert gzip.decompress(b"".join(response.iter_raw())) == STYLE
    assert httpx.get(url, headers={"Accept-Encoding": "identity"}).content == STYLE
    response = httpx.get(url, headers={"Range": "bytes=1-9"})
    assert (response.status_code, response.content) == (206, STYLE[1:10])


@pytest.mark.skipif(not hasattr(Request, "send_early_hints"), reason="this Starlette sends no hints")
@pytest.mark.parametrize("wrap", [Deflating, GZipMiddleware, lambda app: app])
def test_hints_of_starlette(serve_asgi: Callable[..., Any], wrap: Callable[[Any], Any]) -> None:
    async def home(request: Request) -> PlainTextResponse:
        await request.send_early_hints("</style.css>; rel=preload")
        return PlainTextResponse("home")

    server = serve_asgi(wrap(Starlette(routes=[Route("/", home)])))
    assert httpx.get(server.url).text == "home"
    # Who knows the start and the body alone loses hints.
    hints = server.request("GET / HTTP/1.1").startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n")
    assert hints == (wrap is not Deflating)


def test_stream_that_waits_is_cancelled_when_its_client_leaves(serve_asgi: Callable[..., Any]) -> None:
    ended: list[BaseException] = []

    async def waiting() -> AsyncIterator[bytes]:
        yield b"first"
        try:
            # Such as a queue that nobody fills any more.
            await asyncio.get_running_loop().create_future()
        except BaseException as error:
            ended.append(error)
            raise

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(waiting())

    server = serve_asgi(Starlette(routes=[Route("/", stream)]))
    with httpx.stream("GET", server.url) as response:
        pieces = response.iter_raw()
        assert next(pieces) == b"first"
        assert not ended
    wait_until(lambda: ended)
    assert isinstance(ended[0], asyncio.CancelledError)


@pytest.mark.parametrize("flags", [[], ["--pathsend"]])
def test_command_line_announces_files_when_asked_to(tmp_path: Path, monkeypatch: Any, flags: list[str]) -> None:
    (tmp_path / "telling.py").write_text(
        """
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b" ".join(key.encode() for key in scope["extensions"])})
"""
    )
    monkeypatch.delitem(sys.modules, "telling", raising=False)
    server = build_server(parse_arguments(["telling:app", "--app-dir", str(tmp_path), "--lifespan", "off", *flags]))
    assert isinstance(server, ASGI)
    ports: list[int] = []
    server.listen(0, lambda config: ports.append(config.port)).run(block=False)
    extensions = httpx.get(f"http://127.0.0.1:{ports[0]}").text.split()
    server.close()
    assert ("http.response.pathsend" in extensions) == bool(flags)
