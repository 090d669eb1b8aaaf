"""The response, as a handler writes it."""

from __future__ import annotations

import inspect
from typing import Any, Callable, Optional, Union
from urllib.parse import quote

from ..native import lib, response_end
from ..native import send as _send
from ..native import send_with as _send_with
from ..native import write as _write
from ..native.abi import BAD_HEAD, END_CONNECTION, GONE, NO_BODY, OK
from ..websocket.route import upgrade
from ..wire.event_streams import is_event_stream
from ..wire.headers import LINES, Headers, Text, checked, flatten, join, status_line
from .request import Request
from .response_flow import ResponseFlow
from .response_head import has_content_type

# Defaults of send, told from what a user gives by their identity.
_TEXT_PLAIN = bytes(bytearray(b"text/plain"))
_OK_LINE = bytes(bytearray(b"200 OK"))
_JSON = bytes(bytearray(b"application/json"))
_JSON_HEAD = b"200 OK\nContent-Type\napplication/json"
_HTML = b"text/html; charset=utf-8"
_REDIRECTS = range(300, 400)
# RFC 3986: what a reference can hold as it is; a percent sign is taken as an escape that is there already.
_REFERENCE = "!#$%&'()*+,/:;=?@[]~"


class Response(ResponseFlow):
    """A response to one request.

    Methods without another result return the response, so that calls chain. After the client left they do nothing
    (see :attr:`aborted`); after the response ended they raise RuntimeError.
    """

    __slots__ = ("_extras", "_failed")

    def _reset(self) -> None:
        super()._reset()
        self._failed = False
        self._extras: Optional[dict[str, Any]] = None

    def _own_extras(self) -> dict[str, Any]:
        """Give the values of the properties that extensions added."""
        if self._extras is None:
            self._dirty = True
            self._extras = {}
        return self._extras

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
            content_type: value of Content-Type; None for none. The default gives way to one among the headers, or to one
                that was written before.
            status: as 200, "200 OK" or b"200 OK". The default gives way to one that was written before.
            headers: a mapping, or any iterable of pairs of name and value, each str (latin-1) or bytes; values also int.
                They come after those that were written before.
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
            data, is_json = self._encoded(message)
            if is_json and content_type is _TEXT_PLAIN:
                content_type = _JSON
        flags = END_CONNECTION if end_connection else 0
        result: Optional[int] = None
        parts: Optional[list[Any]] = None
        if not self._dirty and self._handle:
            gives_way = content_type is _TEXT_PLAIN or content_type is _JSON
            line = LINES.get(status) if type(status) is int else status
            pairs = list(headers.items()) if type(headers) is dict else headers
            result = _send_with(self._handle, line, content_type, gives_way, pairs, data, flags)
        if result is None or result == BAD_HEAD:
            parts = self._head_parts(content_type, status, headers)
            handle = self._handle
            if not handle:
                return self._late("send")
            result = _send(handle, join(parts), len(parts) // 2, data, flags)
        if result == GONE and self._is_elsewhere():
            parts = parts or self._head_parts(content_type, status, headers)
            return self._forward(self._send_parts, join(parts), len(parts) // 2, data, flags)
        if result == BAD_HEAD and parts is not None:
            checked(parts)
            message = "the native side refused the head of the response"
            raise ValueError(message)
        if self._dirty or result == GONE:
            self._finish(result)
        self._handle = 0
        return self

    def _send_parts(self, head: bytes, fields: int, data: bytes, flags: int) -> Response:
        if not self._handle:
            return self._late("send")
        if self._started:
            message = "send: the head of the response was sent already"
            raise RuntimeError(message)
        result = _send(self._handle, head, fields, data, flags)
        if result == BAD_HEAD:
            message = "the native side refused the head of the response"
            raise ValueError(message)
        self._finish(result)
        return self

    def _head_parts(
        self, content_type: Optional[Text], status: Union[int, str, bytes], headers: Optional[Headers]
    ) -> list[Any]:
        given: list[Any] = []
        if headers is not None:
            flatten(headers, given)
        if self._dirty:
            if self._started and self._handle:
                message = "send: the head of the response was sent already"
                raise RuntimeError(message)
            given[0:0] = self._fields
            if status is _OK_LINE:
                status = self._status
        parts: list[Any] = [_as_str(status)]
        gives_way = content_type is _TEXT_PLAIN or content_type is _JSON
        if content_type is not None and not (gives_way and given and has_content_type(given)):
            parts += ("Content-Type", _as_str(content_type))
        parts += given
        return parts

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
        """Send what the app's template engine makes of a template, as HTML unless another Content-Type was written.

        Raises:
            RuntimeError: the app has no template engine.

        """
        engine = self._app._template
        if engine is None:
            message = "render needs a template engine: app.template(engine)"
            raise RuntimeError(message)
        page = engine.render(name, **kwargs)
        return self.send(page, None if has_content_type(self._fields) else _HTML)

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
        head: Optional[bytes] = None
        fields = 0
        if type(message) is str:
            data = message.encode()
        elif type(message) is bytes:
            data = message
        else:
            data, is_json = self._encoded(message)
            if self._handle != handle:
                return self._late("end")
            if is_json:
                if not self._dirty:
                    head, fields = _JSON_HEAD, 1
                elif not self._started and not has_content_type(self._fields):
                    self._fields += (b"Content-Type", _JSON)
        if self._dirty:
            return self._end_slowly(data, END_CONNECTION if end_connection else 0)
        flags = END_CONNECTION if end_connection else 0
        result = _send(handle, head, fields, data, flags)
        if result == GONE and self._is_elsewhere():
            if head is not None:
                self.write_header(b"Content-Type", _JSON)
            # A piece that was forwarded before takes the head along.
            return self._forward(self._end_slowly, data, flags)
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
        if not self._handle:
            return self._late("end")
        head, fields = self._take_head()
        result = _send(self._handle, head, fields, data, flags)
        if result == GONE and self._is_elsewhere():
            return self._forward(self._end_slowly, data, flags)
        self._finish(result)
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
            sec_web_socket_key: what the request's field of that name said.
            sec_web_socket_protocol: the subprotocol to select, which must be one of those that the client offered; of a
                list the first; empty or None for none.
            sec_web_socket_extensions: what the request's field said; empty or None to negotiate no compression.
            socket_context: what the upgrade handler was given.
            user_data: what ``ws.get_user_data()`` gives.

        Raises:
            TypeError, ValueError: an argument is wrong.
            RuntimeError: the response ended before.

        """
        if not self._handle:
            return self._late("upgrade")
        self._check_thread("upgrade")
        upgrade(self, sec_web_socket_key, sec_web_socket_protocol, sec_web_socket_extensions, socket_context, user_data)
        return self

    def _finish(self, result: int) -> None:
        if result == BAD_HEAD:
            self._app._forget(self)
            message = "the body is shorter than the length that was announced: the connection is closed"
            raise RuntimeError(message)
        self._app._forget(self)
        if result == GONE:
            self._mark_aborted()

    def write(self, message: Any) -> Response:
        """Send a piece of a body whose length is not known (chunked coding, RFC 9112 section 7.1).

        Raises:
            RuntimeError: the response ended before.

        """
        handle = self._handle
        if not handle:
            return self._late("write")
        if self._sized:
            message = "write: the body was begun by try_end, with a size: go on with try_end"
            raise RuntimeError(message)
        data = message if type(message) is bytes else self._encode(message)
        head, fields = self._take_head()
        result = _write(handle, head, fields, data)
        if result == GONE and self._is_elsewhere():
            return self._forward(self.write, data)
        self._started = self._dirty = True
        if result == GONE:
            self._handle = 0
            self._mark_aborted()
        return self

    def write_continue(self) -> Response:
        """Tell the client to send its body (100 Continue, RFC 9110 section 10.1.1). Reading the body does so too."""
        if not self._handle:
            return self._late("write_continue")
        if lib.sk_res_write_continue(self._handle) == GONE and self._is_elsewhere():
            return self._forward(self.write_continue)
        return self

    def cork(self, callback: Callable[[Response], Any]) -> Response:
        """Call back, and send what it writes as one packet.

        Raises:
            TypeError: the callback is a coroutine function.

        """
        if not self._handle:
            return self._late("cork")
        result = lib.sk_res_cork(self._handle)
        if result == GONE and self._is_elsewhere():
            return self._forward(self.cork, callback)
        corked = result == OK
        try:
            result = callback(self)
            if inspect.iscoroutine(result):
                result.close()
                message = "cork takes a function that does not wait: what is packed together must be written at once"
                raise TypeError(message)
        finally:
            if corked:
                lib.sk_res_uncork(self._handle)
        return self

    # ---- events

    def _awaits_event(self) -> bool:
        """Tell whether something of the user's is called that may end the response, if nobody else does."""
        return self._writable_handler is not None or self._hears_body()

    def _on_abort(self) -> None:
        self._app._kept.discard(self)
        self._handle = 0
        self._mark_aborted()
        for waiter in (self._body_waiter, self._write_waiter):
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
        for handler in self._abort_handlers:
            self._app._guard(self, handler, self)

    def _on_failure(self) -> None:
        self._on_abort()
        self._failed = True

    def _on_stop(self, _late: bool) -> None:
        """End an event stream when the app stops: for its handler the client left."""
        if self._handle and self._started and not self._sized and is_event_stream(self._fields):
            self._app._live.pop(self._handle, None)
            _send(self._handle, b"", 0, b"", 0)
            self._on_abort()


# The usual call, with str or bytes for a response of which nothing else was set, needs nothing of Python.
setattr(Response, "end", response_end(Response, Request, Response.end))  # noqa: B010


def _as_str(text: Union[int, str, bytes]) -> Any:
    """Make a status or a content type what can be joined with text; what is neither is found by the checks."""
    if type(text) is bytes:
        return text.decode("latin-1")
    return status_line(text).decode("latin-1") if isinstance(text, int) else text
