"""Who is on a topic: what is public of its websockets, where routes and applications say so."""

from __future__ import annotations

import json
from itertools import count
from typing import Any, Callable

from ..core.core import Core
from .roster import Members

#: Called with a topic, and lists of what is public of those who joined and who left.
PresenceHandler = Callable[[str, list[Any], list[Any]], Any]


class _Here:
    """Those of this process who are on a topic."""

    __slots__ = ("members", "version")

    def __init__(self) -> None:
        self.members: Members = {}
        #: Of the last change that was told; 0 for none.
        self.version = 0


class Presence:
    """Who is on the topics of an app that shares them with nobody.

    Members are told by the app's thread.

    Args:
        core: of the app.

    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._handlers: list[PresenceHandler] = []
        self._numbers = count(1)
        self._here: dict[str, _Here] = {}
        #: The names of members by the handles of their websockets, and by topics.
        self._names: dict[int, dict[str, str]] = {}
        #: Who joined and left in this turn of the loop.
        self._joined: dict[str, Members] = {}
        self._left: dict[str, Members] = {}
        self._is_due = False

    def on_change(self, handler: PresenceHandler) -> None:
        """Implement :meth:`socketify.App.on_presence`."""
        if not callable(handler):
            message = f"a presence handler must be callable as handler(topic, joined, left), not {handler!r}"
            raise TypeError(message)
        self._handlers.append(handler)

    # ---- members of this process

    def join(self, handle: int, topic: str, value: Any) -> None:
        """Take note that a websocket is on a topic.

        Args:
            handle: of the websocket.
            topic: that it subscribed to.
            value: what is public of it, as JSON; None if it stays unseen.

        Raises:
            TypeError, ValueError: the value is not JSON.

        """
        try:
            public = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError) as error:
            message = f"what presence says of a websocket must be JSON: {error}"
            raise type(error)(message) from None
        self.leave(handle, topic)
        if public is None:
            return
        name = str(next(self._numbers))
        self._names.setdefault(handle, {})[topic] = name
        here = self._here.get(topic)
        if here is None:
            here = self._here[topic] = _Here()
            self._begin(topic)
        here.members[name] = public
        self._joined.setdefault(topic, {})[name] = public
        self._tell_soon()

    def leave(self, handle: int, topic: str) -> None:
        """Take note that a websocket left a topic; harmless for one that is not on it."""
        names = self._names.get(handle)
        name = names.pop(topic, None) if names is not None else None
        if name is None:
            return
        if not names:
            del self._names[handle]
        public = self._here[topic].members.pop(name)
        if self._joined.get(topic, {}).pop(name, None) is None:
            self._left.setdefault(topic, {})[name] = public
        self._tell_soon()

    def leave_all(self, handle: int) -> None:
        """Take note that a websocket left all topics."""
        for topic in tuple(self._names.get(handle, ())):
            self.leave(handle, topic)

    # ---- telling

    def _tell_soon(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._core.home.call_soon(self.tell)

    def tell(self) -> None:
        """Tell what changed since the last call."""
        self._is_due = False
        joined, self._joined = self._joined, {}
        left, self._left = self._left, {}
        for topic in {**joined, **left}:
            here = self._here[topic]
            came, went = joined.get(topic, {}), left.get(topic, {})
            if came or went:
                before, here.version = here.version, next(self._numbers)
                self._tell_others(topic, before, here.version, came, went)
            if not here.members and topic not in self._joined and topic not in self._left:
                del self._here[topic]
                self._end(topic)
            self.report(topic, came, went)

    def report(self, topic: str, joined: Members, left: Members) -> None:
        """Call the handlers."""
        if joined or left:
            for handler in self._handlers:
                self._core.guard(None, handler, topic, list(joined.values()), list(left.values()))

    def _begin(self, topic: str) -> None:
        """Take note that somebody of this process is on a topic now."""

    def _end(self, topic: str) -> None:
        """Take note that nobody of this process is on a topic any more."""

    def _tell_others(self, topic: str, before: int, after: int, joined: Members, left: Members) -> None:
        """Tell other processes."""

    # ---- who is there

    async def members(self, topic: str, timeout: float) -> list[Any]:  # noqa: ARG002 - there is nobody to wait for
        """Return what is public of those who are on a topic; handlers were told of all of them."""
        self.tell()
        here = self._here.get(topic)
        return [] if here is None else list(here.members.values())
