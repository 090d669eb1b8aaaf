"""Starlette's files behind every middleware that compresses."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import httpx
from asgi_compression import BrotliAlgorithm, CompressionMiddleware, GzipAlgorithm, ZstdAlgorithm
from brotli_asgi import BrotliMiddleware
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from transcript import told
from zstd_asgi import ZstdMiddleware

FOLDER = Path(tempfile.gettempdir()) / "socketify-applications"
FOLDER.mkdir(exist_ok=True)
(FOLDER / "style.css").write_bytes(b"p { color: red }\n" * 40_000)
(FOLDER / "small.txt").write_bytes(b"small")
(FOLDER / "empty.txt").write_bytes(b"")


async def file(request: Request) -> FileResponse:
    return FileResponse(FOLDER / "style.css")


async def hinted(request: Request) -> PlainTextResponse:
    await request.send_early_hints("</style.css>; rel=preload")
    return PlainTextResponse("hinted" * 1000)


def site() -> Starlette:
    routes = [Route("/file", file), Route("/hinted", hinted), Mount("/static", StaticFiles(directory=FOLDER))]
    return Starlette(routes=routes)


MIDDLEWARES = {
    "plain": site(),
    "gzip": GZipMiddleware(site()),
    "brotli": BrotliMiddleware(site()),
    "zstd": ZstdMiddleware(site()),
    "all": CompressionMiddleware(site(), algorithms=[GzipAlgorithm(), BrotliAlgorithm(), ZstdAlgorithm()]),
}
app = Starlette(routes=[Mount(f"/{name}", each) for name, each in MIDDLEWARES.items()])


async def drive(url: str) -> list[Any]:
    """Ask for each file in each coding."""
    said: list[Any] = []
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        for name in MIDDLEWARES:
            for path in ("/file", "/static/style.css", "/static/small.txt", "/static/empty.txt", "/static/none", "/hinted"):
                for coding in ("identity", "gzip", "br", "zstd"):
                    for method in ("GET", "HEAD"):
                        response = await client.request(method, f"/{name}{path}", headers={"Accept-Encoding": coding})
                        said.append(told(response))
            response = await client.get(f"/{name}/file", headers={"Range": "bytes=1-5"})
            said.append(told(response))
    return said
