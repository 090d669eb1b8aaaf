"""strawberry: queries, and subscriptions over websockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import strawberry
from strawberry.asgi import GraphQL
from transcript import told
from websockets.asyncio.client import connect


@strawberry.type
class Query:
    """What can be asked."""

    @strawberry.field
    def hello(self, name: str) -> str:
        return f"hello {name}"


@strawberry.type
class Subscription:
    """What can be followed."""

    @strawberry.subscription
    async def count(self, to: int) -> AsyncIterator[int]:
        for number in range(to):
            yield number
            await asyncio.sleep(0.001)


app = GraphQL(strawberry.Schema(query=Query, subscription=Subscription))


async def subscribed(url: str, protocol: str) -> list[Any]:
    """Follow one subscription to its end."""
    legacy = protocol == "graphql-ws"
    query = {"query": "subscription { count(to: 3) }"}
    said: list[Any] = []
    async with connect(f"ws{url[4:]}", subprotocols=[protocol]) as websocket:
        await websocket.send(json.dumps({"type": "connection_init"}))
        said.append(json.loads(await websocket.recv()))
        await websocket.send(json.dumps({"id": "1", "type": "start" if legacy else "subscribe", "payload": query}))
        while not said or said[-1].get("type") != "complete":
            said.append(json.loads(await websocket.recv()))
        await websocket.send("no JSON" if not legacy else json.dumps({"type": "connection_terminate"}))
        try:
            await asyncio.wait_for(websocket.recv(), 5)
        except Exception as error:
            said.append(type(error).__name__)
        said += [websocket.close_code, websocket.close_reason]
    return said


async def drive(url: str) -> list[Any]:
    """Ask and follow."""
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        said: list[Any] = [
            told(await client.post("/", json={"query": '{ hello(name: "you") }'})),
            told(await client.post("/", json={"query": "{ nothing }"})),
            told(await client.post("/", content=b"{")),
            told(await client.get("/", headers={"Accept": "text/html"})),
            told(await client.put("/")),
        ]
    for protocol in ("graphql-transport-ws", "graphql-ws"):
        said.append(await subscribed(url, protocol))
    return said
