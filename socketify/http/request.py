"""The request, as a handler sees it."""

from __future__ import annotations

from typing import Any, Callable, Optional, Union
from urllib.parse import parse_qsl, unquote

from ..core.own_class import OwnAttributes, setter_of_slot
from ..native import full_url as _full_url
from ..native import header as _header
from ..native import lib
from ..native import method as _method
from ..native import parameter as _parameter
from ..native import url as _url
from ..native.abi import REQUEST_IS_GONE, STALE
from ..wire.cookies import parse_cookies
from ..wire.headers import joined
from .exchange import Exchange
from .snapshot import Snapshot

_dump: Callable[[int], int] = lib.sk_req_dump
_is_ancient = lib.sk_req_is_ancient
_is_secure = lib.sk_req_is_secure
_allowed_methods = lib.sk_req_allowed_methods


def _decoded(text: str) -> str:
    return unquote(text) if "%" in text else text


class Request(OwnAttributes):
    """A request. Valid until its handler returns or first waits, unless preserved. Any attribute can be set on it.

    Raises (every accessor):
        RuntimeError: the handler has returned without :meth:`preserve`, so the request cannot be read any more.
    """

    #: What the framework knows of the request; not for handlers.
    exchange_: Exchange

    __slots__ = ("__weakref__", "exchange_")

    def __init__(self, exchange: Exchange) -> None:
        _set_exchange(self, exchange)

    def _own_extras(self) -> dict[str, Any]:
        return self.exchange_.own_request_extras()

    @property
    def app(self) -> Any:
        """The :class:`socketify.App` that got it."""
        return self.exchange_.core.app()

    def _text(self, length: int) -> str:
        if length == STALE:
            raise RuntimeError(REQUEST_IS_GONE)
        return str(self.exchange_.core.view[:length], "latin-1")

    def _parsed(self) -> Snapshot:
        exchange = self.exchange_
        snapshot = exchange.snapshot
        return snapshot if snapshot is not None else Snapshot(self._text(_dump(exchange.request_handle)))

    def preserve(self) -> Request:
        """Copy the request's contents, so that they outlive the handler's first wait."""
        exchange = self.exchange_
        if exchange.snapshot is None:
            exchange.snapshot = self._parsed()
            exchange.dirty = True
        return self

    def get_method(self) -> str:
        """Return the method as it was sent (RFC 9110 section 9.1), which is in upper case for standard methods."""
        exchange = self.exchange_
        return _method(exchange.request_handle) if exchange.snapshot is None else exchange.snapshot.method

    def get_url(self) -> str:
        """Return the path, without the query."""
        exchange = self.exchange_
        if exchange.snapshot is None:
            return _url(exchange.request_handle)
        return exchange.snapshot.full_url.partition("?")[0]

    def get_full_url(self) -> str:
        """Return the path with the query."""
        exchange = self.exchange_
        return _full_url(exchange.request_handle) if exchange.snapshot is None else exchange.snapshot.full_url

    def get_scheme(self) -> str:
        """Return ``https`` or ``http``: what the client speaks, or what one of the ``trusted_proxies`` says it speaks."""
        exchange = self.exchange_
        if exchange.snapshot is not None:
            return "https" if exchange.snapshot.secure else "http"
        secure: int = _is_secure(exchange.request_handle)
        if secure == STALE:
            self._text(STALE)
        return "https" if secure else "http"

    def get_header(self, lower_case_header: Union[str, bytes]) -> Optional[str]:
        """Return the first value of a field, decoded as latin-1, or None."""
        exchange = self.exchange_
        if lower_case_header.__class__ is not str and isinstance(lower_case_header, bytes):
            lower_case_header = str(lower_case_header, "latin-1")
        if exchange.snapshot is None:
            return _header(exchange.request_handle, lower_case_header)
        name = lower_case_header.lower()
        for name_given, value in exchange.snapshot.headers:
            if name_given == name:
                return value
        return None

    def get_request_id(self) -> Optional[str]:
        """Return the name of the request, which logs and the response have too; None without ``App(request_id=...)``."""
        field = self.exchange_.core.request_id_field
        return self.get_header(field) if field else None

    def get_headers(self) -> dict[str, str]:
        """Return all fields by lower-case name; repeated ones are joined by commas, cookies by semicolons."""
        headers: dict[str, str] = {}
        for name, value in self._parsed().headers:
            headers[name] = joined(name, headers[name], value) if name in headers else value
        return headers

    def for_each_header(self, callback: Callable[[str, str], object]) -> Request:
        """Call back with the lower-case name and value of every field, in the order of sending."""
        for name, value in self._parsed().headers:
            callback(name, value)
        return self

    def get_query(self, key: str) -> Optional[str]:
        """Return the first value of a query parameter, percent-decoded, or None."""
        for name, value in self._pairs():
            if name == key:
                return value
        return None

    def get_query_list(self, key: str) -> list[str]:
        """Return all values of a query parameter that may be repeated, percent-decoded."""
        return [value for name, value in self._pairs() if name == key]

    def get_queries(self) -> dict[str, list[str]]:
        """Return all values of every query parameter, percent-decoded (the form that HTML's forms send)."""
        queries: dict[str, list[str]] = {}
        for name, value in self._pairs():
            queries.setdefault(name, []).append(value)
        return queries

    def _pairs(self) -> list[tuple[str, str]]:
        query = self.get_full_url().partition("?")[2]
        return parse_qsl(query, keep_blank_values=True) if query else []

    def get_parameter(self, index: Union[int, str]) -> Optional[str]:
        """Return a parameter of the route by its position or name, percent-decoded, or None.

        Args:
            index: the position from 0, or the name after the colon.

        """
        exchange = self.exchange_
        if isinstance(index, str):
            if index not in exchange.names:
                return None
            index = exchange.names.index(index)
        if exchange.snapshot is None:
            text = _parameter(exchange.request_handle, index)
            return None if text is None else _decoded(text)
        parameters = exchange.snapshot.parameters
        return _decoded(parameters[index]) if 0 <= index < len(parameters) else None

    def get_parameters(self) -> list[str]:
        """Return all parameters of the route, in their order, percent-decoded."""
        return [_decoded(each) for each in self._parsed().parameters]

    def get_cookie(self, name: str) -> Optional[str]:
        """Return the value of a cookie, or None."""
        return self.get_cookies().get(name)

    def get_cookies(self) -> dict[str, str]:
        """Return the values of all cookies by name; of equal names the first counts."""
        first = self.get_header("cookie")
        # Most requests have one such field, or none.
        return parse_cookies(self.get_headers()["cookie"] if first is not None else None)

    def allowed_methods(self) -> list[str]:
        """List the methods that routes take for this path, for a request that no route took; not once preserved."""
        allowed = self._text(_allowed_methods(self.exchange_.request_handle))
        return allowed.split(", ") if allowed else []

    def set_yield(self, flag: Union[bool, int]) -> Request:
        """Pass the request on to the next matching route when the handler returns."""
        self.exchange_.passes_on = 1 if flag else 0
        self.exchange_.dirty = True
        return self

    def get_yield(self) -> bool:
        """Return whether the request will be passed on."""
        return bool(self.exchange_.passes_on)

    def is_ancient(self) -> bool:
        """Return whether this is HTTP/1.0."""
        exchange = self.exchange_
        if exchange.snapshot is not None:
            return exchange.snapshot.ancient
        found: int = _is_ancient(exchange.request_handle)
        return bool(found) if found != STALE else bool(self._text(STALE))


_set_exchange = setter_of_slot(Request, "exchange_")
