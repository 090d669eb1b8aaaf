"""The request, as a handler sees it."""

from __future__ import annotations

from typing import Any, Callable, Optional, Union
from urllib.parse import parse_qsl, unquote

from ..native import full_url as _full_url
from ..native import header as _header
from ..native import lib
from ..native import method as _method
from ..native import parameter as _parameter
from ..native import url as _url
from ..native.abi import DUMP_ANCIENT, DUMP_SECURE, STALE
from ..wire.cookies import parse_cookies
from ..wire.headers import joined

_dump = lib.sk_req_dump
_is_ancient = lib.sk_req_is_ancient
_is_secure = lib.sk_req_is_secure
_allowed_methods = lib.sk_req_allowed_methods


def _decoded(text: str) -> str:
    return unquote(text) if "%" in text else text


class _Snapshot:
    """Everything that a request said, copied out of the receive buffer."""

    __slots__ = ("ancient", "full_url", "headers", "method", "parameters", "secure")

    def __init__(self, dump: str) -> None:
        lines = dump.split("\n")
        flags = int(lines[0])
        self.ancient = flags & DUMP_ANCIENT != 0
        self.secure = flags & DUMP_SECURE != 0
        self.method = lines[1]
        self.full_url = lines[2]
        first_field = 4 + int(lines[3])
        self.parameters = lines[4:first_field]
        self.headers = list(zip(lines[first_field::2], lines[first_field + 1 :: 2]))


class Request:
    """A request. Valid until its handler returns or first waits, unless preserved.

    Raises (every accessor):
        RuntimeError: the request is gone because the handler returned without :meth:`preserve`.
    """

    __slots__ = ("__weakref__", "_dirty", "_extras", "_handle", "_names", "_snapshot", "_view", "_yielded")

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._handle = 0
        self._names: tuple[str, ...] = ()
        self._reset()

    def _reset(self) -> None:
        self._dirty = False
        self._yielded = 0
        self._snapshot: Optional[_Snapshot] = None
        self._extras: Optional[dict[str, Any]] = None

    def _own_extras(self) -> dict[str, Any]:
        """Give the values of the properties that extensions added."""
        if self._extras is None:
            self._dirty = True
            self._extras = {}
        return self._extras

    def _text(self, length: int) -> str:
        if length == STALE:
            message = "the request is gone: call preserve() before the handler returns"
            raise RuntimeError(message)
        return str(self._view[:length], "latin-1")

    def _parsed(self) -> _Snapshot:
        snapshot = self._snapshot
        return snapshot if snapshot is not None else _Snapshot(self._text(_dump(self._handle)))

    def preserve(self) -> Request:
        """Copy what the request knows, so that it outlives the handler's first wait."""
        if self._snapshot is None:
            self._snapshot = self._parsed()
            self._dirty = True
        return self

    def _preserve_for_wait(self) -> None:
        """Preserve, unless the request is gone already: its connection became a websocket."""
        if self._snapshot is None:
            length = _dump(self._handle)
            if length != STALE:
                self._snapshot = _Snapshot(self._text(length))
                self._dirty = True

    def get_method(self) -> str:
        """Give the method as it was sent (RFC 9110 section 9.1), which is in upper case for standard methods."""
        return _method(self._handle) if self._snapshot is None else self._snapshot.method

    def get_url(self) -> str:
        """Give the path, without the query."""
        if self._snapshot is None:
            return _url(self._handle)
        return self._snapshot.full_url.partition("?")[0]

    def get_full_url(self) -> str:
        """Give the path with the query."""
        return _full_url(self._handle) if self._snapshot is None else self._snapshot.full_url

    def get_scheme(self) -> str:
        """Give ``https`` or ``http``: what the client speaks, as a trusted proxy says (``App(trusted_proxies=...)``)."""
        if self._snapshot is not None:
            return "https" if self._snapshot.secure else "http"
        secure: int = _is_secure(self._handle)
        if secure == STALE:
            self._text(STALE)
        return "https" if secure else "http"

    def get_header(self, lower_case_name: str) -> Optional[str]:
        """Give the first value of a field, decoded as latin-1, or None."""
        if self._snapshot is None:
            return _header(self._handle, lower_case_name)
        lower_case_name = lower_case_name.lower()
        for name_given, value in self._snapshot.headers:
            if name_given == lower_case_name:
                return value
        return None

    def get_headers(self) -> dict[str, str]:
        """Give all fields by lower-case name; repeated ones are joined by commas, cookies by semicolons."""
        headers: dict[str, str] = {}
        for name, value in self._parsed().headers:
            headers[name] = joined(name, headers[name], value) if name in headers else value
        return headers

    def for_each_header(self, callback: Callable[[str, str], object]) -> Request:
        """Call back with the lower-case name and value of every field, in the order of sending."""
        for name, value in self._parsed().headers:
            callback(name, value)
        return self

    def get_query(self, name: str) -> Optional[str]:
        """Give the first value of a query parameter, percent-decoded, or None."""
        for key, value in self._pairs():
            if key == name:
                return value
        return None

    def get_query_list(self, name: str) -> list[str]:
        """Give all values of a query parameter that may be repeated, percent-decoded."""
        return [value for key, value in self._pairs() if key == name]

    def get_queries(self) -> dict[str, str]:
        """Give the first value of every query parameter, percent-decoded (the form that HTML's forms send)."""
        queries: dict[str, str] = {}
        for key, value in self._pairs():
            queries.setdefault(key, value)
        return queries

    def _pairs(self) -> list[tuple[str, str]]:
        query = self.get_full_url().partition("?")[2]
        return parse_qsl(query, keep_blank_values=True) if query else []

    def get_parameter(self, index: Union[int, str]) -> Optional[str]:
        """Give a parameter of the route by its position or name, percent-decoded, or None.

        Args:
            index: the position from 0, or the name after the colon.

        """
        if isinstance(index, str):
            if index not in self._names:
                return None
            index = self._names.index(index)
        if self._snapshot is None:
            text = _parameter(self._handle, index)
            return None if text is None else _decoded(text)
        return _decoded(self._snapshot.parameters[index]) if 0 <= index < len(self._snapshot.parameters) else None

    def get_parameters(self) -> list[str]:
        """Give all parameters of the route, in their order, percent-decoded."""
        return [_decoded(each) for each in self._parsed().parameters]

    def get_cookie(self, name: str) -> Optional[str]:
        """Give the value of a cookie, or None."""
        return self.get_cookies().get(name)

    def get_cookies(self) -> dict[str, str]:
        """Give the values of all cookies by name; of equal names the first counts."""
        first = self.get_header("cookie")
        # Most requests have one such field, or none.
        return parse_cookies(self.get_headers()["cookie"] if first is not None else None)

    def allowed_methods(self) -> list[str]:
        """List the methods that routes take for this path, for a request that no route took; not once preserved."""
        allowed = self._text(_allowed_methods(self._handle))
        return allowed.split(", ") if allowed else []

    def set_yield(self, flag: Union[bool, int]) -> Request:
        """Pass the request on to the next matching route when the handler returns."""
        self._yielded = 1 if flag else 0
        self._dirty = True
        return self

    def get_yield(self) -> bool:
        """Tell whether the request will be passed on."""
        return bool(self._yielded)

    def is_ancient(self) -> bool:
        """Tell whether this is HTTP/1.0."""
        if self._snapshot is not None:
            return self._snapshot.ancient
        found: int = _is_ancient(self._handle)
        return bool(found) if found != STALE else bool(self._text(STALE))
