"""python-socketio, by polling and by websockets, with its own client."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import socketio
from transcript import told

server = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*")
app = socketio.ASGIApp(server)


@server.event
async def shout(sid: str, text: str) -> str:
    await server.emit("heard", text.upper(), room=sid)
    return "shouted"


async def drive(url: str) -> list[Any]:
    """Shout by each transport."""
    said: list[Any] = []
    for transports in (["polling"], ["websocket"], ["polling", "websocket"]):
        client = socketio.AsyncClient()
        heard: asyncio.Queue[str] = asyncio.Queue()
        client.on("heard", heard.put)
        await client.connect(url, transports=transports)
        for text in ("one", "x" * 100_000):
            said += [await client.call("shout", text), await heard.get()]
        said.append(client.transport())
        await client.disconnect()
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        said += [told(await client.get("/socket.io/")), told(await client.get("/none"))]
    return said


async def hold(url: str, stopping: asyncio.Event) -> None:
    """Stay connected until the server stops; a poll is waited for by both servers, for 25 seconds."""
    client = socketio.AsyncClient(reconnection=False)
    await client.connect(url, transports=["websocket"])
    stopping.set()
    await client.wait()
