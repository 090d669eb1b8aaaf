"""The broker that needs no server: processes of one machine tell each other what they publish, each to those that want it."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import socket
import struct
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Optional
from urllib.parse import unquote

from ...system.peer_user import peer_user
from ..broker import Deliver, Publication
from .local_directory import LocalDirectory
from .local_frames import (
    ANSWER,
    COMPLETE,
    HELLO,
    QUESTION,
    RESET,
    SUBSCRIBE,
    UNSUBSCRIBE,
    FrameError,
    Notice,
    frame_hello,
    frame_mark,
    frame_publication,
    frame_topics,
)
from .local_interests import Interests
from .local_link import Inlet, Link

logger = logging.getLogger("socketify")

_SCHEME = "local://"
_WAITING_MAX = 16 * 1024 * 1024
#: How much of one turn of the loop is kept until its end.
_TURN_BYTES = 1024 * 1024
_RETRY_FIRST_SECONDS = 0.05
_RETRY_MAX_SECONDS = 5.0
#: How long what waits for others may take when this process leaves.
_FAREWELL_SECONDS = 0.8
#: After which a process that did not answer a question is silent: it was stopped, or is busy.
_SILENT_SECONDS = 0.2


class LocalBroker:
    """Carries publications between processes of one user on one machine.

    Each has a Unix-domain socket in a directory. It connects to that of every other one, and sends there: the topics that it
    wants, and publications that the other one wants. What a process does not read in time waits for it, up to a bound; beyond
    that publications are lost for this process alone.

    Args:
        url: ``local:///path/of/the/directory``, which is made if it is missing.
        waiting_max: bytes that may wait for each other process.

    Raises:
        ValueError: the URL has no absolute path.

    """

    echoes = False

    def __init__(self, url: str, *, waiting_max: int = _WAITING_MAX) -> None:
        path = unquote(url[len(_SCHEME) :]) if url.startswith(_SCHEME) else ""
        if not path.startswith("/"):
            message = f"broker must be local:///path/of/a/directory, not {url!r}"
            raise ValueError(message)
        self._path = Path(path)
        self._waiting_max = waiting_max
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._directory: Optional[LocalDirectory] = None
        self._listener: Optional[socket.socket] = None
        self._deliver: Deliver = _ignore
        #: How many publications were lost, each for each process that wants it.
        self.lost = 0
        # To whom something is sent at the end of this turn of the loop, and how many bytes those are.
        self._turn: list[Link] = []
        self._turn_size = 0
        self._topics: set[str] = set()
        self._interests: Interests[Link] = Interests()
        # By the names of the others.
        self._links: dict[str, Link] = {}
        self._inlets: dict[str, Inlet] = {}
        self._strangers: set[Inlet] = set()
        self._retries: dict[str, asyncio.TimerHandle] = {}
        self._delays: dict[str, float] = {}
        # Who has not answered yet, by the question.
        self._questions: dict[str, tuple[set[str], asyncio.Future[None]]] = {}
        self._numbers = itertools.count()
        # The questions of others whose answers did not get through, by their names.
        self._owed: dict[str, list[str]] = {}
        _brokers.add(self)

    # ---- what the relay calls

    async def connect(self, deliver: Deliver) -> None:
        """Listen, and connect to all others.

        Raises:
            BrokerError: the directory cannot be used.

        """
        self._forget()
        self._loop = asyncio.get_running_loop()
        self._deliver = deliver
        directory = self._directory = LocalDirectory(self._path)
        self._listener = directory.listen()
        self._loop.add_reader(self._listener, self._accept)
        for name in directory.others():
            self._meet(name)

    async def wait_until_lost(self) -> str:
        """Wait for ever: what ends with another process is the connection to that one."""
        await asyncio.get_running_loop().create_future()
        return ""

    async def publish(self, publications: Sequence[Publication]) -> int:
        """Send publications to those that want them. What is lost is counted by itself."""
        for each in publications:
            self.publish_soon(*each)
        self._end_turn()
        return 0

    def publish_soon(self, topic: str, data: bytes, is_text: bool, compress: bool) -> None:
        """Send a publication to those that want it, with all others of this turn of the loop."""
        links = self._interests.wanting(topic)
        if not links:
            return
        try:
            frame = frame_publication(topic, data, is_text, compress)
        except struct.error:
            # It has 4 GiB or more.
            self.lost += len(links)
            return
        if not self._turn:
            assert self._loop is not None
            self._loop.call_soon(self._end_turn)
        self._turn_size += len(frame)
        for link in links:
            if not link.batch:
                self._turn.append(link)
            link.batch.append(frame)
        if self._turn_size > _TURN_BYTES:
            self._end_turn()

    def _end_turn(self) -> None:
        turn, self._turn = self._turn, []
        self._turn_size = 0
        for link in turn:
            lost = link.publish()
            if lost:
                self.lost += lost
                if not link.is_losing:
                    link.is_losing = True
                    logger.warning("what is published is lost for a process that does not read: %s", link.name)

    async def subscribe(self, topics: Sequence[str]) -> None:
        """Tell the others that this process wants topics."""
        self._topics.update(topics)
        self._notify(SUBSCRIBE, topics)

    async def unsubscribe(self, topics: Sequence[str]) -> None:
        """Tell the others that this process does not want topics any more."""
        self._topics.difference_update(topics)
        self._notify(UNSUBSCRIBE, topics)

    async def flush(self) -> None:
        """Send what was published, and wait for nobody: one that does not read must not keep the others waiting."""
        self._end_turn()

    async def wait_until_known(self, skips_silent: bool = False) -> None:
        """Wait until all others know what was subscribed to before, or are gone; as long as that takes.

        Args:
            skips_silent: whether those are left out that have not answered former questions for a while.

        """
        if self._loop is None:
            return
        now = self._loop.time()
        question = str(next(self._numbers))
        names = set()
        for link in self._links.values():
            # All are asked, as by an answer one is silent no more.
            link.notify([frame_mark(QUESTION, question)])
            link.asked_at = now if link.asked_at is None else link.asked_at
            if not skips_silent or link.asked_at >= now - _SILENT_SECONDS:
                names.add(link.name)
        if names:
            answered: asyncio.Future[None] = self._loop.create_future()
            self._questions[question] = (names, answered)
            try:
                await answered
            finally:
                self._questions.pop(question, None)

    async def close(self) -> None:
        """Leave: what waits for others is sent, if they read it within a second."""
        if self._loop is None:
            return
        self._stop_listening()
        self._end_turn()
        unread = [link.when_empty() for link in self._links.values() if link.is_open]
        try:
            if unread:
                await asyncio.wait(unread, timeout=_FAREWELL_SECONDS)
        finally:
            self._forget()

    # ---- membership

    def _stop_listening(self) -> None:
        if self._directory is not None:
            self._directory.leave()
        listener, self._listener = self._listener, None
        if listener is not None and self._loop is not None:
            self._loop.remove_reader(listener)
            listener.close()

    def _forget(self) -> None:
        """Close everything."""
        self._stop_listening()
        for timer in self._retries.values():
            timer.cancel()
        for link in self._links.values():
            link.close()
        for inlet in (*self._inlets.values(), *self._strangers):
            inlet.close()
        self._links.clear()
        self._inlets.clear()
        self._strangers.clear()
        self._retries.clear()
        self._delays.clear()
        for _, answered in self._questions.values():
            if not answered.done():
                answered.set_result(None)
        self._questions.clear()
        self._owed.clear()
        self._turn.clear()
        self._topics.clear()
        self._interests = Interests()
        self._loop = self._directory = None
        self._deliver = _ignore

    def abandon(self) -> None:
        """Be connected no more, without a word: a child of a fork is no member, and would make its dead parent seem alive."""
        if self._listener is not None:
            os.close(self._listener.detach())
        for link in self._links.values():
            link.abandon()
        for inlet in (*self._inlets.values(), *self._strangers):
            inlet.abandon()
        # The parent's place in the directory stays, and so does what its loop knows.
        self._listener = self._directory = None
        self._links.clear()
        self._inlets.clear()
        self._strangers.clear()
        self._retries.clear()
        self._questions.clear()
        self._forget()

    def _accept(self) -> None:
        assert self._loop is not None
        assert self._listener is not None
        while True:
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                # No descriptors are left, probably: those who connect wait meanwhile.
                logger.warning("the broker cannot accept another process: %s", error.strerror)
                self._loop.remove_reader(self._listener)
                self._retries[""] = self._loop.call_later(_RETRY_MAX_SECONDS, self._accept_again)
                return
            if _is_of_this_user(connection):
                self._strangers.add(Inlet(self._loop, connection, self._on_notices, self._on_publications, self._on_inlet_end))
            else:
                connection.close()

    def _accept_again(self) -> None:
        assert self._loop is not None
        if self._listener is not None:
            self._loop.add_reader(self._listener, self._accept)

    def _meet(self, name: str) -> None:
        """Connect to another process, which is known from now on; again later where that is not possible now."""
        assert self._loop is not None
        assert self._directory is not None
        self._retries.pop(name, None)
        link = self._links.get(name)
        if link is None:
            link = self._links[name] = Link(self._loop, name, self._waiting_max, self._on_link_end, self._on_link_resumed)
            self._interests.add(link)
        try:
            connection = self._directory.reach(name)
        except ProcessLookupError:
            self._delays.pop(name, None)
            # What it sent may still be there to be read.
            if name not in self._inlets:
                self._part(name)
        except OSError as error:
            self._meet_later(name)
            if self._delays[name] == _RETRY_MAX_SECONDS:
                logger.warning("the broker cannot reach another process yet: %s", error.strerror)
        else:
            link.open(connection, [frame_hello(self._directory.name), *self._summary(name)])

    def _summary(self, name: str) -> Iterator[bytes]:
        """Yield all that another process has to know."""
        yield from frame_topics(SUBSCRIBE, self._topics)
        yield frame_mark(COMPLETE)
        for question in self._owed.pop(name, ()):
            yield frame_mark(ANSWER, question)
        for question, (names, _) in self._questions.items():
            if name in names:
                yield frame_mark(QUESTION, question)

    def _meet_later(self, name: str) -> None:
        """Try again to connect, each time after a longer pause, until the other process has told what it wants."""
        assert self._loop is not None
        delay = self._delays[name] = min(self._delays.get(name, _RETRY_FIRST_SECONDS / 2) * 2, _RETRY_MAX_SECONDS)
        self._retries[name] = self._loop.call_later(delay, self._meet, name)

    def _part(self, name: str) -> None:
        """Forget another process."""
        timer = self._retries.pop(name, None)
        if timer is not None:
            timer.cancel()
        link = self._links.pop(name, None)
        if link is not None:
            link.close()
            self._interests.remove(link)
        inlet = self._inlets.pop(name, None)
        if inlet is not None:
            inlet.close()
        self._owed.pop(name, None)
        for question in tuple(self._questions):
            self._answer(question, name)

    # ---- what links and inlets call

    def _on_link_end(self, link: Link) -> None:
        # What a dead process sent before is read until its end.
        if link.name not in self._inlets:
            self._meet_again(link.name)

    def _meet_again(self, name: str) -> None:
        """Look whether a process whose connection has ended is dead, and remove its socket then."""
        self._part(name)
        self._meet_later(name)

    def _on_link_resumed(self, link: Link) -> None:
        link.summarize([frame_mark(RESET), *self._summary(link.name)])

    def _on_inlet_end(self, inlet: Inlet, error: Optional[FrameError]) -> None:
        if error is not None:
            logger.error("the broker refuses another process: %s", error)
        inlet.close()
        self._strangers.discard(inlet)
        if self._inlets.get(inlet.name) is inlet:
            self._meet_again(inlet.name)

    def _on_publications(self, publications: list[Publication]) -> None:
        # It may have been on its way when this process left the topic.
        topics = self._topics
        wanted = [each for each in publications if each.topic in topics]
        if wanted:
            self._deliver(wanted)

    def _on_notices(self, inlet: Inlet, notices: list[Notice]) -> None:
        for notice in notices:
            if notice.kind == HELLO:
                self._greet(inlet, notice.name)
                continue
            link = self._links.get(inlet.name)
            if link is None:
                message = "it does not say who it is"
                raise FrameError(message)
            self._note(link, notice)

    def _note(self, link: Link, notice: Notice) -> None:
        if notice.kind == SUBSCRIBE:
            self._interests.subscribe(link, notice.topics)
        elif notice.kind == UNSUBSCRIBE:
            self._interests.unsubscribe(link, notice.topics)
        elif notice.kind == COMPLETE:
            self._interests.complete(link)
            self._delays.pop(link.name, None)
        elif notice.kind == RESET:
            self._interests.reset(link)
        elif notice.kind == QUESTION:
            if not link.notify([frame_mark(ANSWER, notice.name)]):
                self._owed.setdefault(link.name, []).append(notice.name)
        elif notice.kind == ANSWER:
            link.asked_at = None
            self._answer(notice.name, link.name)

    def _answer(self, question: str, name: str) -> None:
        names, answered = self._questions.get(question, (set[str](), None))
        names.discard(name)
        if not names and answered is not None and not answered.done():
            answered.set_result(None)

    def _greet(self, inlet: Inlet, name: str) -> None:
        """Know who sends, and connect to it as well."""
        assert self._directory is not None
        if inlet.name or not self._directory.is_other(name):
            message = f"it cannot be {name!r}"
            raise FrameError(message)
        inlet.name = name
        self._strangers.discard(inlet)
        former = self._inlets.pop(name, None)
        if former is not None:
            former.close()
        self._inlets[name] = inlet
        link = self._links.get(name)
        if link is not None:
            self._interests.reset(link)
        if link is None or not link.is_open:
            timer = self._retries.get(name)
            if timer is not None:
                timer.cancel()
            self._meet(name)

    def _notify(self, kind: int, topics: Sequence[str]) -> None:
        if not self._links:
            return
        frames = list(frame_topics(kind, topics))
        for link in self._links.values():
            link.notify(frames)


def _is_of_this_user(connection: socket.socket) -> bool:
    """Return whether a connection is of this user, or of root."""
    return peer_user(connection) in (os.geteuid(), 0)


# Those of this process.
_brokers: weakref.WeakSet[LocalBroker] = weakref.WeakSet()


def _abandon_all() -> None:
    for each in tuple(_brokers):
        each.abandon()


os.register_at_fork(after_in_child=_abandon_all)


def _ignore(_publications: Sequence[Publication]) -> None:
    """Deliver nothing, as nothing is connected."""
