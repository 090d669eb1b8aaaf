"""The head of a response: status and fields, until they are sent."""

from __future__ import annotations

from typing import Any


class ResponseHead:
    """What is sent before the body."""

    __slots__ = ("fields", "is_out", "status")

    def __init__(self) -> None:
        #: Whether it was sent.
        self.is_out = False
        self.status = b"200 OK"
        #: Names and values in turn.
        self.fields: list[bytes] = []

    def take(self) -> tuple[bytes, int]:
        """Return the head as the native side sends it, and its number of fields; empty if it was sent before."""
        if self.is_out:
            return b"", 0
        return b"\n".join([self.status, *self.fields]), len(self.fields) // 2

    def has_content_type(self) -> bool:
        """Return whether there is a Content-Type."""
        return has_content_type(self.fields)


def has_content_type(parts: list[Any]) -> bool:
    """Return whether a list of names and values has a Content-Type among its names."""
    for name in parts[::2]:
        text = name.decode("latin-1") if isinstance(name, bytes) else name
        if isinstance(text, str) and text.lower() == "content-type":
            return True
    return False
