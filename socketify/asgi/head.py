"""The head of a response, as the messages of ASGI have it."""

from __future__ import annotations

from typing import Any

from ..wire.headers import checked, status_line


class _StatusLines(dict[int, bytes]):
    def __missing__(self, status: int) -> bytes:
        line = status_line(status)
        if isinstance(status, int):
            self[status] = line
        return line


#: Status lines by code, made on first use.
STATUS_LINES = _StatusLines()


def raise_no_pairs() -> None:
    """Refuse headers of which one is not a name and a value."""
    message = "headers must be pairs of name and value"
    raise ValueError(message)


def checked_fields(parts: list[Any]) -> list[bytes]:
    """Check the names and values that follow a status line.

    Raises:
        TypeError, ValueError: one of them is not bytes, or holds what it cannot; the message names it.

    """
    if len(parts) % 2 == 0:
        raise_no_pairs()
    for part in parts[1:]:
        if not isinstance(part, bytes):
            message = f"names and values of headers must be bytes, not {type(part).__name__}: {part!r}"
            raise TypeError(message)
    return checked(parts)
