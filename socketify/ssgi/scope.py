"""The contents of a request for SSGI applications, from one native call."""

from __future__ import annotations

from typing import Callable, NamedTuple, Optional, Union

from ..http.ends import split_ends
from ..native import abi
from ..native import scope_text as _scope_text
from ..wire.headers import joined


class Fields:
    """``get_header`` of a request: one value by name, or all as a dict. It outlives the request."""

    __slots__ = ("_headers", "_lines")

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._headers: Optional[dict[str, str]] = None

    def __call__(self, name: Optional[str] = None) -> Union[str, dict[str, str], None]:
        """Return the value of a field or None; without a name all of them. Repeated fields are joined."""
        headers = self._headers
        if headers is None:
            headers = self._headers = {}
            for key, value in zip(self._lines[abi.SCOPE_LINE_FIELDS :: 2], self._lines[abi.SCOPE_LINE_FIELDS + 1 :: 2]):
                headers[key] = joined(key, headers[key], value) if key in headers else value
        return headers.copy() if name is None else headers.get(name.lower())

    def text(self, name: str) -> str:
        """Return the value of a field, or an empty string."""
        value = self(name)
        return value if isinstance(value, str) else ""


class Scope(NamedTuple):
    """A request, in the order of an SSGI application's parameters."""

    server_address: str
    remote_address: str
    method: str
    path: str
    query_string: str
    get_header: Fields


def scope_builder() -> Callable[[int], Scope]:
    """Make the function that returns the scope of the request whose handler runs."""
    known: dict[str, tuple[str, str]] = {}

    def build(handle: int) -> Scope:
        lines = _scope_text(handle).split("\n")
        text = lines[abi.SCOPE_LINE_ENDS]
        ends = known.get(text)
        if ends is None:
            if len(known) > 4096:
                known.clear()
            ends = known[text] = _addresses(text)
        return Scope(
            ends[1],
            ends[0],
            lines[abi.SCOPE_LINE_METHOD],
            lines[abi.SCOPE_LINE_PATH],
            lines[abi.SCOPE_LINE_QUERY],
            Fields(lines),
        )

    return build


def _addresses(ends: str) -> tuple[str, str]:
    """Return client and server as host:port; the server of a Unix-domain socket is its path."""
    words, path = split_ends(ends)
    both = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in zip(words[::2], words[1::2])]
    # The client of a Unix-domain socket has no address, unless a proxy names one.
    return (both[0] if both else "", both[1] if len(both) > 1 else path)
