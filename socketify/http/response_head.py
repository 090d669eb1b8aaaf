"""The head of a response, as a handler writes it: status and fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional, TypeVar, Union

from ..wire.cookies import set_cookie_field
from ..wire.headers import field_name, field_value, status_line
from .request_body import RequestBody

Self = TypeVar("Self", bound="ResponseHead")


class ResponseHead(RequestBody):
    """What is sent before the body."""

    __slots__ = ("_fields", "_started", "_status")

    def _reset(self) -> None:
        super()._reset()
        self._started = False
        self._status = b"200 OK"
        self._fields: list[bytes] = []

    def write_status(self: Self, status: Union[int, str, bytes]) -> Self:
        """Set the status, as 200, "200 OK" or b"200 OK".

        Raises:
            ValueError, TypeError: see :func:`socketify.wire.headers.status_line`.
            RuntimeError: the head was sent already.

        """
        line = status_line(status)
        if self._may_change_head("write_status"):
            self._dirty = True
            self._status = line
        return self

    def write_header(self: Self, name: Union[str, bytes], value: Union[str, bytes, int]) -> Self:
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

    def set_cookie(self: Self, name: str, value: str, options: Optional[Mapping[str, Any]] = None) -> Self:
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

    def _may_change_head(self, what: str) -> bool:
        if not self._handle:
            self._late(what)
            return False
        if self._started:
            message = f"{what}: the head of the response was sent already"
            raise RuntimeError(message)
        return True

    def _take_head(self) -> tuple[bytes, int]:
        if self._started:
            return b"", 0
        return b"\n".join([self._status, *self._fields]), len(self._fields) // 2

    def _encode(self, message: Any) -> bytes:
        data, is_json = self._encoded(message)
        if is_json and self._handle and not self._started and not has_content_type(self._fields):
            self.write_header(b"Content-Type", b"application/json")
        return data

    def _encoded(self, message: Any) -> tuple[bytes, bool]:
        """Give the bytes of a message, and whether they are JSON."""
        if type(message) is not dict:
            if isinstance(message, str):
                return message.encode(), False
            if isinstance(message, (bytes, bytearray, memoryview)):
                return bytes(message), False
            if message is None:
                return b"", False
        text = self._app._dumps(message)
        return text.encode() if isinstance(text, str) else text, True


def has_content_type(parts: list[Any]) -> bool:
    """Tell whether a list of names and values has a Content-Type among its names."""
    for name in parts[::2]:
        text = name.decode("latin-1") if isinstance(name, bytes) else name
        if isinstance(text, str) and text.lower() == "content-type":
            return True
    return False
