"""The response, as a handler writes it."""

from __future__ import annotations

import asyncio
import socket
from io import BytesIO
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from .headers import field_name, field_value, status_line
from .native import lib
from .native.declarations import BAD_HEAD, BUSY, END_CONNECTION, GONE, NO_BODY, OK

if TYPE_CHECKING:
    from .app import App

_INT32_MAX = 2**31 - 1
_send = lib.sk_res_send
_write = lib.sk_res_write


class Response:
    """A response to one request.

    Methods without another result return the response, so that calls chain. After the client left they do nothing
    (see :attr:`aborted`); after the response ended they raise RuntimeError.
    """

    __slots__ = (
        "__weakref__",
        "_abort_handlers",
        "_app",
        "_body_sink",
        "_body_waiter",
        "_dirty",
        "_fields",
        "_handle",
        "_started",
        "_status",
        "aborted",
    )

    def __init__(self, app: App) -> None:
        self._app = app
        self._handle = 0
        self._dirty = False
        self._reset()

    def _reset(self) -> None:
        self._dirty = False
        self._started = False
        self._status = b"200 OK"
        self._fields: list[bytes] = []
        self._abort_handlers: list[Callable[[Response], Any]] = []
        self._body_sink: Optional[Callable[[bytes, bool], None]] = None
        self._body_waiter: Optional[asyncio.Future[None]] = None
        #: Whether the client left before the response ended.
        self.aborted = False

    # ---- sending

    def end(self, message: Any = b"", end_connection: bool = False) -> Response:
        """Send the response, or the rest of it.

        Args:
            message: str (sent as UTF-8), bytes, bytearray, memoryview, None for nothing, or anything else, which goes
                through the JSON serializer and gets the content type application/json unless one was written.
            end_connection: close the connection afterwards.

        Raises:
            RuntimeError: the response ended before.

        """
        handle = self._handle
        if not handle:
            return self._late("end")
        data = message if type(message) is bytes else self._encode(message)
        if self._dirty or len(data) > _INT32_MAX:
            return self._end_slowly(data, END_CONNECTION if end_connection else 0)
        result = _send(handle, None, 0, 0, data, len(data), end_connection)
        self._handle = 0
        if result == GONE:
            self._mark_aborted()
        return self

    def cork_end(self, message: Any = b"", end_connection: bool = False) -> Response:
        """Like :meth:`end`: a whole response always leaves as one packet."""
        return self.end(message, end_connection)

    def end_without_body(self, end_connection: bool = False) -> Response:
        """Send the head only; a Content-Length that was written is kept."""
        if not self._handle:
            return self._late("end_without_body")
        return self._end_slowly(b"", NO_BODY | (END_CONNECTION if end_connection else 0))

    def _end_slowly(self, data: bytes, flags: int) -> Response:
        head, fields = self._take_head()
        if len(data) > _INT32_MAX:
            result = lib.sk_res_send_large(self._handle, head, len(head), fields, data, len(data), flags)
        else:
            result = _send(self._handle, head, len(head), fields, data, len(data), flags)
        self._finish(result)
        return self

    def _take_head(self) -> tuple[bytes, int]:
        if self._started:
            return b"", 0
        return b"\n".join([self._status, *self._fields]), len(self._fields) // 2

    def _finish(self, result: int) -> None:
        if result == BAD_HEAD:
            self._app._forget(self)
            message = "the body is shorter than the length that was announced: the connection is closed"
            raise RuntimeError(message)
        self._app._forget(self)
        if result == GONE:
            self._mark_aborted()

    def write_status(self, status: Union[int, str, bytes]) -> Response:
        """Set the status, as 200, "200 OK" or b"200 OK".

        Raises:
            ValueError, TypeError: see :func:`socketify.headers.status_line`.
            RuntimeError: the head was sent already.

        """
        line = status_line(status)
        if self._may_change_head("write_status"):
            self._dirty = True
            self._status = line
        return self

    def write_header(self, name: Union[str, bytes], value: Union[str, bytes, int]) -> Response:
        """Add a field. Content-Length and Transfer-Encoding are the server's own and ignored where it counts itself.

        Raises:
            ValueError, TypeError: the name is not a token, or the value holds control characters.
            RuntimeError: the head was sent already.

        """
        encoded = field_name(name)
        value_encoded = field_value(encoded, value)
        if self._may_change_head("write_header"):
            self._dirty = True
            self._fields += (encoded, value_encoded)
        return self

    def _may_change_head(self, what: str) -> bool:
        if not self._handle:
            self._late(what)
            return False
        if self._started:
            message = f"{what}: the head of the response was sent already"
            raise RuntimeError(message)
        return True

    def write(self, message: Any) -> Response:
        """Send a piece of a body whose length is not known (chunked coding, RFC 9112 section 7.1).

        Raises:
            RuntimeError: the response ended before.

        """
        handle = self._handle
        if not handle:
            return self._late("write")
        data = message if type(message) is bytes else self._encode(message)
        if len(data) > _INT32_MAX:
            for start in range(0, len(data), _INT32_MAX):
                self.write(data[start : start + _INT32_MAX])
            return self
        head, fields = self._take_head()
        result = _write(handle, head, len(head), fields, data, len(data))
        self._started = self._dirty = True
        if result == GONE:
            self._handle = 0
            self._mark_aborted()
        return self

    def write_continue(self) -> Response:
        """Tell the client to send its body (100 Continue, RFC 9110 section 10.1.1). Reading the body does so too."""
        if not self._handle:
            return self._late("write_continue")
        lib.sk_res_write_continue(self._handle)
        return self

    def cork(self, callback: Callable[[Response], Any]) -> Response:
        """Call back, and send what it writes as one packet."""
        if not self._handle:
            return self._late("cork")
        corked = lib.sk_res_cork(self._handle) == OK
        try:
            callback(self)
        finally:
            if corked:
                lib.sk_res_uncork(self._handle)
        return self

    def _encode(self, message: Any) -> bytes:
        if isinstance(message, str):
            return message.encode()
        if isinstance(message, (bytes, bytearray, memoryview)):
            return bytes(message)
        if message is None:
            return b""
        text = self._app._dumps(message)
        if not self._started and not any(name.lower() == b"content-type" for name in self._fields[::2]):
            self.write_header(b"Content-Type", b"application/json")
        return text.encode() if isinstance(text, str) else text

    def _late(self, what: str) -> Response:
        if self.aborted:
            return self
        message = f"{what}: the response has ended already"
        raise RuntimeError(message)

    def _mark_aborted(self) -> None:
        self._dirty = True
        self.aborted = True

    # ---- the request's body

    def on_data(self, handler: Callable[[Response, bytes, bool], Any]) -> Response:
        """Call back with every piece of the request's body: ``handler(res, chunk, is_end)``."""
        if not self._handle:
            return self._late("on_data")
        self._read(lambda chunk, last: self._app._guard(self, handler, self, chunk, last))
        return self

    def _read(self, sink: Callable[[bytes, bool], None]) -> None:
        if self._body_sink is not None:
            message = "the body of this request is being read already"
            raise RuntimeError(message)
        self._dirty = True
        self._body_sink = sink
        self._app._keep(self)
        if lib.sk_res_read_body(self._handle) not in (OK, BUSY):
            sink(b"", True)

    async def get_data(self) -> BytesIO:
        """Give the request's body, or what came of it when the client left."""
        if not self._handle:
            self._late("get_data")
            return BytesIO()
        chunks: list[bytes] = []
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def sink(chunk: bytes, last: bool) -> None:
            chunks.append(chunk)
            if last and not waiter.done():
                waiter.set_result(None)

        self._body_waiter = waiter
        self._read(sink)
        if not waiter.done():
            await waiter
        return BytesIO(b"".join(chunks))

    async def get_text(self, encoding: str = "utf-8") -> str:
        """Give the request's body as text.

        Raises:
            UnicodeDecodeError: it is not of that encoding.

        """
        return (await self.get_data()).getvalue().decode(encoding)

    async def get_json(self) -> Any:
        """Give the request's body through the JSON serializer, which raises its own error for what is not JSON."""
        return self._app._loads((await self.get_data()).getvalue())

    # ---- the connection

    def on_aborted(self, handler: Callable[[Response], Any]) -> Response:
        """Call back when the client leaves before the response ended."""
        if not self._handle:
            return self._late("on_aborted")
        self._dirty = True
        self._abort_handlers.append(handler)
        self._app._keep(self)
        return self

    def has_responded(self) -> bool:
        """Tell whether the response has ended, or the client left."""
        return not self._handle

    def get_write_offset(self) -> int:
        """Give the number of bytes of a sized body that were given to the connection."""
        return int(lib.sk_res_write_offset(self._handle)) if self._handle else 0

    def get_remote_address_bytes(self) -> bytes:
        """Give the client's address, packed into 4 or 16 bytes; empty for Unix-domain sockets and after the end."""
        length = lib.sk_res_remote_address(self._handle) if self._handle else 0
        return bytes(self._app._view[:length]) if length > 0 else b""

    def get_remote_address(self) -> str:
        """Give the client's address as text; empty for Unix-domain sockets and after the end."""
        packed = self.get_remote_address_bytes()
        if not packed:
            return ""
        return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)

    def pause(self) -> Response:
        """Stop reading from the connection."""
        if self._handle:
            lib.sk_res_pause(self._handle)
        return self

    def resume(self) -> Response:
        """Go on reading from the connection."""
        if self._handle:
            lib.sk_res_resume(self._handle)
        return self

    def close(self) -> Response:
        """Cut the connection; abort handlers are called."""
        if self._handle:
            self._app._keep(self)
            lib.sk_res_close(self._handle)
        return self

    def get_native_handle(self) -> int:
        """Give the number by which the native library knows this response; 0 after the end."""
        return self._handle
