"""An event loop whose time passes at once when nothing else happens."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, Optional


class _Selector(selectors.DefaultSelector):
    now = 0.0

    def select(self, timeout: Optional[float] = None) -> list[Any]:
        events = super().select(0)
        if not events and timeout is None:
            message = "nothing will happen any more"
            raise RuntimeError(message)
        if not events:
            self.now += max(0.0, timeout or 0.0)
        return events


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        # Never exactly when a timer is due, so that rounding does not matter.
        self._virtual.now += 1e-7
        return self._virtual.now


def run(main: Coroutine[Any, Any, Any]) -> Any:
    loop = VirtualTimeLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.close()
