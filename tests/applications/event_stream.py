"""Server-sent events, by sse-starlette and by Starlette's own streams; clients leave them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
from sse_starlette.sse import EventSourceResponse
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Mount, Route
from transcript import told

ended: list[str] = []


async def events(name: str, endless: bool) -> AsyncIterator[dict[str, str]]:
    try:
        for number in range(3):
            yield {"event": name, "data": str(number)}
        if endless:
            await asyncio.get_running_loop().create_future()
    finally:
        ended.append(name)


async def lines(name: str) -> AsyncIterator[bytes]:
    async for event in events(name, endless=True):
        yield event["data"].encode() + b"\n"


async def sse(request: Request) -> EventSourceResponse:
    return EventSourceResponse(events("sse", endless=True))


async def short(request: Request) -> EventSourceResponse:
    return EventSourceResponse(events("short", endless=False))


async def stream(request: Request) -> StreamingResponse:
    return StreamingResponse(lines("stream"))


async def left(request: Request) -> JSONResponse:
    return JSONResponse(sorted(ended))


async def passed_on(request: Request, call_next: Any) -> Any:
    """Do what most middlewares of applications do."""
    return await call_next(request)


site = Starlette(routes=[Route("/sse", sse), Route("/short", short), Route("/stream", stream), Route("/left", left)])
behind = Starlette(
    routes=[Route("/sse", sse), Route("/stream", stream)],
    middleware=[Middleware(BaseHTTPMiddleware, dispatch=passed_on), Middleware(BaseHTTPMiddleware, dispatch=passed_on)],
)
app = Starlette(routes=[Mount("/behind", behind), Mount("/", site)])


async def first_lines(client: httpx.AsyncClient, path: str, count: int) -> list[str]:
    async with client.stream("GET", path) as response:
        found: list[str] = []
        async for line in response.aiter_lines():
            found.append(line)
            if len(found) == count:
                break
        return found


async def drive(url: str) -> list[Any]:
    """Read, and leave."""
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        said: list[Any] = [told(await client.get("/short"))]
        for place in ("", "/behind"):
            said += [await first_lines(client, f"{place}/sse", 4), await first_lines(client, f"{place}/stream", 3)]
        for _ in range(100):
            gone = (await client.get("/left")).json()
            if len(gone) == 5:
                break
            await asyncio.sleep(0.05)
        return [*said, gone]


async def hold(url: str, stopping: asyncio.Event) -> Any:
    """Read event streams until the server stops. Of other streams uvicorn waits for ever."""
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:

        async def read(path: str) -> int:
            count = 0
            try:
                async with client.stream("GET", path) as response:
                    async for _ in response.aiter_bytes():
                        count += 1
                        if count == 1:
                            started.append(path)
                            if len(started) == 6:
                                stopping.set()
            except httpx.TransportError:
                pass
            return count

        started: list[str] = []
        await asyncio.gather(*(read(path) for path in ("/sse", "/behind/sse") for _ in range(3)))
