"""The connections between two processes of one machine: each has one to send on, and one to receive from."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from collections import deque
from collections.abc import Iterable
from typing import Callable, Optional, Union

from ..broker import Publication
from .local_frames import FrameError, FrameReader, Notice

#: What is written at once, beside one frame of any size.
_WRITE_BYTES = 262_144
#: What is read at once; blocks of the C library's heap, not of the kernel's.
_READ_BYTES = 65_536
#: What a waiting frame costs beside its bytes.
_FRAME_OVERHEAD = 64
#: What notices may cost that wait, beside the summary of all that the other process has to know.
_NOTICES_MAX = 1_048_576


class Link:
    """The way to another process: what the kernel does not take at once waits here, up to a bound.

    Notices go before publications that wait, and beside the bound of these.

    Args:
        loop: of this process.
        name: of the other one.
        waiting_max: how many bytes of publications may wait, beside the one that is being sent.
        on_end: called when the other process does not read any more.
        on_resumed: called when notices were dropped, as the other process did not read, and reads again: what it has to know is
            to be summed up by :meth:`summarize`.

    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        name: str,
        waiting_max: int,
        on_end: Callable[[Link], None],
        on_resumed: Callable[[Link], None],
    ) -> None:
        self.name = name
        #: Publications of this turn of the loop.
        self.batch: list[bytes] = []
        #: Whether some were lost since the last time when nothing waited; for who logs that.
        self.is_losing = False
        #: When the other process was asked what it did not answer yet; None if it answered since.
        self.asked_at: Optional[float] = None
        self._loop = loop
        self._max = waiting_max
        self._on_end = on_end
        self._on_resumed = on_resumed
        self._socket: Optional[socket.socket] = None
        # The rest of the frame that was sent in part.
        self._cut: Union[bytes, memoryview] = b""
        self._summary: deque[bytes] = deque()
        self._notices: deque[bytes] = deque()
        self._notices_size = 0
        self._dropped_notices = False
        self._waiting: deque[bytes] = deque()
        self._waiting_size = 0
        # Whether the loop tells when the kernel takes more.
        self._is_watched = False
        self._emptied: Optional[asyncio.Future[None]] = None

    @property
    def is_open(self) -> bool:
        """Whether it is connected."""
        return self._socket is not None

    def when_empty(self) -> asyncio.Future[None]:
        """Return what is done when nothing waits any more."""
        future = self._emptied = self._loop.create_future()
        self._watch()
        return future

    def open(self, connection: socket.socket, greeting: Iterable[bytes]) -> None:
        """Use a connection, on which the greeting goes first, and then what waits already."""
        self._socket = connection
        # Nothing arrives on it but its end.
        self._loop.add_reader(connection, self._end, connection)
        self.summarize(greeting)

    def summarize(self, frames: Iterable[bytes]) -> None:
        """Send all that the other process has to know, before later notices; no other notice waits then."""
        self._summary.extend(frames)
        self._drain()

    def publish(self) -> int:
        """Send the publications of this turn, or let them wait; return how many are lost."""
        frames, self.batch = self.batch, []
        if self._socket is not None and not self._has_waiting():
            data = frames[0] if len(frames) == 1 else b"".join(frames)
            sent = self._send(self._socket, data)
            if sent == len(data):
                return 0
            begin = self._keep_cut(frames, sent)
        else:
            begin = 0
        lost = 0
        for frame in frames[begin:]:
            cost = len(frame) + _FRAME_OVERHEAD
            # One that is larger than the bound may still go by itself.
            if self._waiting_size + cost > self._max and self._waiting:
                lost += 1
            else:
                self._waiting.append(frame)
                self._waiting_size += cost
        self._watch()
        return lost

    def notify(self, frames: Iterable[bytes]) -> bool:
        """Send notices; return whether these need not be in the next summary. A connection begins with one."""
        if self._socket is None or self._dropped_notices:
            return False
        if self._notices_size > _NOTICES_MAX:
            self._dropped_notices = True
            return False
        for frame in frames:
            self._notices.append(frame)
            self._notices_size += len(frame) + _FRAME_OVERHEAD
        if not self._is_watched:
            self._drain()
        return True

    def close(self) -> None:
        """Close it, and forget what waits."""
        connection, self._socket = self._socket, None
        self._cut = b""
        self.batch.clear()
        self._summary.clear()
        self._notices.clear()
        self._waiting.clear()
        self._notices_size = self._waiting_size = 0
        self._dropped_notices = False
        if connection is not None:
            self._loop.remove_reader(connection)
            if self._is_watched:
                self._loop.remove_writer(connection)
                self._is_watched = False
            connection.close()
        self._watch()

    def abandon(self) -> None:
        """Close only the descriptor, as a child of a fork has a copy of it and shares what the loop asks the system."""
        connection, self._socket = self._socket, None
        if connection is not None:
            os.close(connection.detach())

    # ---- what waits

    def _has_waiting(self) -> bool:
        return bool(self._cut or self._summary or self._notices or self._waiting)

    def _keep_cut(self, frames: list[bytes], sent: int) -> int:
        """Keep the rest of the frame that was sent in part, and return how many have begun to be sent."""
        at = 0
        while sent > 0:
            if sent < len(frames[at]):
                self._cut = memoryview(frames[at])[sent:]
            sent -= len(frames[at])
            at += 1
        return at

    def _drain(self) -> None:
        while self._socket is not None and self._has_waiting():
            data = self._next()
            sent = self._send(self._socket, data)
            self._remove(sent)
            if sent < len(data):
                break
        if not self._has_waiting():
            self.is_losing = False
        if self._dropped_notices and not self._has_waiting():
            self._dropped_notices = False
            self._on_resumed(self)
        self._watch()

    def _next(self) -> Union[bytes, memoryview]:
        """Return what waits, or as much of it as is written at once."""
        found: list[Union[bytes, memoryview]] = [self._cut] if self._cut else []
        size = len(self._cut)
        for frame in itertools.chain(self._summary, self._notices, self._waiting):
            size += len(frame)
            if size > _WRITE_BYTES and found:
                break
            found.append(frame)
        return found[0] if len(found) == 1 else b"".join(found)

    def _remove(self, sent: int) -> None:
        """Remove what was sent, in the order of :meth:`_next`."""
        while sent > 0:
            frame: Union[bytes, memoryview]
            if self._cut:
                frame, self._cut = self._cut, b""
            elif self._summary:
                frame = self._summary.popleft()
            elif self._notices:
                frame = self._notices.popleft()
                self._notices_size -= len(frame) + _FRAME_OVERHEAD
            else:
                frame = self._waiting.popleft()
                self._waiting_size -= len(frame) + _FRAME_OVERHEAD
            if sent < len(frame):
                self._cut = memoryview(frame)[sent:]
            sent -= len(frame)

    # ---- the socket

    def _send(self, connection: socket.socket, data: Union[bytes, memoryview]) -> int:
        try:
            return connection.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            # Later, as the caller is in the middle of something.
            self._loop.call_soon(self._end, connection)
            return 0

    def _watch(self) -> None:
        has_waiting = self._has_waiting()
        if self._emptied is not None and not has_waiting:
            emptied, self._emptied = self._emptied, None
            if not emptied.done():
                emptied.set_result(None)
        connection = self._socket
        if connection is None or self._is_watched == has_waiting:
            return
        self._is_watched = has_waiting
        if has_waiting:
            self._loop.add_writer(connection, self._drain)
        else:
            self._loop.remove_writer(connection)

    def _end(self, connection: socket.socket) -> None:
        if self._socket is connection:
            self.close()
            self._on_end(self)


class Inlet:
    """What another process sends.

    Args:
        loop: of this process.
        connection: accepted from it.
        on_notices: called with this, and with notices.
        on_publications: called with publications.
        on_end: called with this when the other process sends no more, or what is no frame, and why then.

    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connection: socket.socket,
        on_notices: Callable[[Inlet, list[Notice]], None],
        on_publications: Callable[[list[Publication]], None],
        on_end: Callable[[Inlet, Optional[FrameError]], None],
    ) -> None:
        #: Of the other process, once that is known.
        self.name = ""
        self._loop = loop
        self._socket = connection
        self._reader = FrameReader()
        self._on_notices = on_notices
        self._on_publications = on_publications
        self._on_end = on_end
        connection.setblocking(False)
        loop.add_reader(connection, self._read)

    def close(self) -> None:
        """Receive no more; harmless when it is closed already."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    def abandon(self) -> None:
        """Close only the descriptor; see :meth:`Link.abandon`."""
        if self._socket.fileno() >= 0:
            os.close(self._socket.detach())

    def _read(self) -> None:
        try:
            data = self._socket.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._on_end(self, None)
            return
        try:
            publications, notices = self._reader.feed(data)
            if notices:
                self._on_notices(self, notices)
            if publications:
                if not self.name:
                    message = "it does not say who it is"
                    raise FrameError(message)
                self._on_publications(publications)
        except FrameError as error:
            self._on_end(self, error)
