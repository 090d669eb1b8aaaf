"""The head of a response: status and fields, until they are sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable, Optional, Union

#: Returns more fields, names and values in turn, for those that were written.
HeadHook = Callable[[list[bytes]], list[bytes]]


class ResponseHead:
    """What is sent before the body."""

    __slots__ = ("_hooks", "added", "fields", "is_out", "status")

    def __init__(self) -> None:
        #: Whether it was sent.
        self.is_out = False
        self.status = b"200 OK"
        #: Names and values in turn.
        self.fields: list[bytes] = []
        #: Those that hooks added, which an answer to an error has, too.
        self.added: Union[list[bytes], tuple[()]] = ()
        self._hooks: Optional[list[HeadHook]] = None

    def add(self, name: bytes, value: bytes) -> None:
        """Add a field."""
        self.fields += (name, value)

    def before_sending(self, hook: HeadHook) -> None:
        """Call a function when the head is sent, whatever it will be that sends it."""
        if self._hooks is None:
            self._hooks = []
        self._hooks.append(hook)

    def complete(self) -> None:
        """Let hooks add fields, each of them once. What one raises is raised; the others are called for what is sent then."""
        while self._hooks:
            added = self._hooks.pop(0)([*self.fields])
            self.fields = [*self.fields, *added]
            self.added = [*self.added, *added]

    def withdraw(self, name: bytes, beginning: bytes) -> None:
        """Let an answer to an error not have what a hook added: fields of that name whose value begins so."""
        pairs = zip(self.added[::2], self.added[1::2])
        self.added = [part for pair in pairs if pair[0] != name or not pair[1].startswith(beginning) for part in pair]

    def take(self) -> tuple[bytes, int]:
        """Return the head as the native side sends it, and its number of fields; empty if it was sent before."""
        if self.is_out:
            return b"", 0
        if self._hooks:
            self.complete()
        return b"\n".join([self.status, *self.fields]), len(self.fields) // 2

    def has_content_type(self) -> bool:
        """Return whether there is a Content-Type."""
        return has_content_type(self.fields)


def has_content_type(parts: Sequence[Any]) -> bool:
    """Return whether a list of names and values has a Content-Type among its names."""
    for name in parts[::2]:
        text = name.decode("latin-1") if isinstance(name, bytes) else name
        if isinstance(text, str) and text.lower() == "content-type":
            return True
    return False
