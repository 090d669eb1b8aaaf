"""Publishing to all websockets of an app that are subscribed to a topic."""

from __future__ import annotations

import asyncio
from threading import get_ident
from typing import Any, Union

from ..core.core import Core
from ..native import lent, lib
from ..native import publish as _publish
from ..websocket.constants import OpCode
from ..websocket.encoding import Topic, encode_publication, encode_topic
from .counters import BrokerCounters
from .messenger import Messenger
from .presence import Presence


class Topics:
    """The topics of an app.

    Args:
        core: of the app.

    """

    def __init__(self, core: Core) -> None:
        #: Of the app.
        self.core = core
        #: To other processes, for parts of the framework.
        self.messenger = Messenger()
        #: Who is on them.
        self.presence = Presence(core)

    def publish(self, topic: Topic, data: Any, opcode: Union[OpCode, int], compress: bool) -> bool:
        """Implement :meth:`socketify.App.publish`."""
        core = self.core
        here = get_ident() == core.thread
        if here and not compress:
            reached = _publish(core.native, topic, data, opcode)
            if reached is not None:
                return reached
        name, payload, flags = encode_publication(core, topic, data, opcode, compress)
        if here:
            return self._send(name, payload, flags)
        if core.home.loop is None or not core.native:
            return False
        core.home.call_soon(self._send, name, payload, flags)
        return True

    def _send(self, name: bytes, payload: bytes, flags: int) -> bool:
        if not self.core.native:
            return False
        with lent(payload) as content:
            return bool(lib.sk_app_publish(self.core.native, name, len(name), content, len(payload), flags) == 1)

    def publish_here(self, topic: Topic, data: Any, opcode: Union[OpCode, int], compress: bool) -> bool:
        """Implement :meth:`socketify.App.publish_here`."""
        core = self.core
        name, payload, flags = encode_publication(core, topic, data, opcode, compress)
        if get_ident() == core.thread:
            return Topics._send(self, name, payload, flags)
        if core.home.loop is None or not core.native:
            return False
        core.home.call_soon(Topics._send, self, name, payload, flags)
        return True

    def num_subscribers(self, topic: Topic) -> int:
        """Implement :meth:`socketify.App.num_subscribers`."""
        core = self.core
        name = encode_topic(topic)
        if not core.native or (core.home.loop is None and not core.home.is_current):
            return 0
        return int(core.home.ask(lambda: lib.sk_app_num_subscribers(core.native, name, len(name)) if core.native else 0))

    async def count_subscribers(self, topic: str, timeout: float) -> int:
        """Implement :meth:`socketify.App.count_subscribers`."""
        self.check_wait("count_subscribers", timeout)
        return self.num_subscribers(topic)

    async def members(self, topic: str, timeout: float) -> list[Any]:
        """Implement :meth:`socketify.App.presence`."""
        self.check_wait("presence", timeout)
        encode_topic(topic)
        return await self.presence.members(topic, timeout)

    async def flush(self, timeout: float, skips_silent: bool = False) -> bool:  # noqa: ARG002 - there is nobody to wait for
        """Implement :meth:`socketify.App.flush_topics`; without processes that did not answer before, if these are skipped."""
        self.check_wait("flush_topics", timeout)
        return True

    def do_without_broker(self) -> None:
        """Let the app be served where its broker cannot be reached, as those do that are served already."""

    def check_wait(self, what: str, timeout: float) -> None:
        """Check what a coroutine that waits is called with, and where.

        Raises:
            RuntimeError: another loop than the one that serves the app runs it.
            ValueError: timeout is not a number of seconds.

        """
        if not isinstance(timeout, (int, float)) or not timeout >= 0:
            message = f"timeout must be a number of seconds, not {timeout!r}"
            raise ValueError(message)
        if asyncio.get_running_loop() is not self.core.loop:
            message = f"{what} must be awaited in the loop that serves the app: use asyncio.run_coroutine_threadsafe(...)"
            raise RuntimeError(message)

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection to a broker."""
        return False

    @property
    def counters(self) -> BrokerCounters:
        """Implement :attr:`socketify.App.broker_counters`."""
        return BrokerCounters()
