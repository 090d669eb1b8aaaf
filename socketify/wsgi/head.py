"""Heads of WSGI responses: status and fields, checked when start_response is called."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

from ..wire.headers import checked

_KNOWN_MAX = 256
_KNOWN_BYTES_MAX = 2048
#: Fields about the connection, which are the server's own (PEP 3333, RFC 9110 section 7.6.1); the native side handles
#: Connection, and drops Transfer-Encoding.
_HOP_BY_HOP = frozenset(
    ("keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "trailers", "transfer-encoding", "upgrade")
)


class Head(NamedTuple):
    """The head of a response as the native side takes it."""

    block: bytes
    fields: int
    #: The value of its Content-Length, or None.
    length: Optional[int]

    def with_length(self, length: int) -> Head:
        """Add a Content-Length."""
        return Head(b"%b\nContent-Length\n%d" % (self.block, length), self.fields + 1, length)


class Heads:
    """Remembers heads that were used before, as most responses of an application have the same."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], Head] = {}

    def head(self, status: str, headers: list[tuple[str, str]]) -> Head:
        """Check a head.

        Raises:
            TypeError: status is no str, or headers is no list of pairs of str.
            ValueError: the status is no status, a name no token, a value has invalid characters, or Content-Length is no
                number.

        """
        if type(headers) is not list:
            # Anything but a plain list must be checked, even if it holds the fields of a known head.
            return _checked_head(status, headers)
        try:
            key = (status, *headers)
            head = self._known.get(key)
        except TypeError:
            # For headers that are not hashable the check raises the right error.
            return _checked_head(status, headers)
        if head is None:
            head = _checked_head(status, headers)
            if len(head.block) <= _KNOWN_BYTES_MAX:
                if len(self._known) >= _KNOWN_MAX:
                    self._known.clear()
                self._known[key] = head
        return head


def _checked_head(status: Any, headers: Any) -> Head:
    if not isinstance(status, str):
        message = f"status must be str, not {type(status).__name__}"
        raise TypeError(message)
    if not isinstance(headers, list):
        message = f"headers must be a list of (name, value) tuples, not {type(headers).__name__}"
        raise TypeError(message)
    parts: list[Any] = [status]
    length: Optional[int] = None
    for pair in headers:
        if not isinstance(pair, tuple) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
            message = f"headers must be a list of (name, value) tuples of str, not of {pair!r}"
            raise TypeError(message)
        name, value = pair
        lower = name.lower()
        if lower in _HOP_BY_HOP:
            continue
        if lower == "content-length":
            number = _content_length(value)
            if length is not None and length != number:
                message = f"Content-Length is given twice: {length} and {number}"
                raise ValueError(message)
            if length is not None:
                continue
            length = number
            value = str(number)
        parts += (name, value)
    lines = checked(parts)
    return Head(b"\n".join(lines), len(lines) // 2, length)


def _content_length(value: str) -> int:
    digits = value.strip()
    if not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        message = f"Content-Length must be a number of bytes, not {value!r}"
        raise ValueError(message)
    return int(digits)
