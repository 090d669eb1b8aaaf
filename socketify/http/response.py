"""The response, as a handler writes it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Callable, Optional, Union
from urllib.parse import quote

from ..native import lib, response_end
from ..native import send as _send
from ..native import send_with as _send_with
from ..native import write as _write
from ..native.abi import BAD_HEAD, END_CONNECTION, GONE, NO_BODY, OK
from ..wire.cookies import set_cookie_field
from ..wire.headers import LINES, Headers, Text, checked, field_name, field_value, flatten, join, status_line
from .connection import ClientConnection
from .event_stream import EventStream
from .exchange import Exchange
from .head import has_content_type
from .request import Request
from .sized_body import as_view, bytes_taken, checked_size, drain, send_chunk, try_end
from .upgrade import UpgradeContext

# Defaults of send; their identity distinguishes them from equal values that a user passes.
_TEXT_PLAIN = bytes(bytearray(b"text/plain"))
_OK_LINE = bytes(bytearray(b"200 OK"))
_JSON = bytes(bytearray(b"application/json"))
_JSON_HEAD = b"200 OK\nContent-Type\napplication/json"
_HTML = b"text/html; charset=utf-8"
_REDIRECTS = range(300, 400)
# RFC 3986: characters that a reference can hold as they are; a percent sign is taken to begin an existing escape.
_REFERENCE = "!#$%&'()*+,/:;=?@[]~"


class Response(ClientConnection):
    """A response to one request.

    Methods without another result return the response, so that calls chain. After the client left they do nothing
    (see :attr:`aborted`); after the response ended they raise RuntimeError. Any attribute can be set on a response.
    """

    __slots__ = ()

    # ---- the head

    def write_status(self, status_or_status_text: Union[int, str, bytes]) -> Response:
        """Set the status, as 200, "200 OK" or b"200 OK".

        Raises:
            ValueError, TypeError: see :func:`socketify.wire.headers.status_line`.
            RuntimeError: the head was sent already.

        """
        line = status_line(status_or_status_text)
        head = self.exchange_.head_to_change("write_status")
        if head is not None:
            head.status = line
        return self

    def write_header(self, key: Union[str, bytes], value: Union[str, bytes, int]) -> Response:
        """Add a field. Content-Length and Transfer-Encoding are ignored where the server sets them itself.

        Raises:
            ValueError, TypeError: the key, its name, is not a token, or the value holds control characters.
            RuntimeError: the head was sent already.

        """
        encoded = field_name(key)
        value_encoded = field_value(encoded, value)
        head = self.exchange_.head_to_change("write_header")
        if head is not None:
            head.fields += (encoded, value_encoded)
        return self

    def set_cookie(self, name: str, value: str, options: Optional[Mapping[str, Any]] = None) -> Response:
        """Add a Set-Cookie field (RFC 6265 section 4.1).

        Args:
            name: a token.
            value: any text without control characters.
            options: attributes, see :func:`socketify.wire.cookies.set_cookie_field`.

        Raises:
            TypeError, ValueError: the name, the value or an option cannot be sent.
            RuntimeError: the head was sent already.

        """
        return self.write_header(b"Set-Cookie", set_cookie_field(name, value, options))

    # ---- sending

    def send(
        self,
        message: Any = b"",
        content_type: Optional[Text] = _TEXT_PLAIN,
        status: Union[int, str, bytes] = _OK_LINE,
        headers: Optional[Headers] = None,
        end_connection: bool = False,
    ) -> Response:
        """Send status, fields and body: the whole response, with one call into native code.

        Args:
            message: as for :meth:`end`; what goes through the JSON serializer is ``application/json`` unless a content
                type is given.
            content_type: value of Content-Type; None for none. The default is replaced by one among the headers, or by one
                that was written before.
            status: as 200, "200 OK" or b"200 OK". The default is replaced by one that was written before.
            headers: a mapping, or any iterable of pairs of name and value, each str (latin-1) or bytes; values also int.
                They follow those that were written before.
            end_connection: close the connection afterwards.

        Raises:
            TypeError: headers yields what is no pair, or a part has the wrong type.
            ValueError: a name is no token, or a name or value holds characters that it cannot (RFC 9110 section 5).
            RuntimeError: the response ended before, or its head was sent.
            Exception: whatever the iterable or the JSON serializer raises.
                After each of these nothing of this response was sent: it can still be answered.

        """
        if type(message) is bytes:
            data = message
        elif type(message) is str:
            data = message.encode()
        else:
            data, is_json = self.exchange_.core.encoded(message)
            if is_json and content_type is _TEXT_PLAIN:
                content_type = _JSON
        exchange = self.exchange_
        flags = END_CONNECTION if end_connection else 0
        result: Optional[int] = None
        parts: Optional[list[Any]] = None
        if not exchange.dirty and exchange.handle:
            gives_way = content_type is _TEXT_PLAIN or content_type is _JSON
            line = LINES.get(status) if type(status) is int else status
            pairs = list(headers.items()) if type(headers) is dict else headers
            result = _send_with(exchange.handle, line, content_type, gives_way, pairs, data, flags)
        if result is None or result == BAD_HEAD:
            parts = _head_parts(exchange, content_type, status, headers)
            handle = exchange.handle
            if not handle:
                exchange.refuse_late("send")
                return self
            if exchange.holds and not exchange.is_elsewhere:
                checked(parts)
                exchange.send_held(self, join(parts), len(parts) // 2, data, flags)
                return self
            result = _send(handle, join(parts), len(parts) // 2, data, flags)
        if result == GONE and exchange.is_elsewhere:
            parts = parts or _head_parts(exchange, content_type, status, headers)
            exchange.forward(self, exchange.send_parts, self, join(parts), len(parts) // 2, data, flags)
            return self
        if result == BAD_HEAD and parts is not None:
            checked(parts)
            message = "the native side refused the head of the response"
            raise ValueError(message)
        if exchange.dirty or result == GONE:
            exchange.finish(result)
        exchange.handle = 0
        return self

    def cork_send(
        self,
        message: Any = b"",
        content_type: Optional[Text] = _TEXT_PLAIN,
        status: Union[int, str, bytes] = _OK_LINE,
        headers: Optional[Headers] = None,
        end_connection: bool = False,
    ) -> Response:
        """Like :meth:`send`: a whole response always leaves as one packet."""
        return self.send(message, content_type, status, headers, end_connection)

    def redirect(self, location: str, status_code: int = 302) -> Response:
        """Send the client elsewhere (RFC 9110 section 15.4).

        Args:
            location: a URI reference; characters that it cannot hold are percent-encoded.
            status_code: 300 to 399.

        Raises:
            ValueError: the status is no redirection, or the location holds control characters.
            TypeError: the location is no str.

        """
        if not isinstance(location, str):
            message = f"location must be str, not {type(location).__name__}"
            raise TypeError(message)
        if status_code not in _REDIRECTS:
            message = f"status_code of a redirection must be 300 to 399, not {status_code!r}"
            raise ValueError(message)
        if any(character < " " or character == "\x7f" for character in location):
            message = f"location holds control characters: {location!r}"
            raise ValueError(message)
        return self.send(b"", None, status_code, (("Location", quote(location, safe=_REFERENCE)),))

    def render(self, name: str, /, **kwargs: Any) -> Response:
        """Render a template with the app's template engine and send it, as HTML unless another Content-Type was written.

        Raises:
            RuntimeError: the app has no template engine.

        """
        engine = self.exchange_.core.template
        if engine is None:
            message = "render needs a template engine: app.template(engine)"
            raise RuntimeError(message)
        page = engine.render(name, **kwargs)
        return self.send(page, None if self.exchange_.head.has_content_type() else _HTML)

    def end(self, message: Any = b"", end_connection: bool = False) -> Response:
        """Send the response, or the rest of it.

        Args:
            message: str (sent as UTF-8), bytes, bytearray, memoryview, None for nothing, or anything else, which goes
                through the JSON serializer and gets the content type application/json unless one was written.
            end_connection: close the connection afterwards.

        Raises:
            RuntimeError: the response ended before.

        """
        exchange = self.exchange_
        handle = exchange.handle
        if not handle:
            exchange.refuse_late("end")
            return self
        head: Optional[bytes] = None
        fields = 0
        if type(message) is str:
            data = message.encode()
        elif type(message) is bytes:
            data = message
        else:
            data, is_json = exchange.core.encoded(message)
            if exchange.handle != handle:
                exchange.refuse_late("end")
                return self
            if is_json:
                if not exchange.dirty:
                    head, fields = _JSON_HEAD, 1
                elif not exchange.head.is_out and not exchange.head.has_content_type():
                    exchange.head.add(b"Content-Type", _JSON)
        flags = END_CONNECTION if end_connection else 0
        if exchange.dirty:
            exchange.end(self, data, flags)
            return self
        result = _send(handle, head, fields, data, flags)
        if result == GONE and exchange.is_elsewhere:
            if head is not None:
                self.write_header(b"Content-Type", _JSON)
            # A piece that was forwarded before sends the head with it.
            exchange.forward(self, exchange.end, self, data, flags)
            return self
        exchange.handle = 0
        if result == GONE:
            exchange.mark_aborted()
        return self

    def cork_end(self, message: Any = b"", end_connection: bool = False) -> Response:
        """Like :meth:`end`: a whole response always leaves as one packet."""
        return self.end(message, end_connection)

    def end_without_body(self, end_connection: bool = False) -> Response:
        """Send the head only; a Content-Length that was written is kept."""
        exchange = self.exchange_
        if exchange.handle:
            exchange.end(self, b"", NO_BODY | (END_CONNECTION if end_connection else 0))
        else:
            exchange.refuse_late("end_without_body")
        return self

    def upgrade(
        self,
        sec_web_socket_key: Text,
        sec_web_socket_protocol: Optional[Text],
        sec_web_socket_extensions: Optional[Text],
        socket_context: Any,
        user_data: Any = None,
    ) -> Response:
        """Make the connection a websocket: inside an upgrade handler, at once or after awaiting.

        Headers that were written before are part of the answer (101).

        Args:
            sec_web_socket_key: the request's field of that name.
            sec_web_socket_protocol: the subprotocol to select, which must be one of those that the client offered; of a
                list the first; empty or None for none.
            sec_web_socket_extensions: the request's field of that name; empty or None to negotiate no compression.
            socket_context: what the upgrade handler was given.
            user_data: what ``ws.get_user_data()`` returns.

        Raises:
            TypeError, ValueError: an argument is wrong.
            RuntimeError: the response ended before.

        """
        exchange = self.exchange_
        if not exchange.handle:
            exchange.refuse_late("upgrade")
            return self
        exchange.check_thread("upgrade")
        if not isinstance(socket_context, UpgradeContext):
            message = f"socket_context must be what the upgrade handler of this app was given, not {socket_context!r}"
            raise TypeError(message)
        socket_context.upgrade(exchange, sec_web_socket_key, sec_web_socket_protocol, sec_web_socket_extensions, user_data)
        return self

    def write(self, message: Any) -> Response:
        """Send a piece of a body whose length is not known (chunked coding, RFC 9112 section 7.1).

        Raises:
            RuntimeError: the response ended before.

        """
        exchange = self.exchange_
        handle = exchange.handle
        if not handle:
            exchange.refuse_late("write")
            return self
        if exchange.is_sized:
            message = "write: the body was begun by try_end, with a size: go on with try_end"
            raise RuntimeError(message)
        data = message if type(message) is bytes else exchange.encode(message)
        written = exchange.made_head if exchange.made_head is not None else exchange.head
        head, fields = written.take()
        result = _write(handle, head, fields, data)
        if result == GONE and exchange.is_elsewhere:
            exchange.forward(self, self.write, data)
            return self
        written.is_out = exchange.dirty = True
        if result == GONE:
            exchange.mark_aborted()
        return self

    def write_continue(self) -> Response:
        """Ask the client to send its body (100 Continue, RFC 9110 section 10.1.1). Reading the body does so too."""
        exchange = self.exchange_
        if not exchange.handle:
            exchange.refuse_late("write_continue")
        elif lib.sk_res_write_continue(exchange.handle) == GONE and exchange.is_elsewhere:
            exchange.forward(self, self.write_continue)
        return self

    def cork(self, callback: Callable[[Response], Any]) -> Response:
        """Call back, and send what it writes as one packet.

        Raises:
            TypeError: the callback is a coroutine function.

        """
        exchange = self.exchange_
        if not exchange.handle:
            exchange.refuse_late("cork")
            return self
        result = lib.sk_res_cork(exchange.handle)
        if result == GONE and exchange.is_elsewhere:
            exchange.forward(self, self.cork, callback)
            return self
        corked = result == OK
        try:
            result = callback(self)
            if inspect.iscoroutine(result):
                result.close()
                message = "cork takes a function that does not wait: what is packed together must be written at once"
                raise TypeError(message)
        finally:
            if corked:
                lib.sk_res_uncork(exchange.handle)
        return self

    # ---- bodies at the pace of their client

    def try_end(self, data: Any, total_size: int, end_connection: bool = False) -> tuple[bool, bool]:
        """Write what the connection takes now of a body of a known size.

        Args:
            data: the part of the body that begins at the write offset, as the message of :meth:`end`.
            total_size: bytes of the whole body, the same in every call; it becomes the Content-Length.
            end_connection: close the connection after the response.

        Returns:
            Whether all of the data was taken, and whether the response is complete. What was not taken must be passed
            again, from :meth:`get_write_offset` on, when :meth:`on_writable` calls. (False, True) after the client left.

        Raises:
            ValueError: total_size is negative, or the data goes beyond it.
            RuntimeError: the response ended before.

        """
        checked_size(total_size)
        flags = END_CONNECTION if end_connection else 0
        return try_end(self.exchange_, as_view(self.exchange_, data), total_size, flags)

    async def send_chunk(self, buffer: Any, total_size: int) -> tuple[bool, bool]:
        """Write a piece of a body of a known size, and wait until the connection has taken it.

        Args:
            buffer: the next piece, as for :meth:`end`.
            total_size: bytes of the whole body, the same in every call.

        Returns:
            Whether it was taken, and whether the response is complete; (False, True) when the client left.

        Raises:
            ValueError, RuntimeError: see :meth:`try_end`.

        """
        return await send_chunk(self.exchange_, self, as_view(self.exchange_, buffer), total_size)

    def sse(self, heartbeat: float = 15.0, *, retry: Optional[int] = None, max_buffered: int = 65536) -> EventStream:
        """Begin a stream of events, in a coroutine: ``async with res.sse() as events``; see :class:`socketify.EventStream`.

        Args:
            heartbeat: seconds of silence after which a comment is sent, which proxies and clients take for a sign of life.
            retry: milliseconds after which clients connect again when the stream ended; None for their own, mostly 3 seconds.
            max_buffered: bytes that may wait for the client before ``try_send`` refuses more.

        Raises:
            ValueError: an argument is out of range.

        """
        return EventStream(self, heartbeat, retry, max_buffered)

    async def drain(self) -> Response:
        """Wait until the kernel has taken everything that was written, or the client left."""
        await drain(self.exchange_, self)
        return self

    def get_write_offset(self) -> int:
        """Return the number of bytes of a sized body that the connection has taken."""
        return self.exchange_.offset_base + bytes_taken(self.exchange_)

    def write_offset(self, offset: int) -> Response:
        """Count from another number: what :meth:`get_write_offset` returns now is this offset.

        Raises:
            ValueError: the offset is negative or no int.

        """
        if not isinstance(offset, int) or offset < 0:
            message = f"offset must be an int of 0 or more, not {offset!r}"
            raise ValueError(message)
        exchange = self.exchange_
        if exchange.handle:
            exchange.dirty = True
            exchange.offset_base = offset - bytes_taken(exchange)
        else:
            exchange.refuse_late("write_offset")
        return self

    def on_writable(self, handler: Callable[[Any, int], Any]) -> Response:
        """Call back when the connection takes data again: ``handler(res, offset)``, with the write offset."""
        exchange = self.exchange_
        if not exchange.handle:
            exchange.refuse_late("on_writable")
            return self
        exchange.dirty = True
        exchange.writable_handler = handler
        exchange.keep(self)
        if lib.sk_res_want_writable(exchange.handle) == GONE and exchange.is_elsewhere:
            exchange.forward(self, self.on_writable, handler)
        return self


# The usual call, with str or bytes for a response on which nothing else was set, is made without Python.
setattr(Response, "end", response_end(Response, Request, Exchange, Response.end))  # noqa: B010


def _head_parts(
    exchange: Exchange, content_type: Optional[Text], status: Union[int, str, bytes], headers: Optional[Headers]
) -> list[Any]:
    """Return status, names and values of a whole response, where the native side does not take the arguments as they are."""
    given: list[Any] = []
    if headers is not None:
        flatten(headers, given)
    if exchange.dirty:
        head = exchange.head
        if head.is_out and exchange.handle:
            message = "send: the head of the response was sent already"
            raise RuntimeError(message)
        head.complete()
        given[0:0] = head.fields
        if status is _OK_LINE:
            status = head.status
    parts: list[Any] = [_as_str(status)]
    gives_way = content_type is _TEXT_PLAIN or content_type is _JSON
    if content_type is not None and not (gives_way and given and has_content_type(given)):
        parts += ("Content-Type", _as_str(content_type))
    parts += given
    return parts


def _as_str(text: Union[int, str, bytes]) -> Any:
    """Return a status or a content type as text that can be joined; the checks find values of other types."""
    if type(text) is bytes:
        return text.decode("latin-1")
    return status_line(text).decode("latin-1") if isinstance(text, int) else text
