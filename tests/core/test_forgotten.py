"""Responses that nobody can answer any more, where only a collection finds them: PyPy's way, on any interpreter."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest
from websocket_crowd import until

from socketify.core.forgotten import Forgotten, forgotten_among
from socketify.core.references import count_references


class Response:
    """Refers to itself, so that it is there until garbage is collected."""

    def __init__(self, live: dict[int, Any], handle: int) -> None:
        self.itself = self
        live[handle] = weakref.ref(self, lambda _: live.pop(handle))


def test_a_forgotten_one_is_found_beside_one_that_takes_its_time() -> None:
    async def main() -> None:
        live: dict[int, Any] = {}
        forgotten = Forgotten(live)
        kept = Response(live, 1)
        Response(live, 2)
        forgotten.expect(asyncio.get_running_loop())
        await until(lambda: 2 not in live)
        assert list(live) == [1]
        # It looks on for what comes later.
        Response(live, 3)
        await until(lambda: 3 not in live)
        assert list(live) == [1]
        assert kept.itself is kept

    gc.disable()
    try:
        asyncio.run(main())
    finally:
        gc.enable()


def test_nothing_is_collected_for_exchanges_that_end_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        live: dict[int, Any] = {1: None}
        Forgotten(live).expect(asyncio.get_running_loop())
        del live[1]
        # Another one has begun when it looks.
        live[2] = None
        await asyncio.sleep(0.3)
        assert not collected
        live.clear()

    collected: list[bool] = []
    monkeypatch.setattr("socketify.core.forgotten.gc.collect", lambda: collected.append(True))
    asyncio.run(main())


def test_only_where_references_are_not_counted() -> None:
    assert (forgotten_among({}) is None) == bool(count_references(object()))
