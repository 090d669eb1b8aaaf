"""The other processes that share the broker, as they make themselves known to each other."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from typing import Any, Callable, Optional

from .messenger import Messenger
from .relay import Relay

logger = logging.getLogger("socketify")

#: Under which names everybody listens, and one process.
_ALL = "all"
_ONE = "process."

#: Seconds between greetings while it matters who is gone, and after which one that is silent is.
_BEAT_SECONDS = 3.0
_SILENT_SECONDS = 10.0

#: Called with the name of the process that sent it, and its content.
Receive = Callable[[str, dict[str, Any]], object]


class Peers:
    """Messages between the processes that share a broker, and who they are.

    A process greets the others whenever it has connected, and says goodbye; each answers a greeting. Messages are JSON objects
    with a member ``kind``.

    Args:
        relay: tells when it has connected.
        messenger: carries them.

    """

    def __init__(self, relay: Relay, messenger: Messenger) -> None:
        self._relay = relay
        self._messenger = messenger
        #: The name of this process, while the app is served.
        self.name = ""
        #: When others were heard last, by the loop's clock and by their names.
        self.heard: dict[str, float] = {}
        # Of these, those that let a question pass and were not heard since.
        self._doubted: set[str] = set()
        #: Called with the name of a process that is heard for the first time.
        self.on_heard: list[Callable[[str], object]] = []
        #: Called with the name of a process that left, or that is silent.
        self.on_gone: list[Callable[[str], object]] = []
        self._is_watched = False
        self._beat: Optional[asyncio.TimerHandle] = None
        self._receivers: dict[str, Receive] = {"hello": self._answer, "here": _nothing, "bye": self._take_leave}
        relay.on_connect.append(self.greet)

    def start(self) -> None:
        """Take a name, and listen: a child of a fork is another process than its parent."""
        self.name = uuid.uuid4().hex
        self.heard.clear()
        self._doubted.clear()
        self._messenger.listen(_ALL, self._receive)
        self._messenger.listen(_ONE + self.name, self._receive)
        if self._is_watched:
            self._schedule()

    def watch(self) -> None:
        """Notice within some seconds that a process is gone without a goodbye: from now on all are greeted again and again."""
        if not self._is_watched:
            self._is_watched = True
            if self.name:
                self._schedule()

    def stop(self) -> None:
        """Say goodbye, and listen no more."""
        if self.name:
            self.send(None, "bye")
            self._messenger.ignore(_ALL, self._receive)
            self._messenger.ignore(_ONE + self.name, self._receive)
            self.name = ""
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None

    def handle(self, kind: str, receive: Receive) -> None:
        """Call a function with the messages of a kind."""
        self._receivers[kind] = receive

    def send(self, name: Optional[str], kind: str, **members: Any) -> None:
        """Send a message to a process, or to all others if the name is None."""
        data = json.dumps({"kind": kind, "from": self.name, **members}).encode()
        self._messenger.tell(_ALL if name is None else _ONE + name, data)

    def greet(self) -> None:
        """Ask all others to make themselves known."""
        self.send(None, "hello")

    def _schedule(self) -> None:
        self._beat = asyncio.get_running_loop().call_later(_BEAT_SECONDS, self._look)

    def _look(self) -> None:
        self._schedule()
        if not self._relay.is_connected:
            return
        # While there is no connection nobody is heard.
        oldest = self._relay.now() - _SILENT_SECONDS
        if self._relay.connected_at < oldest:
            for name in [name for name, when in self.heard.items() if when < oldest]:
                self.drop(name)
        self.greet()

    def attentive(self) -> set[str]:
        """Return the names of those who are expected to answer."""
        return self.heard.keys() - self._doubted

    def doubt(self, name: str) -> None:
        """Expect nothing of a process that let a question pass, before it is heard of; it may be slow, or have had no time."""
        if name in self.heard:
            if self.heard[name] < self._relay.now() - _SILENT_SECONDS:
                self.drop(name)
            else:
                self._doubted.add(name)

    def drop(self, name: str) -> None:
        """Forget a process that is silent; it is known again once it is heard of."""
        self._doubted.discard(name)
        if self.heard.pop(name, None) is not None:
            for each in tuple(self.on_gone):
                each(name)

    def _receive(self, data: bytes) -> None:
        try:
            message = json.loads(data)
            name, kind = str(message["from"]), str(message["kind"])
        except (ValueError, TypeError, KeyError):
            logger.debug("what another program published for the framework is ignored: %.100r", data)
            return
        receive = self._receivers.get(kind)
        if name == self.name:
            return
        is_new = name not in self.heard
        self.heard[name] = self._relay.now()
        self._doubted.discard(name)
        if is_new and kind != "bye":
            for each in tuple(self.on_heard):
                each(name)
        if receive is not None:
            receive(name, message)

    def _answer(self, name: str, _message: dict[str, Any]) -> None:
        self.send(name, "here")

    def _take_leave(self, name: str, _message: dict[str, Any]) -> None:
        self.drop(name)


def _nothing(_name: str, _message: dict[str, Any]) -> None:
    """Take note only that it was heard of."""
