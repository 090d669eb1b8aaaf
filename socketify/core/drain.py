"""How connections end when their app stops: idle ones at once, streams after a notice, requests within a time."""

from __future__ import annotations

import asyncio
from typing import Any, Callable, Optional

from ..native import abi, lib
from .stopping import Stop

#: Seconds to wait for requests of clients that sent something just now. A process that is replaced can wait longer.
_PATIENCE_SECONDS = 0.2
_PATIENCE_OF_REPLACED_SECONDS = 1.0
#: Seconds between two looks at what can end.
_TICK_SECONDS = 0.25
#: Seconds that a websocket's close handshake may take, and an event stream may take to end after its notice.
_FAREWELL_SECONDS = 0.45


class Drain:
    """Ends the connections of an app that stops.

    Event streams (``text/event-stream``) are notified at once, and ended half a second later; what else waits for its client's
    leaving is notified when half of the time-out is over: ``on_stop(late)`` is called, repeatedly, where exchanges have it.

    Args:
        native: the native app.
        live: the app's exchanges, by handle.
        fail: called with errors.
        stop: bounds the time.

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
        """End the connections; return whether all ended in time, before a second request to stop."""
        stop = self._stop
        half = stop.remaining() / 2
        began = asyncio.get_running_loop().time()
        patience = _PATIENCE_OF_REPLACED_SECONDS if replaced else _PATIENCE_SECONDS
        stage, seconds = abi.DRAIN_PATIENT, patience
        # What waits where others accept is theirs, unless these stop as well.
        lib.sk_app_accept_waiting(self._native, not replaced)
        while lib.sk_app_drain(self._native, stage) > 0:
            self._notify(stop.remaining() <= half)
            left = stop.remaining(reserved=True)
            if await stop.wait_for_requests([drained], min(seconds, left)):
                return True
            if left <= seconds or stop.is_hurried:
                return not lib.sk_app_connections(self._native)
            waited = asyncio.get_running_loop().time() - began
            stage = abi.DRAIN_WEBSOCKETS if waited >= max(patience, _FAREWELL_SECONDS) else abi.DRAIN_REQUESTS
            seconds = _TICK_SECONDS
        return True

    def _notify(self, late: bool) -> None:
        # Other threads may drop responses meanwhile: in free-threaded builds a list is made at once, and a tuple is not.
        for reference in list(self._live.values()):
            exchange = reference()
            on_stop = getattr(exchange, "on_stop", None)
            if on_stop is not None:
                try:
                    on_stop(late)
                except Exception as error:
                    self._fail(error, None, None)
