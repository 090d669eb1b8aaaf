"""Who is on a topic in all processes that share the broker of an app."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any, Callable, Optional, cast

from ..core.core import Core
from ..loop.coroutines import new_task
from .messenger import Messenger
from .peers import Peers
from .presence import Presence, PresenceHandler
from .questions import Questions
from .relay import Relay
from .roster import Members, Roster

logger = logging.getLogger("socketify")

#: Seconds between two questions to the others: what was lost on the way comes with the answer, and who was killed has none.
_ASK_AGAIN_SECONDS = 3.0
#: Seconds that a process has to answer, before its members count as gone.
_ANSWER_SECONDS = 3.0
#: Topics of one question: with many more it takes a while until what was lost of a topic comes.
_TOPICS_MAX = 1000

_NAME = "presence."
_QUESTION = "presence"


class _Watched:
    """A topic whose members in other processes are of interest, as this process has some, and handlers."""

    def __init__(self, receive: Any) -> None:
        self.receive = receive
        self.roster = Roster()
        #: Whether all others were asked: who was there before did not join.
        self.is_complete = False


class SharedPresence(Presence):
    """Who is on the topics of an app that shares them.

    A process tells what changes to those that listen, and all its members to those that ask. Who has handlers listens to the
    topics on which it has members itself, asks when that begins and whenever something is missing, and again every few seconds.

    Args:
        core: of the app.
        messenger: tells what changes.
        peers: the other processes.
        questions: to them.
        relay: of the app.

    """

    def __init__(self, core: Core, messenger: Messenger, peers: Peers, questions: Questions, relay: Relay) -> None:
        super().__init__(core)
        self._messenger = messenger
        self._peers = peers
        self._questions = questions
        self._relay = relay
        self._watched: dict[str, _Watched] = {}
        #: Topics about which the others are asked next.
        self._unclear: set[str] = set()
        #: Those of which it is the turn to be asked about again.
        self._turn: Iterator[str] = iter(())
        self._wake: Callable[[], object] = _nothing
        self._task: Optional[asyncio.Task[None]] = None
        questions.answer(_QUESTION, self._answer)
        peers.on_gone.append(self._on_gone)
        relay.on_connect.append(self._on_connect)

    # ---- what changes here

    def on_change(self, handler: PresenceHandler) -> None:
        """Implement :meth:`socketify.App.on_presence`."""
        super().on_change(handler)
        for topic in self._here:
            self._begin(topic)

    def _begin(self, topic: str) -> None:
        if self._handlers and topic not in self._watched:
            watched = self._watched[topic] = _Watched(partial(self._on_told, topic))
            self._messenger.listen(_NAME + topic, watched.receive)
            self._ask([topic])

    def _end(self, topic: str) -> None:
        watched = self._watched.pop(topic, None)
        if watched is not None:
            self._messenger.ignore(_NAME + topic, watched.receive)
            self._unclear.discard(topic)

    def _tell_others(self, topic: str, before: int, after: int, joined: Members, left: Members) -> None:
        change = {"from": self._peers.name, "before": before, "after": after, "joined": joined, "left": list(left)}
        self._messenger.tell(_NAME + topic, json.dumps(change).encode())

    # ---- what changes elsewhere

    def _on_told(self, topic: str, data: bytes) -> None:
        watched = self._watched.get(topic)
        if watched is None:
            return
        told = json.loads(data)
        change = watched.roster.change(told["from"], told["before"], told["after"], told["joined"], told["left"])
        if change is None:
            self._ask([topic])
        else:
            self.report(topic, *change)

    def _on_gone(self, process: str) -> None:
        for topic, watched in list(self._watched.items()):
            self.report(topic, *watched.roster.forget(process))

    def _on_connect(self) -> None:
        self._ask(self._watched)

    # ---- questions

    def _answer(self, about: Any) -> Any:
        """Return the members on the topics of which the one that asks does not know the version."""
        self.tell()
        answer = {}
        for topic, known in cast("dict[str, dict[str, int]]", about).items():
            here = self._here.get(topic)
            version = known.get(self._peers.name, 0)
            if here is not None and here.version != version:
                answer[topic] = [here.version, here.members]
            elif here is None and version:
                answer[topic] = [next(self._numbers), {}]
        return answer

    def _ask(self, topics: Iterable[str]) -> None:
        self._unclear.update(topics)
        if not self._unclear:
            return
        self._wake()
        loop = self._core.loop
        if self._task is None and loop is not None:
            self._task = new_task(loop, self._keep_asking())

    def stop(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()
        self._watched.clear()
        self._unclear.clear()

    async def _keep_asking(self) -> None:
        work = asyncio.Event()
        self._wake = work.set
        try:
            while self._watched:
                work.clear()
                if self._unclear:
                    # What is told from now on is heard.
                    await self._relay.settle()
                await self._ask_others(self._next_topics(), _ANSWER_SECONDS, drops_silent=True)
                if not self._unclear:
                    with contextlib.suppress(asyncio.TimeoutError):
                        await asyncio.wait_for(work.wait(), _ASK_AGAIN_SECONDS)
        finally:
            self._wake = _nothing
            self._task = None

    async def _ask_others(self, topics: list[str], timeout: float, *, drops_silent: bool = False) -> None:
        asked = {topic: self._watched[topic] for topic in topics if topic in self._watched}
        if not asked or not self._relay.is_connected:
            return
        about = {topic: watched.roster.versions() for topic, watched in asked.items()}
        for process, answer in (await self._questions.ask(_QUESTION, about, timeout, drops_silent=drops_silent)).items():
            try:
                self._take(process, answer)
            except (AttributeError, TypeError, ValueError):
                logger.exception("another process told what no presence tells")
        for watched in asked.values():
            watched.is_complete = True

    def _next_topics(self) -> list[str]:
        """Return what is unclear, else some topics, and others the next time."""
        if self._unclear:
            topics = list(islice(self._unclear, _TOPICS_MAX))
            self._unclear.difference_update(topics)
            return topics
        topics = list(islice(self._turn, _TOPICS_MAX))
        if not topics:
            self._turn = iter(tuple(self._watched))
            topics = list(islice(self._turn, _TOPICS_MAX))
        return topics

    def _take(self, process: str, answer: Any) -> None:
        for topic, (version, members) in answer.items():
            watched = self._watched.get(topic)
            if watched is not None:
                is_new = process not in watched.roster.versions()
                change = watched.roster.replace(process, version, members)
                if watched.is_complete or not is_new:
                    self.report(topic, *change)

    async def members(self, topic: str, timeout: float) -> list[Any]:
        """Return what is public of those who are on a topic.

        Where handlers are told what changes on it, it is what they were told until now, as far as it goes back.
        """
        watched = self._watched.get(topic)
        others = []
        if watched is None:
            answers = await self._questions.ask(_QUESTION, {topic: {}}, timeout)
            told = [answer[topic] for answer in answers.values() if isinstance(answer, dict) and topic in answer]
            others = [value for _, members in told for value in members.values()]
        elif self._relay.is_connected:
            end = self._relay.now() + timeout
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._relay.settle(), timeout)
            await self._ask_others([topic], max(0.0, end - self._relay.now()))
        self.tell()
        if watched is not None:
            others = watched.roster.members()
        return await super().members(topic, timeout) + others


def _nothing() -> None:
    """Wake nobody."""
