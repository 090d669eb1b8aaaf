"""The relay between the topics of one app and the broker that it shares with other processes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import threading
import weakref
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Callable, Optional, Protocol

from ..loop.coroutines import new_task
from ..native.abi import WS_TOPICS_RESERVED
from .broker import Broker, BrokerError, Confirming, Immediate, Publication
from .counters import BrokerCounters
from .echoes import Echoes
from .interest import Interest
from .outbox import Outbox, count_published

logger = logging.getLogger("socketify")

#: Bytes of publications that wait for the broker, or to come back from it.
QUEUE_BYTES = 16 * 1024 * 1024
#: The same before the app is served, which some never are; and of what goes out at once after an outage.
_FEW_BYTES = 1024 * 1024
#: Seconds that connecting may take, and that what was published may take to come back when too much of it is awaited.
CONNECT_SECONDS = 5.0
_ECHO_SECONDS = 10.0
#: Pauses between attempts to connect: they double, first up to one bound, after a while up to another one.
_PAUSE_FIRST_SECONDS = 0.05
_PAUSE_MAX_SECONDS = 1.0
_PAUSE_OF_LONG_OUTAGE_SECONDS = 5.0
_LONG_OUTAGE_SECONDS = 30.0
#: Seconds that closing may take.
_CLOSE_SECONDS = 1.0
#: A task that does not end is cancelled so many times, with so many seconds for each.
_CANCELS = 3
_CANCEL_SECONDS = 0.5


class Locals(Protocol):
    """The subscribers in this process."""

    def deliver(self, publication: Publication) -> None:
        """Take what another process published."""

    def take_changes(self) -> Iterable[tuple[str, bool]]:
        """Return topics whose subscribers came or went since the last call, and whether there are any now."""


# Which relay uses a broker, in which process: one of a program may be given to two apps by mistake.
_users: weakref.WeakValueDictionary[tuple[int, int], Relay] = weakref.WeakValueDictionary()
_users_lock = threading.Lock()


class Relay:
    """Publishes to other processes, and delivers what they publish.

    It belongs to the loop that serves the app. What is published before that waits for it.

    Args:
        broker: that carries it.
        place: what the broker is called in the log.
        subscribers: of this process.
        required: whether serving does not begin before the broker is reached.

    """

    def __init__(self, broker: Broker, place: str, subscribers: Locals, required: bool) -> None:
        self._broker = broker
        self._place = place
        self._subscribers = subscribers
        #: Whether serving does not begin before the broker is reached.
        self.is_required = required
        self._outbox = Outbox(_FEW_BYTES)
        # What does not wait for other processes to be back.
        self._urgent = Outbox(_FEW_BYTES)
        self._interest = Interest()
        self._echoes = Echoes()
        #: Called when a connection is made and the topics that were wanted are subscribed to.
        self.on_connect: list[Callable[[], object]] = []
        # Set while the app is served.
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._task: Optional[asyncio.Task[None]] = None
        self._served_since = 0.0
        self._wake: Callable[[], object] = _nothing
        self._echoed: Callable[[], object] = _nothing
        #: When the connection was made.
        self.connected_at = 0.0
        # Numbers the connections, so that nothing of a former one is delivered.
        self._connection = 0
        self._is_connected = False
        # What publishes at once while there is a connection, where the broker has that.
        self._publish_soon: Optional[Callable[[str, bytes, bool, bool], None]] = None
        self._is_stopping = False
        # Until when publications are held back after an outage: other processes come back meanwhile.
        self._hold_until = 0.0
        self._handing: list[Publication] = []
        self._handing_since = 0.0
        self._hands_urgent = False
        self._settling: list[tuple[int, asyncio.Future[None]]] = []
        # How many were ever put into the outbox, and how many have left it; without those that go out at once.
        self._added = 0
        self._left = 0
        self._has_complained = False
        # Counters.
        self._published = 0
        self._delivered = 0
        self._lost = 0
        self._reconnects = 0
        self._lag = 0.0

    def now(self) -> float:
        """Return the time of the loop; 0 before the app is served."""
        return 0.0 if self._loop is None else self._loop.time()

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection to the broker now."""
        return self._is_connected

    @property
    def sends_since(self) -> float:
        """Since when other processes are there that were, by the loop's clock; or from when on, after an outage."""
        return max(self.connected_at, self._hold_until)

    @property
    def counters(self) -> BrokerCounters:
        """What it did until now. Any thread may ask."""
        lag = self._lag
        loop = self._loop
        if loop is not None:
            since = [self._handing_since] if self._handing else []
            with contextlib.suppress(IndexError):
                since.append(self._outbox.since)
            lag = max([lag, *(loop.time() - max(each, self._served_since) for each in since)])
        lost = self._lost + (self._broker.lost if isinstance(self._broker, Immediate) else 0)
        return BrokerCounters(self._published, self._delivered, lost, self._reconnects, lag)

    # ---- for the app's thread

    def publish(self, publication: Publication, at_once: bool = False) -> None:
        """Publish to the other processes, in order, at the end of the loop's turn.

        Args:
            publication: what.
            at_once: whether, after an outage, it does not wait until the others are back. It may overtake what waits.

        """
        if at_once:
            self._urgent.add(publication, self.now())
        else:
            self._added += 1
            lost = self._outbox.add(publication, self.now())
            if not publication.topic.startswith(WS_TOPICS_RESERVED):
                self._published += 1
            if lost:
                self._left += len(lost)
                self._lose(count_published(lost))
        self._wake()

    def send(self, topic: str, data: bytes, is_text: bool, compress: bool) -> None:
        """Publish to a topic that is not the framework's own, as :meth:`publish` does."""
        if self._publish_soon is None or self._added != self._left:
            self.publish(Publication(topic, data, is_text, compress))
        else:
            self._published += 1
            self._publish_soon(topic, data, is_text, compress)

    def wake(self) -> None:
        """Look for changes of the subscribers, soon."""
        self._wake()

    def take_changes(self) -> None:
        """Take note of changes of the subscribers, which would pile up while there is no connection."""
        for topic, wanted in self._subscribers.take_changes():
            self._interest.want(topic, wanted)

    def want(self, topic: str, wanted: bool) -> None:
        """Get what others publish to a topic of the framework's own from now on, or no more."""
        self._interest.want(topic, wanted)
        self._wake()

    async def settle(self) -> None:
        """Wait until the broker has what was published and subscribed to before; as long as that takes."""
        if self._loop is not None:
            future = self._loop.create_future()
            self._settling.append((self._added, future))
            self._wake()
            await future

    async def flush(self, skips_silent: bool = False) -> None:
        """Do that, and wait until other processes know what is subscribed to: all, or those that are not silent."""
        await self.settle()
        if isinstance(self._broker, Confirming):
            await self._broker.wait_until_known(skips_silent)

    # ---- its life

    async def start(self) -> None:
        """Connect, before the app is served.

        Raises:
            BrokerError: it does not succeed, and the broker is required.
            RuntimeError: another app uses the broker.

        """
        key = (id(self._broker), os.getpid())
        with _users_lock:
            user = _users.setdefault(key, self)
        if user is not self:
            message = f"{self._place} carries the topics of another app that is served: each app needs a broker of its own"
            raise RuntimeError(message)
        loop = self._loop = asyncio.get_running_loop()
        self._served_since = loop.time()
        self._outbox.capacity = QUEUE_BYTES
        try:
            await self._connect()
        except BrokerError as error:
            if self.is_required:
                self._loop = None
                _users.pop(key, None)
                raise
            logger.warning("%s: it is tried again, and nothing reaches other processes meanwhile", error)
        self._task = new_task(loop, self._keep())

    async def stop(self, seconds: float) -> None:
        """Hand over what was published before, if there is a connection and that takes no longer, and disconnect."""
        if self._loop is None:
            return
        task, self._task = self._task, None
        # Whoever stops it may be cancelled at every step, and everything is released all the same.
        try:
            if task is not None and self._is_connected:
                self._hold_until = 0.0
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self.settle(), seconds)
        finally:
            try:
                if task is not None:
                    self._is_stopping = True
                    task.cancel()
                    # It cancels two others.
                    await asyncio.wait({task}, timeout=_CANCEL_SECONDS * _CANCELS * 2 + _CLOSE_SECONDS)
            finally:
                self._connection += 1
                self._is_connected = False
                self._publish_soon = None
                try:
                    await self._close()
                finally:
                    self._end()

    def _end(self) -> None:
        self._urgent.clear()
        self._outbox.capacity = _FEW_BYTES
        lost = self._drop_handing() + count_published(self._outbox.clear())
        if lost:
            self._lost += lost
            logger.warning("%d messages for other processes are lost, as the broker did not take them in time", lost)
        self._resolve(everything=True)
        self._wake = self._echoed = _nothing
        self._loop = None
        _users.pop((id(self._broker), os.getpid()), None)

    async def _close(self) -> None:
        try:
            await asyncio.wait_for(self._broker.close(), _CLOSE_SECONDS)
        except asyncio.TimeoutError:
            logger.warning("%s does not close in time, and is left", self._place)
        except Exception as error:
            logger.warning("%s does not close: %s", self._place, error, exc_info=_traceback_of(error))

    # ---- connections

    async def _connect(self) -> None:
        self._connection += 1
        try:
            await asyncio.wait_for(self._broker.connect(partial(self._deliver, self._connection)), CONNECT_SECONDS)
        except asyncio.TimeoutError:
            await self._close()
            message = f"{self._place} does not answer within {CONNECT_SECONDS:g} seconds"
            raise BrokerError(message) from None
        except BrokerError as error:
            await self._close()
            message = f"{self._place} cannot be reached: {error}"
            raise BrokerError(message) from error
        except Exception as error:
            await self._close()
            message = f"{self._place} cannot be reached: {type(error).__name__}: {error}"
            raise BrokerError(message) from error
        self._is_connected = True
        self._publish_soon = self._broker.publish_soon if isinstance(self._broker, Immediate) else None
        self.connected_at = self.now()

    async def _keep(self) -> None:
        """Use the connection, and make another one whenever it is lost."""
        assert self._loop is not None
        while not self._is_stopping:
            if not self._is_connected:
                await self._reconnect()
                continue
            reason = await self._use()
            self._is_connected = False
            self._publish_soon = None
            self._connection += 1
            lost = self._drop_handing()
            self._lost += lost
            self._echoes.clear()
            self._interest.lose()
            self.take_changes()
            logger.warning(
                "the connection to %s is lost (%s)%s: nothing reaches other processes before it is made again",
                self._place,
                reason,
                f", and perhaps {lost} messages that were on their way" if lost else "",
            )
            await self._close()

    async def _reconnect(self) -> None:
        assert self._loop is not None
        began = self._loop.time()
        pause = _PAUSE_FIRST_SECONDS
        bound = _PAUSE_MAX_SECONDS
        reason = ""
        while True:
            # Processes that lost it at the same moment do not come back at the same moment.
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            away = self._loop.time() - began
            try:
                await self._connect()
                break
            except BrokerError as error:
                if str(error) != reason:
                    reason = str(error)
                    logger.warning("%s", reason, exc_info=error.__cause__ if _traceback_of(error.__cause__) else None)
            if away > _LONG_OUTAGE_SECONDS:
                bound = _PAUSE_OF_LONG_OUTAGE_SECONDS
            pause = min(pause * 2, bound)
        self._reconnects += 1
        # Others may have a longer pause than this one had.
        self._hold_until = self._loop.time() + 1.25 * min(2 * pause, bound)
        logger.warning("%s is back after %.1f s; %d messages were kept for it", self._place, away, len(self._outbox))

    async def _use(self) -> str:
        """Use the connection until it is lost; return why."""
        assert self._loop is not None
        sending = new_task(self._loop, self._send())
        losing = new_task(self._loop, self._broker.wait_until_lost())
        both = {sending, losing}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                if not task.done():
                    await _cancel(task)
        reasons = []
        for task in (losing, sending):
            if not task.cancelled():
                error = task.exception()
                if error is None:
                    reasons.append(str(task.result()))
                else:
                    reasons.append(str(error) or type(error).__name__)
                    if _traceback_of(error):
                        logger.error("%s failed", self._place, exc_info=error)
        return reasons[0] if reasons else "it was cancelled"

    # ---- sending

    async def _send(self) -> None:
        assert self._loop is not None
        loop, broker, work = self._loop, self._broker, asyncio.Event()
        self._wake = work.set
        has_greeted = False
        while True:
            work.clear()
            self.take_changes()
            settling = len(self._settling)
            while self._interest.has_changed:
                new, old = self._interest.take()
                if old:
                    await broker.unsubscribe(old)
                    self._echoes.forget(old)
                if new:
                    await broker.subscribe(new)
            if not has_greeted:
                has_greeted = True
                for each in self.on_connect:
                    each()
            while self._urgent:
                await self._hand_over(self._urgent)
            held = self._hold_until - loop.time()
            if self._outbox and held <= 0:
                await self._hand_over(self._outbox)
            if settling and self._settling[0][0] <= self._left:
                await broker.flush()
                self._resolve(settling)
            if not (self._outbox and held <= 0):
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(work.wait(), held if self._outbox else None)

    async def _hand_over(self, outbox: Outbox) -> None:
        loop = self._loop
        assert loop is not None
        self._handing_since = max(outbox.since, self._served_since)
        self._hands_urgent = outbox is self._urgent
        batch = self._handing = outbox.take()
        echoes = [each for each in batch if self._interest.is_subscribed(each.topic)] if self._broker.echoes else []
        for each in echoes:
            self._echoes.expect(each)
        lost = await self._broker.publish(batch)
        self._handing = []
        if not self._hands_urgent:
            self._lag = loop.time() - self._handing_since
            self._left += len(batch)
            if lost:
                self._lose(lost)
            elif not outbox:
                self._has_complained = False
        if self._echoes.bytes > QUEUE_BYTES:
            await self._wait_for_echoes()

    async def _wait_for_echoes(self) -> None:
        returned = asyncio.Event()
        self._echoed = returned.set
        try:
            while self._echoes.bytes > QUEUE_BYTES:
                returned.clear()
                await asyncio.wait_for(returned.wait(), _ECHO_SECONDS)
        except asyncio.TimeoutError:
            message = f"it does not return within {_ECHO_SECONDS:g} s what was published"
            raise BrokerError(message) from None
        finally:
            self._echoed = _nothing

    def _drop_handing(self) -> int:
        """Forget what was handed over when the connection was lost, and return how many those are."""
        lost, self._handing = self._handing, []
        if not self._hands_urgent:
            self._left += len(lost)
        return count_published(lost)

    def _lose(self, count: int) -> None:
        self._lost += count
        if count and not self._has_complained:
            self._has_complained = True
            logger.warning("messages for other processes are lost, as %s does not take them fast enough", self._place)

    def _resolve(self, count: int = 0, everything: bool = False) -> None:
        """Wake those of the first so many that wait for no more than what has left."""
        if not self._settling:
            return
        count = len(self._settling) if everything else count
        waiting = []
        for added, future in self._settling[:count]:
            if future.done():
                continue
            if everything or added <= self._left:
                future.set_result(None)
            else:
                waiting.append((added, future))
        self._settling[:count] = waiting

    # ---- delivering

    def _deliver(self, connection: int, publications: Sequence[Publication]) -> None:
        if connection != self._connection:
            return
        for publication in publications:
            if self._echoes.bytes and self._echoes.take(publication):
                self._echoed()
                continue
            if not publication.topic.startswith(WS_TOPICS_RESERVED):
                self._delivered += 1
            self._subscribers.deliver(publication)


async def _cancel(task: asyncio.Task[Any]) -> None:
    """Cancel a task of the broker and wait for its end."""
    # More than once, as asyncio.wait_for before CPython 3.12 may swallow it.
    for _ in range(_CANCELS):
        task.cancel()
        await asyncio.wait({task}, timeout=_CANCEL_SECONDS)
        if task.done():
            return
    logger.warning("a task of the broker goes on though it was cancelled, and is left: %r", task)


def _traceback_of(error: Optional[BaseException]) -> bool:
    """Return whether the traceback of an error says more than its text: it is no failure of a connection."""
    return error is not None and not isinstance(error, (OSError, asyncio.CancelledError))


def _nothing() -> None:
    """Wake nobody."""
