"""A place where coroutines begin as native code begins them, for tests of what they are to themselves and to their tasks."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Coroutine
from typing import Any, Callable

import pytest

from socketify.loop.coroutines import CoroutineRunner
from socketify.loop.event_loop import new_event_loop

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop, "usual": new_event_loop}
setting: contextvars.ContextVar[str] = contextvars.ContextVar("setting", default="unset")

Scenario = Callable[["Place"], Awaitable[None]]


class Place:
    """A runner in a loop that runs, begun in as native code does: in callbacks of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.runner = CoroutineRunner(loop, [])
        #: What the coroutines ended in: what they raised, or None.
        self.ends: list[Any] = []

    async def begin(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Begin a coroutine; returns its task when it waits."""
        begun: asyncio.Future[Any] = self.loop.create_future()

        def callback() -> None:
            begun.set_result(self.begin_here(coroutine))

        self.loop.call_soon(callback, context=contextvars.Context())
        return await begun

    def begin_here(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        try:
            waits = self.runner.begin(coroutine)
        except BaseException as error:
            self.ends.append(error)
            return None
        if waits is None:
            self.ends.append(None)
            return None
        return self.runner.carry_on(coroutine, waits, self.ends.append, lambda: self.ends.append(None))

    async def ended(self, count: int = 1) -> None:
        """Wait until so many have ended."""
        for _ in range(1000):
            if len(self.ends) >= count:
                return
            await asyncio.sleep(0.001)
        pytest.fail(f"only {len(self.ends)} have ended")

    async def turns(self, count: int = 3) -> None:
        for _ in range(count):
            await asyncio.sleep(0)


async def warm(place: Place, idle: bool) -> None:
    """Leave a spare task behind, new or such that its first turn is over."""
    if idle:

        async def nothing() -> None:
            pass

        await place.begin(nothing())
        await place.turns()
        place.ends.clear()


spares = pytest.mark.parametrize("idle", [False, True], ids=["new spare", "idle spare"])
