"""FastAPI within Sentry, OpenTelemetry, Prometheus and correlation ids."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import sentry_sdk
from a2wsgi import WSGIMiddleware
from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import BackgroundTasks, FastAPI, File, Form, UploadFile, WebSocket
from fastapi.responses import StreamingResponse
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from prometheus_client import make_asgi_app
from sentry_sdk.integrations.asgi import SentryAsgiMiddleware
from transcript import told
from websockets.asyncio.client import connect

sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", traces_sample_rate=1.0, transport=lambda event: None)
done: list[str] = []


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    yield {"started": True}


api = FastAPI(lifespan=lifespan)
api.mount("/metrics", make_asgi_app())


def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("X-By", "wsgi")])
    return [environ["PATH_INFO"].encode()]


api.mount("/wsgi", WSGIMiddleware(wsgi))


@api.get("/items/{number}")
async def item(number: int) -> dict[str, Any]:
    return {"number": number}


@api.get("/fail")
async def fail() -> None:
    raise LookupError("as it was meant to")


@api.get("/stream")
async def stream() -> StreamingResponse:
    async def pieces() -> AsyncIterator[str]:
        for number in range(10):
            yield f"piece {number}\n"
            await asyncio.sleep(0.001)

    return StreamingResponse(pieces())


@api.post("/later")
async def later(background: BackgroundTasks) -> dict[str, Any]:
    background.add_task(done.append, "task")
    return {"done": "later"}


@api.post("/upload")
async def upload(file: Annotated[UploadFile, File()], name: Annotated[str, Form()]) -> dict[str, Any]:
    return {"name": name, "size": len(await file.read())}


@api.websocket("/ws")
async def ws(websocket: WebSocket) -> None:
    await websocket.accept(subprotocol="chat")
    async for text in websocket.iter_text():
        await websocket.send_text(text.upper())


app = SentryAsgiMiddleware(OpenTelemetryMiddleware(CorrelationIdMiddleware(api)))


async def drive(url: str) -> list[Any]:
    """Ask for everything."""
    said: list[Any] = []
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        for path in ("/items/5", "/items/x", "/stream", "/none", "/wsgi/a/b", "/docs", "/openapi.json"):
            for method in ("GET", "HEAD", "OPTIONS"):
                said.append(told(await client.request(method, path)))
        # uvicorn closes the connection of an application that raises, and does not say so.
        said.append(told(await client.get("/fail", headers={"Connection": "close"})))
        said.append(told(await client.get("/metrics/"), "body", "content-length"))
        said.append(told(await client.post("/later")))
        files = {"file": ("x.bin", bytes(3_000_000))}
        said.append(told(await client.post("/upload", data={"name": "ü"}, files=files)))
        said.append(told(await client.post("/upload", content=b"{}", headers={"Content-Type": "multipart/form-data"})))
    async with connect(f"ws{url[4:]}/ws", subprotocols=["chat"]) as websocket:
        await websocket.send("hello")
        said += [await websocket.recv(), websocket.subprotocol]
    return said
