"""A FastAPI application: what a handler waits for, and where it runs."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from redis.asyncio import Redis

app = asgi = FastAPI()
# It connects when it is used first. Its time-outs of five seconds would end in the pauses between the turns.
database = Redis.from_url(
    os.environ.get("BENCH_REDIS", "redis://127.0.0.1"), decode_responses=True, socket_timeout=3600, socket_connect_timeout=3600
)


class Order(BaseModel):
    """What is posted."""

    name: str
    price: float


@app.get("/items/{item_id}")
async def item(item_id: int, q: str = "") -> dict[str, Any]:
    """Answers at once."""
    return {"item_id": item_id, "q": q}


@app.get("/waits/{item_id}")
async def item_waits(item_id: int, q: str = "") -> dict[str, Any]:
    """Answers after two waits."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return {"item_id": item_id, "q": q}


@app.get("/thread/{item_id}")
def item_thread(item_id: int, q: str = "") -> dict[str, Any]:
    """Answers from a thread of the framework's pool."""
    return {"item_id": item_id, "q": q}


@app.post("/orders")
async def order(order: Order) -> dict[str, Any]:
    """Answers with what was posted, checked."""
    return {"name": order.name, "total": order.price * 2}


@app.get("/redis/{key}")
async def stored(key: str) -> dict[str, Any]:
    """Answers with what Redis has."""
    return {"key": key, "value": await database.get(key)}
