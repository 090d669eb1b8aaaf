"""Responses that nobody can answer any more, where the interpreter does not count references: only a collection finds them."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Collection
from typing import Optional

from .references import count_references

#: How long an exchange goes on before it may be a forgotten one.
_PATIENCE_SECONDS = 0.25
#: The longest pause between collections that find none.
_MOST_SECONDS = 30.0


class Forgotten:
    """Collects garbage while exchanges go on, as a response that nothing refers to fails when it is collected.

    Args:
        live: the handles of the exchanges that go on.

    """

    def __init__(self, live: Collection[int]) -> None:
        self._live = live
        #: Those that went on when the pause began.
        self._watched: tuple[int, ...] = ()
        self._pause = _PATIENCE_SECONDS
        self._timer: Optional[asyncio.TimerHandle] = None

    def expect(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look from now on, until no exchange goes on."""
        if self._timer is None:
            self._watched = tuple(self._live)
            self._timer = loop.call_later(self._pause, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._goes_on():
            before = len(self._live)
            gc.collect()
            # Most of them only take their time, for which nobody shall wait again and again.
            self._pause = _PATIENCE_SECONDS if len(self._live) < before else min(2 * self._pause, _MOST_SECONDS)
        else:
            self._pause = _PATIENCE_SECONDS
        if self._live:
            self.expect(loop)

    def _goes_on(self) -> bool:
        return any(each in self._live for each in self._watched)


def forgotten_among(live: Collection[int]) -> Optional[Forgotten]:
    """Return what finds forgotten responses; None where they are found without."""
    return None if count_references(live) else Forgotten(live)
