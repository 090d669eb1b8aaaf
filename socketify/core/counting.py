"""An app that counts: where native code does, and what it cannot know."""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left
from typing import Callable, Optional, Protocol

from ..loop.loop_thread import LoopThread
from ..metrics.memory import metrics_memory
from ..metrics.totals import BOUNDS
from ..native import abi, lib

logger = logging.getLogger("socketify")

#: Seconds between two looks at the loop, while the app has something to do.
_INTERVAL = 0.5
_NANOSECONDS = 1_000_000_000
_BROKER = (
    abi.METRIC_BROKER_PUBLISHED,
    abi.METRIC_BROKER_DELIVERED,
    abi.METRIC_BROKER_LOST,
    abi.METRIC_BROKER_RECONNECTS,
)


class BrokerCounts(Protocol):
    """What a broker counts; see :class:`socketify.BrokerCounters`."""

    @property
    def published(self) -> int:
        """Messages that were published here."""

    @property
    def delivered(self) -> int:
        """Messages of other processes that were delivered here."""

    @property
    def lost(self) -> int:
        """Messages that some other process did not get."""

    @property
    def reconnects(self) -> int:
        """How often the connection was made again."""

    @property
    def lag(self) -> float:
        """Seconds that messages wait."""


class Counted(Protocol):
    """An app, as this file needs it."""

    #: What native code calls.
    callbacks: list[object]
    #: Where it lives.
    home: LoopThread

    def configure(self, setting: Callable[[int], object]) -> None:
        """Set up the native app, and those that take its place."""


class Counting:
    """Lets an app count in the memory that processes share.

    How late its loop is, is asked half a second after something happened, and as long as requests are in flight: an idle app
    does nothing.

    Args:
        app: which.

    """

    def __init__(self, app: Counted) -> None:
        self._app = app
        self._block: Optional[memoryview[int]] = None
        self._phase = abi.PHASE_STARTING
        self._timer: Optional[asyncio.TimerHandle] = None
        self._written = [0] * len(_BROKER)
        #: What the app's broker counts; None without one.
        self.broker: Optional[Callable[[], BrokerCounts]] = None
        self._on_active = abi.ActiveCallback(self._watch)
        app.callbacks.append(self._on_active)
        app.configure(self._claim)

    def _claim(self, native: int) -> None:
        memory = metrics_memory()
        number = lib.sk_app_metrics(native, memory.address, memory.blocks, self._on_active)
        self._block = memory.block(number) if number > 0 else None
        if self._block is None:
            logger.error("an app does not count, as %d others do already", memory.blocks - 1)
        self.enter(self._phase)

    def enter(self, phase: int) -> None:
        """Take note of a phase of the app, PHASE_*."""
        self._phase = phase
        if self._block is not None:
            self._block[abi.METRIC_PHASE] = phase

    def end(self) -> None:
        """Stop writing, before the native app is destroyed: its block is another one's from then on."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._write_broker()
        self._block = None

    # ---- called by native code, and by the loop

    def _watch(self) -> None:
        loop = self._app.home.loop
        if loop is not None and self._timer is None:
            due = loop.time() + _INTERVAL
            self._timer = loop.call_at(due, self._look, loop, due)

    def _look(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self._timer = None
        block = self._block
        if block is None:
            return
        lag = max(0.0, loop.time() - due)
        block[abi.METRIC_LAG_NS] = int(lag * _NANOSECONDS)
        block[abi.METRICS_LAGS + bisect_left(BOUNDS, lag)] += 1
        block[abi.METRICS_LAGS + abi.METRICS_BUCKETS] += int(lag * _NANOSECONDS)
        self._write_broker()
        if block[abi.METRIC_IN_FLIGHT]:
            self._watch()
        else:
            # The next request, or message, calls.
            block[abi.METRIC_ASLEEP] = 1

    def _write_broker(self) -> None:
        if self.broker is None or self._block is None:
            return
        counts, block = self.broker(), self._block
        values = [counts.published, counts.delivered, counts.lost, counts.reconnects]
        for word, value, before in zip(_BROKER, values, self._written):
            # The block may have been another app's before.
            block[word] += value - before
        self._written = values
        block[abi.METRIC_BROKER_LAG_NS] = int(counts.lag * _NANOSECONDS)
