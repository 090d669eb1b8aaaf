"""How connections end when their app stops: idle ones at once, streams when they are told, requests in their time."""

from __future__ import annotations

import asyncio
from typing import Any, Callable, Optional

from ..native import abi, lib
from .stopping import Stop

#: Clients that were heard of just now may have a request on its way. One process after another can wait longer.
_PATIENCE_SECONDS = 0.2
_PATIENCE_OF_REPLACED_SECONDS = 1.0
#: How often it is looked for what can end.
_TICK_SECONDS = 0.25
#: What a websocket's close handshake may take, and an event stream to its end when it was told.
_FAREWELL_SECONDS = 0.45


class Drain:
    """Ends the connections of an app that stops.

    Event streams (``text/event-stream``) are told at once, and ended half a second later; what else waits for its client's
    leaving is told when half of the time-out is over. Exchanges that have it are told by ``on_stop(late)``, again and again.

    Args:
        native: the native app.
        live: the app's exchanges, by handle.
        fail: is told of errors.
        stop: bounds it.

    """

    def __init__(
        self,
        native: int,
        live: dict[int, Callable[[], Optional[Any]]],
        fail: Callable[[BaseException, Any, Any], None],
        stop: Stop,
    ) -> None:
        self._native = native
        self._live = live
        self._fail = fail
        self._stop = stop

    async def run(self, drained: asyncio.Future[None], replaced: bool) -> bool:
        """Tell whether all connections ended in time, and without a hurry."""
        stop = self._stop
        half = stop.remaining() / 2
        began = asyncio.get_running_loop().time()
        patience = _PATIENCE_OF_REPLACED_SECONDS if replaced else _PATIENCE_SECONDS
        stage, seconds = abi.DRAIN_PATIENT, patience
        while lib.sk_app_drain(self._native, stage) > 0:
            self._tell(stop.remaining() <= half)
            left = stop.remaining(reserved=True)
            if await stop.wait_for_requests([drained], min(seconds, left)):
                return True
            if left <= seconds or stop.is_hurried:
                return not lib.sk_app_connections(self._native)
            waited = asyncio.get_running_loop().time() - began
            stage = abi.DRAIN_WEBSOCKETS if waited >= max(patience, _FAREWELL_SECONDS) else abi.DRAIN_REQUESTS
            seconds = _TICK_SECONDS
        return True

    def _tell(self, late: bool) -> None:
        for reference in tuple(self._live.values()):
            exchange = reference()
            on_stop = getattr(exchange, "on_stop", None)
            if on_stop is not None:
                try:
                    on_stop(late)
                except Exception as error:
                    self._fail(error, None, None)
