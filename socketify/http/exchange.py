"""An exchange: one request and its response, as the framework knows them behind the objects that handlers see."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Callable, Optional, Union

from ..core.core import Core
from ..core.live import LiveReference
from ..native import header as _header
from ..native import lib
from ..native import send as _send
from ..native.abi import BAD_HEAD, GONE, OK, STALE
from ..native.collected_bytes import CollectedBytes
from ..wire.event_streams import is_event_stream
from .body_reader import BodyReader
from .head import HeadHook, ResponseHead
from .snapshot import Snapshot

#: Is called with the response when the client has left.
AbortHandler = Callable[[Any], Any]

_dump: Callable[[int], int] = lib.sk_req_dump

_LATE_READING = "{}: the response has ended already, and the body of its request is gone: read it before the answer"


class Exchange:
    """What a request and its response have in common; both have it. It serves one request after the other.

    Once the client has left, it sends nothing and raises nothing; once the response has ended, it raises
    RuntimeError for calls that are too late.

    Args:
        core: of the app.

    """

    # `dirty`, `handle`, `request_handle` and `passes_on` are read and written by native code where they lie.
    __slots__ = (
        "_abort_handlers",
        "aborted",
        "compress",
        "core",
        "dirty",
        "failed",
        "handle",
        "held",
        "holds",
        "is_sized",
        "made_head",
        "names",
        "offset_base",
        "passes_on",
        "reader",
        "request_extras",
        "request_handle",
        "response",
        "response_extras",
        "snapshot",
        "writable_handler",
        "write_waiter",
    )

    def __init__(self, core: Core) -> None:
        self.core = core
        #: Of the response; 0 once it has ended.
        self.handle = 0
        #: Of the request, as long as it can be read: until its handler returns.
        self.request_handle = 0
        #: Of the parameters of its route.
        self.names: tuple[str, ...] = ()
        self.reset()

    def reset(self) -> None:
        """Make it ready for another request."""
        #: Whether something was set that the next request must not see.
        self.dirty = False
        #: 1 to pass the request on to the next matching route.
        self.passes_on = 0
        #: Whether the client left before the response ended.
        self.aborted = False
        #: Whether the request failed and that was reported: errors that follow from it are not reported again.
        self.failed = False
        #: Whether the response may be compressed.
        self.compress = True
        #: What a whole response waits for, counted, and what is sent then: handle, head, number of fields, body, flags.
        self.holds = 0
        self.held: Optional[tuple[int, bytes, int, bytes, int]] = None
        self.snapshot: Optional[Snapshot] = None
        self.request_extras: Optional[dict[str, Any]] = None
        self.response_extras: Optional[dict[str, Any]] = None
        #: The response, once its events are followed.
        self.response: Optional[LiveReference] = None
        #: The head, once it was asked for: methods that are called often ask here first, as a property is a call.
        self.made_head: Optional[ResponseHead] = None
        self.reader: Optional[BodyReader] = None
        self._abort_handlers: Union[AbortHandler, tuple[AbortHandler, ...]] = ()
        #: Whether the body was begun with its whole size, and what its offset is counted from.
        self.is_sized = False
        self.offset_base = 0
        self.write_waiter: Optional[asyncio.Future[None]] = None
        self.writable_handler: Optional[Callable[[Any, int], Any]] = None

    # ---- the request

    def preserve(self) -> None:
        """Copy the request's contents, unless it cannot be read any more because its connection became a websocket."""
        if self.snapshot is None:
            length = _dump(self.request_handle)
            if length != STALE:
                self.snapshot = Snapshot(str(self.core.view[:length], "latin-1"))
                self.dirty = True

    def own_request_extras(self) -> dict[str, Any]:
        """Return the values of the properties that extensions added to the request."""
        if self.request_extras is None:
            self.dirty = True
            self.request_extras = {}
        return self.request_extras

    def own_response_extras(self) -> dict[str, Any]:
        """Return the values of the properties that extensions added to the response."""
        if self.response_extras is None:
            self.dirty = True
            self.response_extras = {}
        return self.response_extras

    # ---- threads

    @property
    def is_elsewhere(self) -> bool:
        """Whether the calling thread is not the app's: native code does not know the response in other threads."""
        return threading.get_ident() != self.core.thread

    def forward(self, res: Any, function: Callable[..., object], *arguments: Any) -> None:
        """Let the app's thread call a function, after all that was forwarded before; an error goes to the error handler."""
        self.core.forward(self._forwarded, res, function, arguments)

    def _forwarded(self, res: Any, function: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        if not self.aborted:
            self.core.guard(res, function, *arguments)

    def check_thread(self, what: str) -> None:
        """Raise a RuntimeError in other threads than the app's, for methods that have a result or cannot be forwarded."""
        if self.handle and self.is_elsewhere:
            raise RuntimeError(elsewhere(what))

    # ---- what happens after the handler returned

    def follow(self, res: Any) -> None:
        """Pass on the response's events from now on, while something refers to it; when nothing does any more, it fails."""
        core, handle = self.core, self.handle
        live = core.live
        if handle in live:
            return
        self.dirty = True

        # The callbacks of its events may hold the response, so the exchange is not held on their account.
        reference = self.response = live[handle] = LiveReference(res, core.on_dropped)
        reference.handle = handle
        if core.forgotten is not None and core.loop is not None:
            core.forgotten.expect(core.loop)

    def keep(self, res: Any) -> None:
        """Hold a response until its events have happened, as nothing else may hold it."""
        self.follow(res)
        self.core.kept[self.handle] = res

    def let_go(self) -> None:
        """Stop holding a response that a coroutine left unanswered, unless a handler of the user's is still to be called."""
        is_reading = self.reader is not None and self.reader.is_reading
        if self.handle and self.writable_handler is None and not is_reading:
            self.core.kept.pop(self.handle, None)

    def forget(self) -> None:
        """Release what ties it to the native side; who waits for the rest of the request's body gets a RuntimeError."""
        self.core.forget(self.handle)
        self.handle = 0
        self.response = None
        if self.reader is not None and self.reader.is_reading:
            self.reader.fail(RuntimeError(_LATE_READING.format("reading the body")))

    # ---- the client

    @property
    def abort_handlers(self) -> tuple[AbortHandler, ...]:
        """What is called when the client leaves, in this order. One alone, which is usual, is kept without a tuple."""
        kept = self._abort_handlers
        return (kept,) if callable(kept) else kept

    @abort_handlers.setter
    def abort_handlers(self, handlers: tuple[AbortHandler, ...]) -> None:
        self._abort_handlers = handlers[0] if len(handlers) == 1 else handlers

    def refuse_late(self, what: str) -> None:
        """Raise a RuntimeError, as the response has ended; but not when the client left."""
        if not self.aborted:
            message = f"{what}: the response has ended already: return after the answer, or ask res.has_responded() before"
            raise RuntimeError(message)

    def refuse_late_reading(self, what: str) -> None:
        """Raise a RuntimeError, as the body of the request went with its response; but not when the client left."""
        if not self.aborted:
            raise RuntimeError(_LATE_READING.format(what))

    def mark_aborted(self) -> None:
        """Take note that the client left."""
        self.handle = 0
        self.response = None
        self.dirty = True
        self.aborted = True

    # ---- the response

    @property
    def head(self) -> ResponseHead:
        """Status and fields; made when they are asked for first, as those who wait may be many."""
        if self.made_head is None:
            self.made_head = ResponseHead()
        return self.made_head

    @property
    def has_begun(self) -> bool:
        """Whether the head of the response is out."""
        return self.made_head is not None and self.made_head.is_out

    def head_to_change(self, what: str) -> Optional[ResponseHead]:
        """Return status and fields, to be set; None when the client left.

        Raises:
            RuntimeError: the head was sent already, or the response has ended.

        """
        if not self.handle:
            self.refuse_late(what)
            return None
        head = self.made_head
        if head is None:
            head = self.made_head = ResponseHead()
        elif head.is_out:
            message = f"{what}: the head of the response was sent already"
            raise RuntimeError(message)
        self.dirty = True
        return head

    def before_sending(self, hook: HeadHook) -> None:
        """Call a function that may add fields when the head is sent, also that of an answer to an error; not if it is out."""
        if self.handle and not self.head.is_out:
            self.dirty = True
            self.head.before_sending(hook)

    def hold(self, res: Any, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Let a whole response wait for a coroutine; if that fails, its error is answered instead. For hooks of the head.

        In other threads than the app's it is begun soon, before what they send after this.

        Raises:
            BaseException: what the coroutine raises before it waits.

        """
        if self.is_elsewhere:
            self.core.forward(self._hold_forwarded, res, coroutine)
            return
        failures: list[BaseException] = []
        has_returned = False

        async def held() -> None:
            self.holds += 1
            try:
                await coroutine
            except BaseException as error:
                self.holds -= 1
                self._take_back()
                if not has_returned:
                    failures.append(error)
                    return
                raise
            self.holds -= 1
            response = None if self.holds else self._take_back()
            if response is not None:
                self.finish(_send(*response))

        self.core.run_async(held(), res)
        has_returned = True
        if failures:
            raise failures[0]

    def _hold_forwarded(self, res: Any, coroutine: Coroutine[Any, Any, Any]) -> None:
        try:
            self.hold(res, coroutine)
        except BaseException as error:  # the loop is the caller
            self.core.fail(error, res)
            # The answer that the other thread sends comes too late.
            self.failed = True

    def _take_back(self) -> Optional[tuple[int, bytes, int, bytes, int]]:
        """Return what was to be sent, if anything, and somebody waits for it still; it is not held any more."""
        response, self.held = self.held, None
        if response is None or response[0] not in self.core.live:
            return None
        self.handle = response[0]
        return response

    def send_held(self, res: Any, head: bytes, fields: int, data: bytes, flags: int) -> None:
        """Send a whole response when what it waits for is done. For its handler it has ended."""
        self.keep(res)
        self.held = (self.handle, head, fields, data, flags)
        self.handle = 0

    def let_compress(self, res: Any, may_compress: bool) -> None:
        """Let the response be compressed, or not."""
        self.compress = may_compress
        if lib.sk_res_compress(self.handle, may_compress) == GONE and self.is_elsewhere:
            self.forward(res, self.let_compress, res, may_compress)

    def encode(self, message: Any) -> bytes:
        """Return the bytes of a message; add the Content-Type of JSON where none was written."""
        data, is_json = self.core.encoded(message)
        if is_json and self.handle and not self.head.is_out and not self.head.has_content_type():
            self.dirty = True
            self.head.add(b"Content-Type", b"application/json")
        return data

    def end(self, res: Any, data: bytes, flags: int) -> None:
        """Send what was written of the head, unless it is out, and the rest of the body."""
        if not self.handle:
            self.refuse_late("end")
            return
        written = self.made_head if self.made_head is not None else self.head
        head, fields = written.take()
        if self.holds and not written.is_out and not self.is_elsewhere:
            self.send_held(res, head, fields, data, flags)
            return
        result = _send(self.handle, head, fields, data, flags)
        if result == GONE and self.is_elsewhere:
            self.forward(res, self.end, res, data, flags)
        else:
            self.finish(result)

    def send_parts(self, res: Any, head: bytes, fields: int, data: bytes, flags: int) -> None:
        """Send a whole response that another thread composed.

        Raises:
            RuntimeError: the response has ended, or its head was sent.
            ValueError: the native side refused the head.

        """
        if not self.handle:
            self.refuse_late("send")
            return
        if self.head.is_out:
            message = "send: the head of the response was sent already"
            raise RuntimeError(message)
        if self.holds:
            self.send_held(res, head, fields, data, flags)
            return
        result = _send(self.handle, head, fields, data, flags)
        if result == BAD_HEAD:
            message = "the native side refused the head of the response"
            raise ValueError(message)
        self.finish(result)

    def finish(self, result: int) -> None:
        """Take the native side's result of ending the response.

        Raises:
            RuntimeError: the native side refused it, and cut the connection.

        """
        self.forget()
        if result == BAD_HEAD:
            message = "the body is shorter than the length that was announced: the connection is closed"
            raise RuntimeError(message)
        if result == GONE:
            self.mark_aborted()

    def asks_for(self, content_type: str) -> bool:
        """Return whether Accept names a content type; False where the request cannot be read any more."""
        if self.snapshot is not None:
            field = next((value for name, value in self.snapshot.headers if name == "accept"), None)
        else:
            try:
                field = _header(self.request_handle or self.handle, "accept")
            except RuntimeError:
                return False
        return content_type in (field or "").lower()

    def answer(self, status: bytes, content_type: bytes, text: str) -> None:
        """Send a whole response in place of what was written before."""
        self.dirty = True
        self.head.status = status
        self.head.fields = [b"Content-Type", content_type, *self.head.added]
        # What clients send as JSON, and names of files, may hold surrogates, which UTF-8 cannot say.
        self.end(None, text.encode(errors="backslashreplace"), 0)

    def cut(self, res: Any) -> None:
        """Close the connection; abort handlers are called."""
        if self.handle:
            self.keep(res)
            if lib.sk_res_close(self.handle) == GONE and self.is_elsewhere:
                self.forward(res, self.cut, res)

    # ---- the body of the request

    def read(self, res: Any, reader: BodyReader, *, keep: bool = False) -> None:
        """Read the body of the request.

        Args:
            res: the response.
            reader: takes it.
            keep: whether to hold the response until all has arrived; else the coroutine that waits for the body holds it.

        Raises:
            RuntimeError: it is being read already, or another thread than the app's calls.

        """
        if self.reader is not None:
            message = "the body of this request is being read already"
            raise RuntimeError(message)
        self.check_thread("reading the body")
        self.dirty = True
        self.reader = reader
        if keep:
            self.keep(res)
        else:
            self.follow(res)
        result = lib.sk_res_read_body(self.handle)
        if result == GONE:
            self.core.events.on_abort(self.handle)
        elif result != OK:
            self.on_body(b"", True)

    # ---- events of the native side

    def on_abort(self) -> None:
        """Handle that the client left."""
        self.core.kept.pop(self.held[0] if self.held is not None else self.handle, None)
        res = self._followed()
        self.mark_aborted()
        reader = self.reader
        for waiter in (reader.waiter if reader is not None else None, self.write_waiter):
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
        for handler in self.abort_handlers:
            self.core.guard(res, handler, res)

    def on_failure(self) -> None:
        """Handle that the request failed: for its handler it is as if the client had left."""
        self.on_abort()
        self.failed = True

    @property
    def collected(self) -> Optional[CollectedBytes]:
        """Where a body goes that is read as a whole."""
        return None if self.reader is None else self.reader.collected

    def on_body(self, chunk: bytes, last: bool) -> None:
        """Take a piece of the request's body."""
        if self.reader is None:
            return
        self.reader.take(chunk, last)
        if last:
            self.let_go()

    def on_writable(self) -> None:
        """Go on: the client has taken what was written."""
        waiter = self.write_waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        if self.writable_handler is not None and self.handle:
            res = self._followed()
            self.core.guard(res, self.writable_handler, res, res.get_write_offset())

    def on_stop(self, _late: bool) -> None:
        """End an event stream when the app stops: for its handler the client left."""
        if self.handle and self.head.is_out and not self.is_sized and is_event_stream(self.head.fields):
            self.core.live.pop(self.handle, None)
            _send(self.handle, b"", 0, b"", 0)
            self.on_abort()

    def _followed(self) -> Any:
        return None if self.response is None else self.response.response


def elsewhere(what: str) -> str:
    """Return the advice for a method that was called from another thread than the app's."""
    return f"{what} was called from another thread than the app's: use app.loop.loop.call_soon_threadsafe(...)"
