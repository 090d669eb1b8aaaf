"""Questions to all processes that share the broker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from itertools import count
from typing import Any, Callable

from .peers import Peers
from .relay import Relay

logger = logging.getLogger("socketify")

#: Seconds after a connection was made in which others may not be known yet.
_UNKNOWN_SECONDS = 0.25

#: Returns what is answered to a question about something; both are JSON.
Answer = Callable[[Any], Any]


class _Open:
    """A question that is not answered by all."""

    def __init__(self, asked: Iterable[str]) -> None:
        self.missing = set(asked)
        self.answers: dict[str, Any] = {}
        self.is_complete = asyncio.Event()

    def settle(self, name: str) -> None:
        self.missing.discard(name)
        if not self.missing:
            self.is_complete.set()

    async def wait(self, seconds: float) -> None:
        if self.missing:
            self.is_complete.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.is_complete.wait(), seconds)


class Questions:
    """Asks all other processes, and answers what they ask.

    Args:
        relay: that carries both.
        peers: of this process.

    """

    def __init__(self, relay: Relay, peers: Peers) -> None:
        self._relay = relay
        self._peers = peers
        self._answers: dict[str, Answer] = {}
        self._open: dict[int, _Open] = {}
        self._numbers = count(1)
        peers.handle("question", self._on_question)
        peers.handle("answer", self._on_answer)
        peers.on_gone.append(self._on_gone)

    def answer(self, question: str, answer: Answer) -> None:
        """Let a function answer a question of others."""
        self._answers[question] = answer

    async def ask(self, question: str, about: Any, timeout: float, *, drops_silent: bool = False) -> dict[str, Any]:
        """Return the answers by the names of the processes: of all others, or of those that answered in time.

        Without a connection to the broker nobody is asked.

        Args:
            question: its name.
            about: what about, as JSON.
            timeout: seconds to wait. A process that lets it pass is not waited for again until it is heard of.
            drops_silent: whether it counts as gone then, if it had all of this time.

        """
        if not self._relay.is_connected:
            return {}
        number = next(self._numbers)
        asked = self._open[number] = _Open(self._peers.heard if drops_silent else self._peers.attentive())
        began = self._relay.now()
        end = began + timeout
        self._peers.send(None, "question", number=number, question=question, about=about)
        try:
            early = self._relay.connected_at + _UNKNOWN_SECONDS - began
            if early > 0:
                await asyncio.sleep(min(early, timeout))
                asked.missing.update(self._peers.attentive() - asked.answers.keys())
            await asked.wait(max(0.0, end - self._relay.now()))
        finally:
            del self._open[number]
        # After an outage others may not have been back yet.
        was_sent = self._relay.is_connected and self._relay.sends_since <= began
        for name in asked.missing:
            if self._peers.heard.get(name, end) <= began:
                (self._peers.drop if drops_silent and was_sent else self._peers.doubt)(name)
        return asked.answers

    def _on_question(self, name: str, message: dict[str, Any]) -> None:
        answer = self._answers.get(str(message.get("question")))
        try:
            value = None if answer is None else answer(message.get("about"))
            self._peers.send(name, "answer", number=message.get("number"), value=value)
        except Exception:
            logger.exception("a question of another process cannot be answered")
            self._peers.send(name, "answer", number=message.get("number"), value=None)

    def _on_answer(self, name: str, message: dict[str, Any]) -> None:
        asked = self._open.get(message.get("number", 0))
        if asked is not None:
            asked.answers[name] = message.get("value")
            asked.settle(name)

    def _on_gone(self, name: str) -> None:
        for asked in self._open.values():
            asked.settle(name)
