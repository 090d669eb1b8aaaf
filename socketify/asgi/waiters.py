"""Waiting for an event that several tasks may wait for at a time."""

from __future__ import annotations

import asyncio


async def wait(waiters: list[asyncio.Future[None]]) -> None:
    """Wait until :func:`wake` is called. Each task has its own future, as one that is cancelled must not cancel the others."""
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waiters.append(waiter)
    await waiter


def wake(waiters: list[asyncio.Future[None]]) -> None:
    """Wake all tasks that wait."""
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
    waiters.clear()
