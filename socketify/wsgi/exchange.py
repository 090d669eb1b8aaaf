"""One WSGI request and its response, on whichever thread the application runs."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from ..http.file_pump import pump_file
from ..wire.event_streams import is_event_stream
from .file import FilePart, FileWrapper
from .input import BodyBuffer
from .sending import end_response

if TYPE_CHECKING:
    from .application import WSGIApplication
    from .environ import Environ
    from .head import Head

logger = logging.getLogger("socketify")

#: Larger bodies are handed to the connection in pieces of this size, as it takes them.
PIECE_BYTES = 256 * 1024
#: Statuses without a body: what an application returns for one says nothing about a length.
_BODILESS = (b"204", b"304")


class ClientLeftError(BrokenPipeError):
    """Raised by ``write``, so that an application that only writes ends; it is not an error of the application."""


class WSGIExchange(ABC):
    """The logic of start_response, write and the application's result, whatever the way to the connection is."""

    #: The pieces of a body go to memory or to a file.
    collected = None

    __slots__ = (
        "_application",
        "body",
        "environ",
        "failed",
        "handle",
        "head",
        "left",
        "method",
        "over",
        "remaining",
        "started",
    )

    def __init__(self, application: WSGIApplication, handle: int, environ: Environ) -> None:
        self._application = application
        self.handle = handle
        self.environ: Optional[Environ] = environ
        self.method: str = environ["REQUEST_METHOD"]
        self.head: Optional[Head] = None
        #: Whether the head was handed to the connection.
        self.started = False
        #: Whether the client left.
        self.left = False
        #: Whether the request failed and that was reported: nothing more about it is reported.
        self.failed = False
        #: Whether nothing more can be sent, as the response is complete or has failed.
        self.over = False
        #: How many bytes a response with a Content-Length still owes.
        self.remaining: Optional[int] = None
        #: What the application reads the request's body from, or what collects it.
        self.body: Union[BodyBuffer, BytesIO, None] = None

    # ---- what the application calls

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        """Begin the response; with exc_info, replace its head as long as that was not sent.

        Raises:
            TypeError, ValueError: see :meth:`Heads.head`.
            AssertionError: it was called before, and exc_info is missing.
            BaseException: that of exc_info, when the head was sent.

        """
        if exc_info:
            try:
                if self.started:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                # The error refers to this frame.
                exc_info = None
        elif self.head is not None:
            message = "start_response was called before: only with exc_info can it be called again"
            raise AssertionError(message)
        self.head = self._application.heads.head(status, headers)
        return self.write

    def write(self, data: bytes) -> None:
        """Send a block of the body at once.

        Raises:
            TypeError: it is not bytes.
            ValueError: it goes beyond the Content-Length.
            BrokenPipeError: the client left.

        """
        for piece in self._pieces((data,)):
            if self.put(piece) < len(piece) and not self.left and not self.over:
                message = "write: the body goes beyond its Content-Length"
                raise ValueError(message)
            if self.left and not self.over:
                message = "write: the client left"
                raise ClientLeftError(message)

    # ---- what the connection takes

    #: The connection gets blocks in pieces of this size.
    _piece_bytes = PIECE_BYTES

    @abstractmethod
    def _transmit(self, head: Optional[Head], data: bytes) -> None:
        """Hand a piece, before it the head, to the connection: it leaves without waiting for more."""

    @abstractmethod
    def _send_whole(self, head: Head, data: bytes) -> None:
        """Hand the whole response to the connection."""

    @abstractmethod
    def _end(self, cut: bool) -> None:
        """End a response that was begun, or cut the connection when it must not look complete."""

    @abstractmethod
    async def drained(self) -> None:
        """Wait until the connection has taken what was sent."""

    @abstractmethod
    def on_abort(self) -> None:
        """Handle that the client left."""

    def on_failure(self) -> None:
        """Handle that the request failed, which was reported."""
        self.failed = True
        self.on_abort()

    def on_stop(self, _late: bool) -> None:
        """End an event stream when the server stops: for the application the client left."""
        if self.started and not self.left and self.head is not None and is_event_stream(self.head.block.split(b"\n")[1:]):
            self._application.core.live.pop(self.handle, None)
            end_response(self.handle, False)
            self.on_abort()

    def put(self, data: bytes) -> int:
        """Send as much as the Content-Length leaves room for; return how many bytes that was.

        Raises:
            AssertionError: there is no head.

        """
        needed = self._needed_head()
        head: Optional[Head] = None
        if self.left or self.over:
            return 0
        if not self.started:
            head = needed
            self.started = True
            self.remaining = needed.length
        if self.remaining is not None:
            if len(data) > self.remaining:
                data = data[: self.remaining]
            self.remaining -= len(data)
        self._transmit(head, data)
        return len(data)

    def put_block(self, data: bytes) -> bool:
        """Send a block of the result; return False when no more blocks are needed.

        A response is complete as soon as its Content-Length is reached, but the code of the application after its last
        block still runs.
        """
        beyond = self.over or (self.put(data) < len(data) and not self.left)
        if beyond:
            logger.error("%s: the body goes beyond its Content-Length, the rest is dropped", self._name())
        if self.remaining == 0:
            self.finish()
        # A response without a body and without a length owes the client nothing more.
        return not (self.left or beyond or (self.remaining is None and self._is_bodiless()))

    def finish(self) -> None:
        """End the response."""
        if self.left or self.over:
            return
        if not self.started:
            head = self._needed_head()
            if not self._expects(head.length):
                self.started = self.over = True
                self._send_whole(head, b"")
                return
            self.put(b"")
        short = self._expects(self.remaining)
        if short:
            logger.error("%s: the body is %d bytes short of its Content-Length", self._name(), self.remaining)
        self.over = True
        self._end(short)

    def _expects(self, length: Optional[int]) -> bool:
        """Return whether the client waits for more of the body."""
        return bool(length) and not self._is_bodiless()

    def _is_bodiless(self) -> bool:
        """Return whether the response has no body, whatever the application returns."""
        head = self.head
        return self.method == "HEAD" or head is None or head.block[:3] in _BODILESS

    def _needed_head(self) -> Head:
        if self.head is None:
            message = "start_response was not called before the first block of the body"
            raise AssertionError(message)
        return self.head

    # ---- the request's body

    def _collect(self, chunk: bytes, last: bool) -> bool:
        """Add a piece of the request's body; return whether it is complete."""
        body, environ = self.body, self.environ
        assert isinstance(body, BodyBuffer)
        assert environ is not None
        if self.over:
            return False
        try:
            body.add(chunk)
            if last:
                environ["wsgi.input"] = body.finish()
                # A body whose length the client did not tell, in chunks or frames, looks like any other to the application.
                environ.pop("HTTP_TRANSFER_ENCODING", None)
                environ.setdefault("CONTENT_LENGTH", str(body.size))
        except BaseException as error:
            # A body with a piece missing is never passed on.
            self.fail(error)
            body.close()
            return False
        return last

    # ---- what the application returned

    def answer_whole(self, result: Any) -> bool:
        """Send a result that is complete and small; return whether that was done."""
        head = self.head
        if head is None or self.started or not isinstance(result, (list, tuple)):
            return False
        size = 0
        for data in result:
            if not isinstance(data, bytes):
                raise not_bytes(data)
            size += len(data)
        if size > PIECE_BYTES:
            if self._lacks_length(head):
                self.head = head.with_length(size)
            return False
        if head.length not in (None, size) and self.method != "HEAD":
            return False
        self.started = self.over = True
        self._send_whole(head, result[0] if len(result) == 1 else b"".join(result))
        return True

    def blocks_of(self, result: Any) -> Iterator[bytes]:
        """Yield the blocks to send of a result."""
        if self._lacks_length(self.head) and _has_one_block(result):
            return self._only_block(result)
        return self._pieces(result)

    def _lacks_length(self, head: Optional[Head]) -> bool:
        """Return whether the server has to add a Content-Length."""
        return head is not None and not self.started and head.length is None and head.block[:3] not in _BODILESS

    def _only_block(self, result: Iterable[bytes]) -> Iterator[bytes]:
        for data in result:
            if not isinstance(data, bytes):
                raise not_bytes(data)
            head = self.head
            if data and head is not None and self._lacks_length(head):
                self.head = head.with_length(len(data))
            yield from self._pieces((data,))

    def _pieces(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield blocks that are not empty, in pieces that are not large."""
        size = self._piece_bytes
        for data in blocks:
            if type(data) is not bytes and not isinstance(data, bytes):
                raise not_bytes(data)
            if len(data) <= size:
                if data:
                    yield data
            else:
                for start in range(0, len(data), size):
                    yield data[start : start + size]

    def file_of(self, result: Any) -> Optional[FilePart]:
        """Return the file that the server can send by itself, if the result is one."""
        if type(result) is not FileWrapper or self.head is None or self.started:
            return None
        part = result.part()
        if part is None:
            return None
        head = self.head
        if head.length is None:
            self.head = head.with_length(part.length)
            return part
        return part._replace(length=min(part.length, head.length))

    async def _send_part(self, part: FilePart) -> None:
        """Send a part of a file, and end the response."""
        descriptor, offset, length = part
        try:
            # If the file became shorter, less than its Content-Length is sent.
            await pump_file(_WSGISink(self), descriptor, offset, 0 if self.method == "HEAD" else length)
            self.finish()
        except BaseException as error:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Answer with 500, or cut a response that has begun; errors that the client's leaving caused are not reported."""
        is_lost = self.left or self.over
        self.over = True
        if self.failed or (isinstance(error, ClientLeftError) and self.left):
            return
        self._report(0 if is_lost else self.handle, error)

    def _report(self, handle: int, error: BaseException) -> None:
        self._application.fail(handle, error)

    def close_result(self, result: Any) -> None:
        """Call the result's close, which must be called in any case, and release the request's body."""
        try:
            close = getattr(result, "close", None)
            if close is not None:
                close()
        except BaseException as error:  # the body must be released
            self._report(0, error)
        if self.body is not None:
            self.body.close()

    def _name(self) -> str:
        environ = self.environ
        return "a response" if environ is None else f"the response to {self.method} {environ.get('REQUEST_URI')}"


class _WSGISink:
    """A response whose body is a file."""

    def __init__(self, exchange: WSGIExchange) -> None:
        self._exchange = exchange

    @property
    def is_over(self) -> bool:
        """Whether the response is complete, or the client left."""
        return self._exchange.left or self._exchange.over

    def connection(self) -> int:
        """Return -1, so that pieces are sent: :meth:`WSGIExchange.put` would not count what the kernel copies."""
        return -1

    def count_sent(self, _size: int) -> None:
        """Do nothing: the kernel copies nothing."""

    async def await_room(self) -> None:
        """Do nothing: the kernel copies nothing."""

    async def send_piece(self, piece: bytes) -> None:
        """Send a piece, and wait until the connection has taken it."""
        self._exchange.put(piece)
        await self._exchange.drained()


def not_bytes(data: Any) -> TypeError:
    """Return the error for blocks of another type."""
    return TypeError(f"the application must yield bytes, not {type(data).__name__}")


def _has_one_block(result: Any) -> bool:
    try:
        return len(result) == 1
    except TypeError:
        return False
