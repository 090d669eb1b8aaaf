"""An asyncio.Event that can be made outside of the event loop that it is for, which CPython 3.9 does not let."""

from __future__ import annotations

import asyncio
from typing import Optional


class LateEvent:
    def __init__(self) -> None:
        self._event: Optional[asyncio.Event] = None

    def _made(self) -> asyncio.Event:
        if self._event is None:
            self._event = asyncio.Event()
        return self._event

    def set(self) -> None:
        """Let those who wait go on; on the loop's thread."""
        self._made().set()

    async def wait(self) -> None:
        """Wait until it is set."""
        await self._made().wait()
