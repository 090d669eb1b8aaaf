"""HTTP over ASGI: the life of one request and its response, without Request or Response objects."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import types
from typing import TYPE_CHECKING, Any, Callable, Optional

from ..native import lib
from ..native import send as _send
from ..native import stream as _stream
from ..native.abi import BAD_HEAD, BAD_LENGTH, BUFFERED, GONE, KEEP_LENGTH, OK
from ..wire.headers import checked
from .body import RequestBody
from .common import ASGIApplication, ClientDisconnectedError, Message, Scope, as_coroutine, is_disconnect, wait, wake
from .files import send_descriptor, send_path
from .head import STATUS_LINES, checked_fields, raise_no_pairs
from .stop import end_told, tell

if TYPE_CHECKING:
    from ..app.app import App

logger = logging.getLogger("socketify")

# What a response waits for: its start message, its first body message, more of its body, its trailers, or nothing:
# it is complete, or the client left.
START, HEAD, STREAM, TRAILERS, DONE, LEFT, FAILED = range(7)

#: Bodies up to this size are handed over whole; of larger ones only what the client takes.
_WHOLE_MAX = 256 * 1024
_COMPLETE, _TAKEN = 2, 1

_EXPECTED = {START: "start", HEAD: "body", STREAM: "body", TRAILERS: "trailers"}

_CoroutineType = types.CoroutineType


#: The body of a request that has none, or whose body was received to its end.
_NOTHING_MORE = RequestBody()


class HTTPExchange:
    """One request and its response."""

    # Status line and fields, from the start message until they are sent.
    _head: bytes
    _fields: int

    #: Whether the connection is encrypted, by whoever routes to this class.
    is_secure = False

    __slots__ = (
        "_application",
        "_body",
        "_fields",
        "_handle",
        "_head",
        "_native",
        "_readers",
        "_state",
        "_takes_trailers",
        "_task",
        "_told",
        "_trailers",
        "_writers",
    )

    def __init__(self, application: ASGIApplication, native: App, handle: int) -> None:
        self._application = application
        self._native = native
        self._handle = handle
        self._state = START
        self._body: Optional[RequestBody] = None
        self._readers: Optional[list[asyncio.Future[None]]] = None
        self._writers: Optional[list[asyncio.Future[None]]] = None
        # Whether trailers follow, and then those that came.
        self._trailers: Optional[list[bytes]] = None
        self._takes_trailers = False
        # Of an application that waits.
        self._task: Optional[asyncio.Task[None]] = None
        # How often the application was told that the server stops, which is told as the client's leaving.
        self._told = 0

    # ---- running the application

    def run(self, scope: Scope) -> None:
        """Step the application; nothing is raised."""
        try:
            result = self._application(scope, self.receive, self.send)
        except BaseException as error:
            self._on_error(error)
            return
        self._run_awaitable(result)

    def _run_awaitable(self, coroutine: Any) -> None:
        """Begin what the application returned."""
        runner = self._native._runner
        try:
            if coroutine.__class__ is not _CoroutineType:
                coroutine = as_coroutine(coroutine)
            assert runner is not None
            waits = runner.begin(coroutine)
        except BaseException as error:
            self._on_error(error)
            return
        if waits is not None:
            self._carry_on(coroutine, *waits)
        elif self._state < DONE:
            self._on_return()

    def _carry_on(self, coroutine: Any, yielded: Any, context: contextvars.Context) -> None:
        """Let a coroutine that waits go on in a task."""
        runner = self._native._runner
        assert runner is not None
        self._on_wait()
        self._task = runner.carry_on(coroutine, (yielded, context), self._on_error, self._on_return)

    @property
    def has_begun(self) -> bool:
        """Whether the head was sent."""
        return self._state > HEAD

    @property
    def is_streaming(self) -> bool:
        """Whether more of the body may come, and nothing behind it."""
        return self._state == STREAM and self._trailers is None

    @property
    def has_whole_request(self) -> bool:
        """Whether nothing of the request is left to receive."""
        return self._body is None or self._body is _NOTHING_MORE

    def _self(self) -> HTTPExchange:
        return self

    def _on_wait(self) -> None:
        """Be told of events from now on."""
        if self._handle:
            self._native._live[self._handle] = self._self

    def _on_return(self) -> None:
        if self._state >= DONE:
            return
        if self._told:
            end_told(self)
            return
        missing = "starting a response" if self._state == START else "completing its response"
        self._on_error(RuntimeError(f"the ASGI application returned without {missing}"))

    def _on_error(self, error: BaseException) -> None:
        if self._state == FAILED or (self._state == LEFT and is_disconnect(error)):
            return
        if self._told and (is_disconnect(error) or isinstance(error, asyncio.CancelledError)):
            if self._state < DONE:
                end_told(self)
            return
        handle = self._handle
        if self._state < DONE:
            self._leave()
        self._native._outcome.fail_handle(error, handle, "the ASGI application failed")

    # ---- the end

    def _on_stop(self, late: bool) -> None:
        if self._state < DONE:
            tell(self, late)

    def _complete(self) -> None:
        self._state = DONE
        live = self._native._live
        if live:
            live.pop(self._handle, None)
        self._handle = 0
        if self._readers:
            wake(self._readers)

    def _leave(self) -> None:
        self._state = LEFT
        self._native._live.pop(self._handle, None)
        self._handle = 0
        if self._readers:
            wake(self._readers)
        if self._writers:
            wake(self._writers)

    # ---- events of the native side

    def _on_abort(self) -> None:
        if self._state < DONE:
            self._leave()

    def _on_failure(self) -> None:
        self._on_abort()
        if self._state == LEFT:
            self._state = FAILED

    def _on_writable(self) -> None:
        if self._writers:
            wake(self._writers)

    def _on_body(self, chunk: bytes, last: bool) -> None:
        body = self._body
        assert body is not None
        if body.add(chunk, last) and self._handle:
            lib.sk_res_pause(self._handle)
        scope, body.scope = body.scope, None
        if scope is not None:
            self.run(scope)
        elif self._readers:
            wake(self._readers)

    # ---- receive

    async def receive(self) -> Message:
        """Give the next piece of the body; after its end wait until the client leaves or the response is complete.

        When the server stops it is as if the client left; see :func:`tell`.
        """
        body = self._body
        if body is None:
            self._body = _NOTHING_MORE
            if self._state < DONE:
                return {"type": "http.request", "body": b"", "more_body": False}
        elif body is not _NOTHING_MORE:
            while self._state < DONE and not self._told:
                if body.is_ready:
                    return self._take(body)
                if not body.asked:
                    body.asked = True
                    # Gives at once what is here.
                    self._on_wait()
                    lib.sk_res_read_body(self._handle)
                    continue
                if self._readers is None:
                    self._readers = []
                await wait(self._readers)
        while self._state < DONE and not self._told:
            if self._readers is None:
                self._readers = []
            await wait(self._readers)
        return {"type": "http.disconnect"}

    def _take(self, body: RequestBody) -> Message:
        data, more, resume = body.take()
        if resume:
            lib.sk_res_resume(self._handle)
        if not more:
            self._body = _NOTHING_MORE
        return {"type": "http.request", "body": data, "more_body": more}

    # ---- send

    async def send(self, message: Message) -> None:
        """Take the next message of the response; waits while the client is slow.

        Raises:
            ClientDisconnectedError: the client left; not for a last body message that is empty, as nothing is lost.
            TypeError, ValueError: the message is not as the specification has it.
            RuntimeError: it does not come in its order, or the body is not as long as its Content-Length.

        """
        kind = message["type"]
        state = self._state
        if state == HEAD and kind == "http.response.body":
            body = message.get("body", b"")
            # The usual response: one native call.
            if (
                body.__class__ is bytes
                and len(body) <= _WHOLE_MAX
                and not message.get("more_body", False)
                and self._trailers is None
            ):
                head = self._head
                result = _send(self._handle, head, self._fields, body, KEEP_LENGTH)
                if result in (OK, BUFFERED):
                    self._complete()
                else:
                    self._refused(result)
                return
            await self._send_body(message)
        elif state == START and kind == "http.response.start":
            parts = [STATUS_LINES[message["status"]]]
            for pair in message.get("headers", ()):
                parts += pair
            try:
                self._head = b"\n".join(parts)
            except TypeError:
                self._head = b"\n".join(checked_fields(parts))
            if len(parts) & 1 == 0:
                raise_no_pairs()
            self._fields = len(parts) >> 1
            if message.get("trailers", False):
                self._trailers = []
            self._state = HEAD
        else:
            await self._send_other(kind, message)

    async def _send_other(self, kind: str, message: Message) -> None:
        state = self._state
        if state >= LEFT:
            # An end that brings nothing is what an application says that did not hear of it yet.
            if kind == "http.response.body" and not message.get("body") and not message.get("more_body", False):
                return
            error = "the client left before the response was complete"
            raise ClientDisconnectedError(error)
        if state == DONE:
            logger.warning("the ASGI application sent %r after its response was complete: it is ignored", kind)
        elif state == STREAM and kind == "http.response.body":
            await self._send_body(message)
        elif state == START and kind == "http.response.early_hint":
            self._send_hints(message)
        elif state in (HEAD, STREAM) and kind == "http.response.pathsend":
            await send_path(self, message)
        elif state in (HEAD, STREAM) and kind == "http.response.zerocopysend":
            await send_descriptor(self, message)
        elif state == TRAILERS and kind == "http.response.trailers":
            self._send_trailers(message)
        else:
            error = f"expected the ASGI message 'http.response.{_EXPECTED[state]}', not {kind!r}"
            raise RuntimeError(error)

    def _send_hints(self, message: Message) -> None:
        """Send 103 (Early Hints, RFC 8297) before the response starts; HTTP/1.0 knows none, and gets none."""
        parts = [b"200"]
        for link in message.get("links", ()):
            parts += (b"Link", link)
        head = b"\n".join(checked_fields(parts))
        lib.sk_res_early_hints(self._handle, head, len(head), len(parts) // 2)

    def _send_trailers(self, message: Message) -> None:
        parts = [b"200", *(self._trailers or [])]
        for pair in message.get("headers", ()):
            parts += pair
        parts = checked_fields(parts)
        if message.get("more_trailers", False):
            self._trailers = parts[1:]
            return
        if not self._takes_trailers:
            parts = parts[:1]
        head = b"\n".join(parts)
        result = lib.sk_res_end_trailers(self._handle, head, len(head), len(parts) // 2)
        if result not in (OK, BUFFERED):
            self._refused(result)
        self._complete()

    def _refused(self, result: int) -> None:
        """Raise what a result of the native side means."""
        if result == GONE:
            if self._state < DONE:
                self._leave()
            error = "the client left before the response was complete"
            raise ClientDisconnectedError(error)
        if result == BAD_LENGTH:
            error = "the body is not as long as the Content-Length of the response says"
            raise RuntimeError(error)
        assert result == BAD_HEAD
        if self._state == HEAD:
            lines = self._head.split(b"\n")
            # Of lines that a line feed split, the last may be a name alone.
            checked(lines if len(lines) % 2 else lines[:-1])
            error = "a name or value of the headers of the response holds a line feed"
            raise ValueError(error)
        # The connection is cut already: the client must not take what follows for the rest.
        self._leave()
        error = "the body is shorter than the Content-Length of the response says"
        raise RuntimeError(error)

    async def _drained(self, ask: Callable[[int], int] = lib.sk_res_want_writable) -> None:
        """Wait until the client has taken what was sent."""
        if self._writers is None:
            self._writers = []
        self._on_wait()
        ask(self._handle)
        await wait(self._writers)
        if self._state >= LEFT:
            error = "the client left before the response was complete"
            raise ClientDisconnectedError(error)

    async def _send_body(self, message: Message) -> None:
        body = message.get("body", b"")
        if body.__class__ is not bytes:
            if not isinstance(body, (bytes, bytearray, memoryview)):
                error = f"'body' of 'http.response.body' must be bytes, not {type(body).__name__}"
                raise TypeError(error)
            body = bytes(body)
        more = message.get("more_body", False)
        if not more and self._state == HEAD and self._trailers is None and len(body) > _WHOLE_MAX:
            await self._send_large(body)
            return
        for start in range(0, max(len(body), 1), _WHOLE_MAX):
            piece = body if len(body) <= _WHOLE_MAX else body[start : start + _WHOLE_MAX]
            last = not more and start + _WHOLE_MAX >= len(body)
            if last and self._trailers is None:
                self._end_stream(piece)
            else:
                await self._send_piece(piece)
        if not more and self._trailers is not None:
            self._state = TRAILERS

    async def _send_piece(self, piece: bytes) -> None:
        if self._state == HEAD:
            head = self._head
            result = _stream(self._handle, head, self._fields, piece)
        else:
            result = _stream(self._handle, None, 0, piece)
        if result not in (OK, BUFFERED):
            self._refused(result)
        self._state = STREAM
        if result == BUFFERED:
            await self._drained()

    def _end_stream(self, piece: bytes) -> None:
        if self._state == HEAD:
            head = self._head
            result = _send(self._handle, head, self._fields, piece, KEEP_LENGTH)
        else:
            result = _send(self._handle, None, 0, piece, 0)
        if result == GONE and not piece:
            self._leave()
            return
        if result not in (OK, BUFFERED):
            self._refused(result)
        self._complete()

    def _begin_sized(self, length: int) -> None:
        """Send the head of a body of a known length."""
        head = self._head
        result = lib.sk_res_try_end(self._handle, head, len(head), self._fields, b"", 0, length, KEEP_LENGTH)
        if result <= GONE:
            self._refused(result)
        self._state = STREAM
        if result & _COMPLETE:
            self._complete()

    async def _send_large(self, body: bytes) -> None:
        """Send a whole body without a copy of all of it: pieces are cut as the client takes them."""
        head, fields, taken = self._head, self._fields, 0
        while True:
            piece = body[taken : taken + _WHOLE_MAX]
            result = lib.sk_res_try_end(self._handle, head, len(head), fields, piece, len(piece), len(body), KEEP_LENGTH)
            if result <= GONE:
                self._refused(result)
            self._state = STREAM
            head, fields = b"", 0
            if result & _COMPLETE:
                self._complete()
                return
            taken = lib.sk_res_write_offset(self._handle)
            if not result & _TAKEN:
                await self._drained()
                taken = lib.sk_res_write_offset(self._handle)
