"""Status lines and fields of a response, as bytes that cannot break a message (RFC 9110 sections 5.1, 5.5, 15)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Union

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_STATUS = re.compile(rb"[2-9][0-9][0-9](?: [\t\x20-\x7e\x80-\xff]*)?")
_PAIR = 2
#: Status lines by code, of the standard ones.
LINES: dict[int, bytes] = {status.value: f"{status.value} {status.phrase}".encode() for status in HTTPStatus}

Text = Union[str, bytes]
Pairs = Iterable[tuple[Text, Union[str, bytes, int]]]
#: What :meth:`socketify.Response.send` takes for its fields.
Headers = Union[Pairs, Mapping[Any, Any]]


def joined(name: str, first: str, second: str) -> str:
    """Join the values of a field that is repeated (RFC 9110 section 5.3; of Cookie RFC 9113 section 8.2.3).

    Args:
        name: of the field, in lower case.
        first: the value so far.
        second: the one that follows.

    """
    return f"{first}{'; ' if name == 'cookie' else ', '}{second}"


def status_line(status: Union[int, str, bytes]) -> bytes:
    """Return code and reason phrase of a final response.

    An int gets its standard reason phrase, or none when it has none.

    Raises:
        TypeError: the status is not int, str or bytes.
        ValueError: it is not a code from 200 to 999, or the phrase holds control characters.

    """
    if isinstance(status, int) and not isinstance(status, bool):
        line = LINES.get(status) or b"%d " % status
    elif isinstance(status, str):
        line = _latin1(status, "status")
    elif isinstance(status, bytes):
        line = status
    else:
        message = f"status must be int, str or bytes, not {type(status).__name__}"
        raise TypeError(message)
    if not _STATUS.fullmatch(line):
        message = f"status must be a code from 200 to 999 and a reason phrase, not {status!r}"
        raise ValueError(message)
    return line if len(line) > len(b"200") else line + b" "


def is_token(text: str) -> bool:
    """Return whether a text is a token (RFC 9110 section 5.6.2)."""
    return text.isascii() and _NAME.fullmatch(text.encode()) is not None


def field_name(name: Union[str, bytes]) -> bytes:
    """Return a field name (RFC 9110 section 5.1) as bytes.

    Raises:
        TypeError: it is not str or bytes.
        ValueError: it is not a token.

    """
    if not isinstance(name, (str, bytes)):
        message = f"header name must be str or bytes, not {type(name).__name__}"
        raise TypeError(message)
    encoded = _latin1(name, "header name") if isinstance(name, str) else name
    if not _NAME.fullmatch(encoded):
        message = f"header name is not a token: {name!r}"
        raise ValueError(message)
    return encoded


def field_value(name: bytes, value: Union[str, bytes, int]) -> bytes:
    """Return a field value (RFC 9110 section 5.5) as bytes.

    Raises:
        TypeError: it is not str, bytes or int.
        ValueError: it holds control characters, or characters outside latin-1.

    """
    if isinstance(value, str):
        encoded = _latin1(value, f"value of header {name.decode('latin-1')!r}")
    elif isinstance(value, bytes):
        encoded = value
    elif isinstance(value, int) and not isinstance(value, bool):
        encoded = b"%d" % value
    else:
        message = f"value of header {name.decode('latin-1')!r} must be str, bytes or int, not {type(value).__name__}"
        raise TypeError(message)
    if not _VALUE.fullmatch(encoded):
        message = f"value of header {name.decode('latin-1')!r} holds control characters: {value!r}"
        raise ValueError(message)
    return encoded


def flatten(headers: Headers, parts: list[Any]) -> None:
    """Append the names and values of pairs to a list, unchecked.

    Args:
        headers: a mapping, or any iterable of pairs.
        parts: the list, which gets name, value, name, value...

    Raises:
        TypeError: headers is not such an iterable, or yields something else than pairs.
        Exception: whatever the iterable itself raises.

    """
    if isinstance(headers, Mapping):
        headers = headers.items()
    elif isinstance(headers, (str, bytes, bytearray, memoryview)):
        message = f"headers must be an iterable of name and value pairs, not {type(headers).__name__}"
        raise TypeError(message)
    try:
        pairs = iter(headers)
    except TypeError:
        message = f"headers must be an iterable of name and value pairs, not {type(headers).__name__}"
        raise TypeError(message) from None
    for pair in pairs:
        if type(pair) is not tuple and not isinstance(pair, (tuple, list)):
            message = f"headers must yield pairs of name and value, not {pair!r}"
            raise TypeError(message)
        if len(pair) != _PAIR:
            message = f"headers must yield pairs of name and value, not {len(pair)} items: {pair!r}"
            raise TypeError(message)
        parts += pair


def join(parts: list[Any]) -> bytes:
    """Join a status line, names and values to the block that the native side takes.

    It may contain what the native side refuses; then :func:`checked` raises the right error.

    Raises:
        TypeError, ValueError: see :func:`field_name` and :func:`field_value`.

    """
    try:
        return "\n".join(parts).encode("latin-1")
    except (TypeError, UnicodeEncodeError):
        return b"\n".join(checked(parts))


def checked(parts: list[Any]) -> list[bytes]:
    """Check a status line, names and values, and return them as bytes.

    Raises:
        TypeError, ValueError: see :func:`status_line`, :func:`field_name` and :func:`field_value`.

    """
    result = [status_line(parts[0])]
    for index in range(1, len(parts), _PAIR):
        name = field_name(parts[index])
        result += (name, field_value(name, parts[index + 1]))
    return result


def _latin1(text: str, what: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        message = f"{what} has characters outside latin-1: {text!r}"
        raise ValueError(message) from None
