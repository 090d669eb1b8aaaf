"""The mailboxes of a process: queues that others send to by name and by group, also from other processes.

They are what a channel layer needs. All of it belongs to the thread of one event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Iterator
from functools import partial
from typing import Callable, Optional

from .messenger import Messenger, Receive

logger = logging.getLogger("socketify")

#: What one process sends to another one about a mailbox of that: how it begins.
_MESSAGE, _JOIN, _LEAVE = b"m", b"+", b"-"


class MailboxFullError(Exception):
    """A mailbox has as many messages waiting as it may."""


class _Mailbox:
    __slots__ = ("abandoned", "groups", "queue", "readers")

    def __init__(self, capacity: int) -> None:
        #: Messages, and the time when each expires.
        self.queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(capacity)
        self.groups: set[str] = set()
        self.readers = 0
        #: When its last reader was cancelled. One that is slow is not: it finished reading, and will read again.
        self.abandoned: Optional[float] = None


class _Group(dict[str, float]):
    """When each of the mailboxes of this process joined; and what is called with the messages of other processes."""

    def __init__(self, receive: Receive) -> None:
        super().__init__()
        self.receive = receive


class Mailboxes:
    """The mailboxes of this process in one layer.

    Args:
        messenger: to the other processes.
        prefix: of the names that it uses there: layers with others do not meet.
        capacity_of: returns how many messages may wait in the mailbox of a name.
        expiry: seconds after which a message is dropped that nobody read, and a mailbox that has no reader any more.
        group_expiry: seconds after which a mailbox leaves a group that it did not join again.

    """

    def __init__(
        self, messenger: Messenger, prefix: str, capacity_of: Callable[[str], int], expiry: float, group_expiry: float
    ) -> None:
        self._messenger = messenger
        self._prefix = f"channels.{prefix}"
        self._capacity_of = capacity_of
        self._expiry = expiry
        self._group_expiry = group_expiry
        self._boxes: dict[str, _Mailbox] = {}
        self._groups: dict[str, _Group] = {}
        self._swept = time.monotonic()
        #: In the names of the mailboxes of this process.
        self._process = uuid.uuid4().hex[:12]
        #: How often it began to listen to others, and how often the broker is known to have that.
        self.listening = 0
        self.settled = 0
        self._listen(f"process.{self._process}", self._on_command)

    def new_name(self, prefix: str) -> str:
        """Return the name of a new mailbox of this process."""
        self._sweep()
        return f"{prefix}.{self._process}!{uuid.uuid4().hex[:12]}"

    # ---- sending and receiving

    def send(self, name: str, data: bytes) -> None:
        """Put a message into a mailbox; one of another process drops it if it is full.

        Raises:
            MailboxFullError: the mailbox is of this process, and full.
            ValueError: it is the name of no mailbox.

        """
        process = self._process_of(name)
        if process == self._process:
            self._sweep()
            self._put(name, data)
        else:
            self._command(process, _MESSAGE, name.encode() + b"\n" + data)

    async def receive(self, name: str) -> bytes:
        """Wait for the next message of a mailbox of this process, and return it.

        Raises:
            ValueError: it is the name of no mailbox of this process.

        """
        if self._process_of(name) != self._process:
            message = f"the channel {name!r} is of another process, which alone can receive from it"
            raise ValueError(message)
        box = self._box(name)
        box.readers += 1
        box.abandoned = None
        try:
            while True:
                expires, data = await box.queue.get()
                if time.monotonic() < expires:
                    return data
        except asyncio.CancelledError:
            if box.readers == 1:
                box.abandoned = time.monotonic()
            raise
        finally:
            box.readers -= 1
            self._drop_unused(name, box)

    # ---- groups

    def join(self, group: str, name: str) -> None:
        """Let a mailbox get what is sent to a group; one of another process does so soon."""
        process = self._process_of(name)
        if process != self._process:
            self._command(process, _JOIN, f"{name}\n{group}".encode())
            return
        members = self._groups.get(group)
        if members is None:
            members = self._groups[group] = _Group(partial(self._deliver, group))
            self._listen(f"group.{group}", members.receive)
        members[name] = time.monotonic()
        self._box(name).groups.add(group)

    def leave(self, group: str, name: str) -> None:
        """Let a mailbox leave a group; one of another process does so soon."""
        process = self._process_of(name)
        if process != self._process:
            self._command(process, _LEAVE, f"{name}\n{group}".encode())
            return
        members = self._groups.get(group)
        if members is None or members.pop(name, None) is None:
            return
        if not members:
            del self._groups[group]
            self._messenger.ignore(self._name_of(group), members.receive)
        box = self._boxes[name]
        box.groups.discard(group)
        self._drop_unused(name, box)

    def send_to_group(self, group: str, data: bytes) -> None:
        """Put a message into all mailboxes of a group, in all processes, but those that are full."""
        self._sweep()
        self._deliver(group, data)
        self._messenger.tell(self._name_of(group), data, at_once=False)

    def clear(self) -> None:
        """Forget all messages and groups of this process."""
        for group, members in self._groups.items():
            self._messenger.ignore(self._name_of(group), members.receive)
        self._groups.clear()
        for name, box in list(self._boxes.items()):
            box.groups.clear()
            while not box.queue.empty():
                box.queue.get_nowait()
            self._drop_unused(name, box)

    # ---- inside

    def _process_of(self, name: str) -> str:
        process, mark, _ = name.rpartition("!")
        if not mark:
            message = f"the channel {name!r} is none that new_channel returned: this layer has no queues of several processes"
            raise ValueError(message)
        return process.rpartition(".")[2]

    def _listen(self, name: str, receive: Receive) -> None:
        self._messenger.listen(f"{self._prefix}.{name}", receive)
        self.listening += 1

    def _name_of(self, group: str) -> str:
        return f"{self._prefix}.group.{group}"

    def _command(self, process: str, verb: bytes, rest: bytes) -> None:
        self._messenger.tell(f"{self._prefix}.process.{process}", verb + rest, at_once=False)

    def _on_command(self, data: bytes) -> None:
        verb, (first, _, rest) = data[:1], data[1:].partition(b"\n")
        name = first.decode(errors="replace")
        if self._process_of(name) != self._process:
            return
        if verb == _JOIN:
            self.join(rest.decode(), name)
        elif verb == _LEAVE:
            self.leave(rest.decode(), name)
        elif verb == _MESSAGE:
            self._put_if_room(name, rest)

    def _box(self, name: str) -> _Mailbox:
        box = self._boxes.get(name)
        if box is None:
            box = self._boxes[name] = _Mailbox(self._capacity_of(name))
        return box

    def _put(self, name: str, data: bytes) -> None:
        try:
            self._box(name).queue.put_nowait((time.monotonic() + self._expiry, data))
        except asyncio.QueueFull:
            raise MailboxFullError(name) from None

    def _put_if_room(self, name: str, data: bytes) -> bool:
        try:
            self._put(name, data)
        except MailboxFullError:
            return False
        return True

    def _deliver(self, group: str, data: bytes) -> None:
        full = sum(not self._put_if_room(name, data) for name in self._groups.get(group, ()))
        if full:
            logger.info("%d channels of the group %r are full and get no more messages for now", full, group)

    def _drop_unused(self, name: str, box: _Mailbox) -> None:
        if not box.readers and not box.groups and box.queue.empty():
            self._boxes.pop(name, None)

    def _sweep(self) -> None:
        """Drop what expired; rarely, as this looks at everything."""
        now = time.monotonic()
        if now < self._swept + self._expiry:
            return
        self._swept = now
        for group, name in list(self._expired(now)):
            self.leave(group, name)
        for name, box in list(self._boxes.items()):
            self._drop_expired(box, now)
            self._drop_unused(name, box)

    def _expired(self, now: float) -> Iterator[tuple[str, str]]:
        for group, members in self._groups.items():
            for name, joined in members.items():
                abandoned = self._boxes[name].abandoned
                if joined + self._group_expiry < now or (abandoned is not None and abandoned + self._expiry < now):
                    yield group, name

    def _drop_expired(self, box: _Mailbox, now: float) -> None:
        waiting = [box.queue.get_nowait() for _ in range(box.queue.qsize())]
        for each in waiting:
            if now < each[0]:
                box.queue.put_nowait(each)
