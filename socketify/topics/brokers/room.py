"""Waiting until a server has read enough of what was sent to it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from ..broker import BrokerError


async def wait_for_room(draining: Coroutine[Any, Any, None], lost: asyncio.Future[str]) -> None:
    """Wait until there is room for more: a server that was stopped never makes any.

    Args:
        draining: ends when there is room.
        lost: has the reason as its result when the connection is lost.

    Raises:
        BrokerError: the connection is lost.

    """
    task = asyncio.get_running_loop().create_task(draining)
    try:
        await asyncio.wait((task, lost), return_when=asyncio.FIRST_COMPLETED)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    if lost.done():
        raise BrokerError(lost.result())
