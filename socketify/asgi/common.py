"""What the protocols of ASGI share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, Callable, Optional

Message = dict[str, Any]
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApplication = Callable[[Scope, Receive, Send], Awaitable[None]]


class ClientDisconnectedError(OSError):
    """The client left before the response was complete, or the websocket closed: nothing can be sent."""


async def wait(waiters: list[asyncio.Future[None]]) -> None:
    """Wait for what :func:`wake` tells. Everybody has a future: one that is cancelled must not cancel the others."""
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waiters.append(waiter)
    await waiter


def wake(waiters: list[asyncio.Future[None]]) -> None:
    """Wake all who wait."""
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
    waiters.clear()


def as_coroutine(result: Any) -> Coroutine[Any, Any, Any]:
    """Make a coroutine of what else can be awaited."""

    async def awaiting() -> Any:
        return await result

    if not hasattr(result, "__await__"):
        message = f"an ASGI application must give an awaitable, not {type(result).__name__}: is it an ASGI 3 application?"
        raise TypeError(message)
    return awaiting()


def is_disconnect(error: Optional[BaseException]) -> bool:
    """Tell whether an error is the client's leaving, which is none of the application's, or says that it comes from that.

    What is merely raised while that was handled (``__context__``) may be any bug.
    """
    while error is not None:
        if isinstance(error, ClientDisconnectedError):
            return True
        # A group (of a task group) is one if all of its errors are.
        members = getattr(error, "exceptions", None)
        if isinstance(members, tuple) and members:
            return all(is_disconnect(member) for member in members)
        error = error.__cause__
    return False
