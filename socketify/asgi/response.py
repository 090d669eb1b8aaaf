"""The response to a request over ASGI: what ``send`` takes, in its order, with backpressure."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from typing import Callable, Optional

from ..core.core import Core
from ..native import abi, lib, placed
from ..native import send as _send
from ..native import stream as _stream
from ..native.abi import BAD_HEAD, BAD_LENGTH, BUFFERED, GONE, KEEP_LENGTH, OK, TRIED_COMPLETE, TRIED_TAKEN, WHOLE_BODY_MAX
from ..wire.event_streams import is_event_stream
from ..wire.headers import checked
from .files import send_descriptor, send_path
from .head import STATUS_LINES, checked_fields, raise_no_pairs
from .protocol import Message, raise_client_left
from .waiters import wait, wake

logger = logging.getLogger("socketify")

# What a response waits for: its start message, its first body message, more of its body, its trailers, or nothing because
# it is complete or the client left.
START, HEAD, STREAM, TRAILERS = abi.ASGI_PHASE_START, abi.ASGI_PHASE_HEAD, abi.ASGI_PHASE_STREAM, abi.ASGI_PHASE_TRAILERS
DONE, LEFT, FAILED = abi.ASGI_PHASE_DONE, abi.ASGI_PHASE_LEFT, abi.ASGI_PHASE_FAILED

_EXPECTED = {START: "start", HEAD: "body", STREAM: "body", TRAILERS: "trailers"}

_UNAVAILABLE = b"503 Service Unavailable\nContent-Type\ntext/plain; charset=utf-8"


class ASGIResponse(ABC):
    """A response, from its start message to its end. The half of an exchange that knows nothing of the application."""

    # Status line and fields, from the start message until they are sent.
    head: bytes
    fields: int

    __slots__ = ("core", "fields", "handle", "head", "phase", "readers", "takes_trailers", "trailers", "writers")

    def __init__(self, core: Core, handle: int) -> None:
        self.core = core
        #: 0 when nothing more can be sent.
        self.handle = handle
        self.phase = START
        #: Futures of tasks that wait in ``receive``, for the request or for the end of the response.
        self.readers: Optional[list[asyncio.Future[None]]] = None
        #: Futures of tasks that wait in ``send``, for the client.
        self.writers: Optional[list[asyncio.Future[None]]] = None
        #: Names and values of trailers that were sent with ``more_trailers``; None when no trailers follow.
        self.trailers: Optional[list[bytes]] = None
        #: Whether the client wants trailers.
        self.takes_trailers = False

    @property
    def has_begun(self) -> bool:
        """Whether the head was sent."""
        return self.phase > HEAD

    @property
    def is_event_stream(self) -> bool:
        """Whether this streams events, with no trailers after the body."""
        return self.phase == STREAM and self.trailers is None and is_event_stream(self.head.split(b"\n")[1:])

    @abstractmethod
    def follow(self) -> None:
        """Be notified of events on the connection from now on."""

    # ---- the end

    def complete(self) -> None:
        """Take note that the response is complete."""
        self.phase = DONE
        live = self.core.live
        if live:
            live.pop(self.handle, None)
        self.handle = 0
        if self.readers:
            wake(self.readers)

    def leave(self) -> None:
        """Take note that nothing more can be sent, though the response is not complete."""
        self.phase = LEFT
        self.core.live.pop(self.handle, None)
        self.handle = 0
        if self.readers:
            wake(self.readers)
        if self.writers:
            wake(self.writers)

    def give_up(self) -> None:
        """End what the application leaves incomplete because the server stops."""
        if not self.has_begun:
            _send(self.handle, _UNAVAILABLE, 1, b"Service Unavailable", 0)
        elif self.is_event_stream:
            # A client misses nothing at the end of an event stream.
            _send(self.handle, None, 0, b"", 0)
        else:
            lib.sk_res_close(self.handle)
        self.leave()

    def refused(self, result: int) -> None:
        """Raise the error for a negative result of the native side."""
        if result == GONE:
            if self.phase < DONE:
                self.leave()
            raise_client_left()
        if result == BAD_LENGTH:
            error = "the body is not as long as the Content-Length of the response says"
            raise RuntimeError(error)
        assert result == BAD_HEAD
        if self.phase == HEAD:
            lines = self.head.split(b"\n")
            # Of lines that a line feed split, the last may be a name alone.
            checked(lines if len(lines) % 2 else lines[:-1])
            error = "a name or value of the headers of the response holds a line feed"
            raise ValueError(error)
        # The connection is cut already, so that the client does not take what follows for the rest.
        self.leave()
        error = "the body is shorter than the Content-Length of the response says"
        raise RuntimeError(error)

    # ---- send

    async def send(self, message: Message) -> None:
        """Take the next message of the response; waits while the client is slow.

        Raises:
            ClientDisconnectedError: the client left; not for a last body message that is empty, as nothing is lost.
            TypeError, ValueError: the message does not follow the specification.
            RuntimeError: it is out of order, or the body is not as long as its Content-Length.

        """
        kind = message["type"]
        phase = self.phase
        if phase == HEAD and kind == "http.response.body":
            body = message.get("body", b"")
            # The usual response: one native call.
            if (
                body.__class__ is bytes
                and len(body) <= WHOLE_BODY_MAX
                and not message.get("more_body", False)
                and self.trailers is None
            ):
                head = self.head
                result = _send(self.handle, head, self.fields, body, KEEP_LENGTH)
                if result in (OK, BUFFERED):
                    self.complete()
                else:
                    self.refused(result)
                return
            await self._send_body(message)
        elif phase == START and kind == "http.response.start":
            parts = [STATUS_LINES[message["status"]]]
            for pair in message.get("headers", ()):
                parts += pair
            try:
                self.head = b"\n".join(parts)
            except TypeError:
                self.head = b"\n".join(checked_fields(parts))
            if len(parts) & 1 == 0:
                raise_no_pairs()
            self.fields = len(parts) >> 1
            if message.get("trailers", False):
                self.trailers = []
            self.phase = HEAD
        else:
            await self._send_rare(kind, message)

    async def _send_rare(self, kind: str, message: Message) -> None:
        """Take a message that most responses do not have."""
        phase = self.phase
        if phase >= LEFT:
            # An application that has not noticed yet sends an empty end.
            if kind == "http.response.body" and not message.get("body") and not message.get("more_body", False):
                return
            raise_client_left()
        if phase == DONE:
            logger.warning("the ASGI application sent %r after its response was complete: it is ignored", kind)
        elif phase == STREAM and kind == "http.response.body":
            await self._send_body(message)
        elif phase == START and kind == "http.response.early_hint":
            self._send_hints(message)
        elif phase in (HEAD, STREAM) and kind == "http.response.pathsend":
            await send_path(self, message)
        elif phase in (HEAD, STREAM) and kind == "http.response.zerocopysend":
            await send_descriptor(self, message)
        elif phase == TRAILERS and kind == "http.response.trailers":
            self._send_trailers(message)
        else:
            error = f"expected the ASGI message 'http.response.{_EXPECTED[phase]}', not {kind!r}"
            raise RuntimeError(error)

    def _send_hints(self, message: Message) -> None:
        """Send 103 (Early Hints, RFC 8297) before the response starts; not to HTTP/1.0, which does not know it."""
        parts = [b"200"]
        for link in message.get("links", ()):
            parts += (b"Link", link)
        head = b"\n".join(checked_fields(parts))
        lib.sk_res_early_hints(self.handle, head, len(head), len(parts) // 2)

    def _send_trailers(self, message: Message) -> None:
        parts = [b"200", *(self.trailers or [])]
        for pair in message.get("headers", ()):
            parts += pair
        parts = checked_fields(parts)
        if message.get("more_trailers", False):
            self.trailers = parts[1:]
            return
        if not self.takes_trailers:
            parts = parts[:1]
        head = b"\n".join(parts)
        result = lib.sk_res_end_trailers(self.handle, head, len(head), len(parts) // 2)
        if result not in (OK, BUFFERED):
            self.refused(result)
        self.complete()

    async def drained(self, ask: Callable[[int], int] = lib.sk_res_want_writable) -> None:
        """Wait until the client has taken what was sent.

        Args:
            ask: the function that asks the native side for an event of a handle.

        """
        if self.writers is None:
            self.writers = []
        self.follow()
        ask(self.handle)
        await wait(self.writers)
        if self.phase >= LEFT:
            raise_client_left()

    async def _send_body(self, message: Message) -> None:
        body = message.get("body", b"")
        if body.__class__ is not bytes:
            if not isinstance(body, (bytes, bytearray, memoryview)):
                error = f"'body' of 'http.response.body' must be bytes, not {type(body).__name__}"
                raise TypeError(error)
            body = bytes(body)
        more = message.get("more_body", False)
        if not more and self.phase == HEAD and self.trailers is None and len(body) > WHOLE_BODY_MAX:
            await self._send_large(body)
            return
        for start in range(0, max(len(body), 1), WHOLE_BODY_MAX):
            piece = body if len(body) <= WHOLE_BODY_MAX else body[start : start + WHOLE_BODY_MAX]
            last = not more and start + WHOLE_BODY_MAX >= len(body)
            if last and self.trailers is None:
                await self._end_stream(piece)
            else:
                await self._send_piece(piece)
        if not more and self.trailers is not None:
            self.phase = TRAILERS

    async def _send_piece(self, piece: bytes) -> None:
        if self.phase == HEAD:
            head = self.head
            result = _stream(self.handle, head, self.fields, piece)
        else:
            result = _stream(self.handle, None, 0, piece)
        await self.streamed(result)

    async def streamed(self, result: int) -> None:
        """Go on after a piece of the body was sent.

        Args:
            result: of the native side.

        """
        if result not in (OK, BUFFERED):
            self.refused(result)
        self.phase = STREAM
        if result == BUFFERED:
            await self.drained()

    async def _end_stream(self, piece: bytes) -> None:
        if self.phase == HEAD:
            head = self.head
            result = _send(self.handle, head, self.fields, piece, KEEP_LENGTH)
        else:
            result = _send(self.handle, None, 0, piece, 0)
        await self.ended(result, piece)

    async def ended(self, result: int, piece: bytes) -> None:
        """Go on after the last piece of the body was sent.

        Args:
            result: of the native side.
            piece: what was sent.

        """
        if result == GONE and not piece:
            self.leave()
            return
        if result not in (OK, BUFFERED):
            self.refused(result)
        self.complete()

    def begin_sized(self, length: int) -> None:
        """Send the head of a body of a known length."""
        head = self.head
        result = lib.sk_res_try_end(self.handle, head, len(head), self.fields, b"", 0, length, KEEP_LENGTH)
        if result <= GONE:
            self.refused(result)
        self.phase = STREAM
        if result & TRIED_COMPLETE:
            self.complete()

    async def _send_large(self, body: bytes) -> None:
        """Send a whole body without a copy of all of it: pieces are cut as the client takes them."""
        head, fields, taken = self.head, self.fields, 0
        while True:
            piece = body[taken : taken + WHOLE_BODY_MAX]
            result = lib.sk_res_try_end(self.handle, head, len(head), fields, placed(piece), len(piece), len(body), KEEP_LENGTH)
            if result <= GONE:
                self.refused(result)
            self.phase = STREAM
            head, fields = b"", 0
            if result & TRIED_COMPLETE:
                self.complete()
                return
            taken = lib.sk_res_write_offset(self.handle)
            if not result & TRIED_TAKEN:
                await self.drained()
                taken = lib.sk_res_write_offset(self.handle)
