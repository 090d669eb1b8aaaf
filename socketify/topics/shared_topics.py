"""The topics of an app that shares them with other processes by a broker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from threading import get_ident
from typing import Any, Union

from ..core.core import Core
from ..native import abi, lib
from ..native import publish as _publish
from ..websocket.constants import OpCode
from ..websocket.encoding import RESERVED_TOPIC, Topic, topic_name
from .broker import Broker, Publication
from .counters import BrokerCounters
from .peers import Peers
from .questions import Questions
from .relay import Relay
from .shared_presence import SharedPresence
from .topics import Topics

_RESERVED = abi.WS_TOPICS_RESERVED
_TEXT, _BINARY = OpCode.TEXT, OpCode.BINARY


class SharedTopics(Topics):
    """The topics of an app with a broker: the subscribers of this process get everything at once, and then others do.

    Args:
        core: of the app.
        broker: that carries what is published.
        place: what it is called in messages.
        required: whether the app is not served before the broker is reached.

    """

    def __init__(self, core: Core, broker: Broker, place: str, required: bool) -> None:
        super().__init__(core)
        self.relay = Relay(broker, place, self, required)
        self.messenger.use(self.relay)
        self.peers = Peers(self.relay, self.messenger)
        #: What others can be asked.
        self.questions = Questions(self.relay, self.peers)
        self.questions.answer("count", self._count)
        self.presence = self._shared_presence = SharedPresence(core, self.messenger, self.peers, self.questions, self.relay)
        core.publish = self.publish
        core.relay = self._pass_on
        callback = abi.TopicsCallback(self._on_change)
        core.callbacks.append(callback)
        core.configure(lambda native: lib.sk_app_watch_topics(native, callback))

    async def start(self) -> None:
        """Connect, before the app is served.

        Raises:
            socketify.BrokerError: it does not succeed, and the broker is required.

        """
        self.peers.start()
        await self.relay.start()

    async def stop(self, seconds: float) -> None:
        """Hand over what was published, within so many seconds, and disconnect."""
        self._shared_presence.stop()
        self.peers.stop()
        await self.relay.stop(seconds)

    def do_without_broker(self) -> None:
        """Let the app be served where its broker cannot be reached, as those do that are served already."""
        self.relay.is_required = False

    # ---- what is published here

    def publish(self, topic: Topic, data: Any, opcode: Union[OpCode, int], compress: bool) -> bool:
        """Implement :meth:`socketify.App.publish`."""
        core = self.core
        if topic.__class__ is not str:
            topic = topic_name(topic)
        if not compress and get_ident() == core.thread:
            # To one of the framework's own nobody is subscribed here.
            reached = _publish(core.native, topic, data, opcode)
            if reached is not None:
                if topic.startswith(_RESERVED):
                    raise ValueError(RESERVED_TOPIC)
                payload = data if data.__class__ is bytes else data.encode()
                self.relay.send(topic, payload, opcode == _TEXT, False)
                return reached
        if topic.startswith(_RESERVED):
            raise ValueError(RESERVED_TOPIC)
        return super().publish(topic, data, opcode, compress)

    def _send(self, name: bytes, payload: bytes, flags: int) -> bool:
        if not self.core.native:
            return False
        reached = super()._send(name, payload, flags)
        self._pass_on(name.decode(), payload, flags)
        return reached

    def _pass_on(self, topic: str, payload: bytes, flags: int) -> None:
        is_text = flags & abi.WS_OPCODE_MASK == abi.WS_TEXT
        self.relay.send(topic, payload, is_text, bool(flags & abi.WS_COMPRESS))

    # ---- the subscribers of this process

    def deliver(self, publication: Publication) -> None:
        """Send what another process published to the websockets that are subscribed, or to a part of the framework."""
        topic, data, is_text, compress = publication
        if topic.startswith(_RESERVED):
            self.messenger.deliver(publication)
            return
        native = self.core.native
        if native and (compress or _publish(native, topic, data, _TEXT if is_text else _BINARY) is None):
            opcode = abi.WS_TEXT if is_text else abi.WS_BINARY
            super()._send(topic.encode(), data, opcode | (abi.WS_COMPRESS if compress else 0))

    def _on_change(self) -> None:
        if self.relay.is_connected:
            self.relay.wake()
        else:
            # Native code is not to be asked in the middle of what it does.
            self.core.home.call_soon(self.relay.take_changes)

    def take_changes(self) -> Iterator[tuple[str, bool]]:
        """Yield topics whose subscribers came or went since the last call, and whether there are any now."""
        core = self.core
        while core.native and (length := lib.sk_app_take_topics(core.native)) > 0:
            content = bytes(core.view[:length])
            begin = 0
            while begin < length:
                end = begin + 3 + content[begin + 1] + (content[begin + 2] << 8)
                yield content[begin + 3 : end].decode(), content[begin] == 1
                begin = end

    def _count(self, topic: Any) -> int:
        return self.num_subscribers(topic) if isinstance(topic, str) else 0

    # ---- all processes

    async def count_subscribers(self, topic: str, timeout: float) -> int:
        """Implement :meth:`socketify.App.count_subscribers`."""
        here = await super().count_subscribers(topic, timeout)
        answers = await self.questions.ask("count", topic, timeout)
        return here + sum(each for each in answers.values() if isinstance(each, int))

    async def flush(self, timeout: float, skips_silent: bool = False) -> bool:
        """Implement :meth:`socketify.App.flush_topics`."""
        self.check_wait("flush_topics", timeout)
        try:
            await asyncio.wait_for(self.relay.flush(skips_silent), timeout)
        except asyncio.TimeoutError:
            return False
        return True

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection to the broker."""
        return self.relay.is_connected

    @property
    def counters(self) -> BrokerCounters:
        """Implement :attr:`socketify.App.broker_counters`."""
        return self.relay.counters
