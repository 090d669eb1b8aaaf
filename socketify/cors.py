"""Cross-origin requests: who may read answers from pages of other origins (the Fetch standard, section 3.3)."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Any, Callable, Optional, Union

from .http.request import Request
from .http.response import Response
from .wire.headers import is_token

#: ``*``, one origin, several, or a function that decides.
Origins = Union[str, Iterable[str], Callable[[str], bool]]

# As browsers send it: names of other scripts are encoded (xn--), and ports that go without saying are left out.
_ORIGIN = re.compile(r"(?!http://.*:80$|https://.*:443$)[a-z][a-z0-9+.-]*://(?:(?![/?#@*A-Z])[!-~])+|null")
_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
_REFUSED = 403
_WAITS = "origins must be a function that does not wait: what it would decide later counts as yes"


class CORS:
    """A middleware that lets pages of other origins read answers, those of errors as well, and answers preflight requests.

    Routers that have it among their middlewares route OPTIONS to it: ``app.router("/api", CORS("https://app.example"))``.

    Args:
        origins: as ``https://app.example``, one or several; a function that takes an origin and returns whether it may; or
            ``"*"`` for all.
        methods: that pages may use where they have to ask first.
        headers: fields that pages may set beside those that the standard allows; ``"*"`` for all.
        expose: fields of answers that pages may read beside those that the standard allows.
        credentials: whether pages may send cookies; then origins have to be named.
        max_age: seconds for which browsers keep the answer to a preflight request.

    Raises:
        TypeError: an argument has the wrong type; the function waits.
        ValueError: credentials with ``"*"`` for origins; an origin has a path or is none; a method or field is no token, or a
            method is in lower case.

    """

    def __init__(
        self,
        origins: Origins,
        *,
        methods: Iterable[str] = _METHODS,
        headers: Union[str, Iterable[str]] = (),
        expose: Iterable[str] = (),
        credentials: bool = False,
        max_age: int = 600,
    ) -> None:
        if inspect.iscoroutinefunction(origins):
            raise TypeError(_WAITS)
        self._may = origins if callable(origins) else _checked_origins(origins).__contains__
        #: Whether every origin may, so that answers do not depend on it.
        self._is_open = not callable(origins) and self._may("*")
        if self._is_open and credentials:
            message = 'credentials=True with origins="*" would let every page act for its visitors: name the origins'
            raise ValueError(message)
        if not isinstance(max_age, int) or isinstance(max_age, bool) or max_age < 0:
            message = f"max_age must be an int of 0 or more, in seconds, not {max_age!r}"
            raise ValueError(message)
        self._methods = _tokens("methods", methods)
        if "*" in self._methods:
            message = "methods must be named: '*' is none of them"
            raise ValueError(message)
        for each in self._methods:
            # They are case-sensitive, and browsers send the usual ones in upper case (Fetch standard, section 2.2.1).
            if each.upper() in _METHODS and each not in _METHODS:
                message = f"methods must be as they are sent, as {each.upper()!r}, not {each!r}"
                raise ValueError(message)
        named = headers if isinstance(headers, str) else list(headers)
        self._takes_all_headers = named in ("*", ["*"])
        self._headers = () if self._takes_all_headers else _tokens("headers", named)
        if "*" in self._headers:
            message = 'headers="*" stands alone'
            raise ValueError(message)
        self._lower_headers = {each.lower() for each in self._headers}
        self._credentials = [b"Access-Control-Allow-Credentials", b"true"] if credentials else []
        exposed = ", ".join(_tokens("expose", expose)).encode()
        self._exposed = [b"Access-Control-Expose-Headers", exposed] if exposed else []
        self._max_age = max_age

    def __call__(self, res: Response, req: Request, data: Any = None) -> Any:
        """Answer a preflight request; else let the answer have its fields, and pass on the data, or True."""
        if req.get_method() == "OPTIONS" and _is_preflight(req):
            self.preflight(res, req)
            return None
        fields = self._fields(req.get_header("origin"))
        if fields:
            fields += self._exposed
        res.exchange_.before_sending(lambda written: self._added(written, fields))
        return data or True

    def preflight(self, res: Response, req: Request) -> None:
        """Answer a preflight request; pass another one on to the next route. It is a handler of OPTIONS."""
        if not _is_preflight(req):
            req.set_yield(True)
            return
        origin = req.get_header("origin") or ""
        method = req.get_header("access-control-request-method") or ""
        asked = (req.get_header("access-control-request-headers") or "").split(",")
        names = [each.strip() for each in asked if each.strip()]
        res.write_header("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
        refusal = self._refusal(origin, method, names)
        if refusal:
            res.send(refusal, status=_REFUSED)
            return
        fields = self._fields(origin)
        for name, value in zip(fields[::2], fields[1::2]):
            res.write_header(name, value)
        res.write_header("Access-Control-Allow-Methods", ", ".join(self._methods))
        allowed = names if self._takes_all_headers else self._headers
        if allowed:
            res.write_header("Access-Control-Allow-Headers", ", ".join(allowed))
        res.write_header("Access-Control-Max-Age", self._max_age)
        res.write_status(204).end_without_body()

    def _refusal(self, origin: str, method: str, names: list[str]) -> str:
        if not self._fields(origin):
            return "requests from this origin are not allowed"
        if method not in self._methods:
            return "this method is not allowed from other origins"
        for each in names:
            if not is_token(each) or not (self._takes_all_headers or each.lower() in self._lower_headers):
                return f"the field {each} is not allowed from other origins"
        return ""

    def _fields(self, origin: Optional[str]) -> list[bytes]:
        """Return the fields for an origin; none where it may not."""
        if self._is_open:
            return [b"Access-Control-Allow-Origin", b"*"]
        if origin is None:
            return []
        decided = self._may(origin)
        if inspect.isawaitable(decided):
            if inspect.iscoroutine(decided):
                decided.close()
            raise TypeError(_WAITS)
        if not decided:
            return []
        return [b"Access-Control-Allow-Origin", origin.encode("latin-1"), *self._credentials]

    def _added(self, written: list[bytes], fields: list[bytes]) -> list[bytes]:
        """Return what is to be added to the fields that a handler has written, which go before."""
        names = {name.lower() for name in written[::2]}
        added = [] if b"access-control-allow-origin" in names else list(fields)
        if not self._is_open:
            varies = b",".join(value for name, value in zip(written[::2], written[1::2]) if name.lower() == b"vary")
            if not {b"origin", b"*"} & {each.strip().lower() for each in varies.split(b",")}:
                added += (b"Vary", b"Origin")
        return added


def _is_preflight(req: Request) -> bool:
    return req.get_header("origin") is not None and req.get_header("access-control-request-method") is not None


def _checked_origins(origins: Union[str, Iterable[str]]) -> frozenset[str]:
    named = [origins] if isinstance(origins, str) else list(origins)
    for each in named:
        if not isinstance(each, str):
            message = f"origins must be str, or a function, not {each!r}"
            raise TypeError(message)
        if each == "*" and len(named) > 1:
            message = 'origins="*" stands alone'
            raise ValueError(message)
        if each != "*" and _ORIGIN.fullmatch(each) is None:
            message = (
                "origins must be as browsers send them, as 'https://app.example', in lower case and ASCII, without a path and "
                f"without the usual port, not {each!r}; a function can let more of them"
            )
            raise ValueError(message)
    return frozenset(named)


def _tokens(what: str, names: Iterable[str]) -> tuple[str, ...]:
    if isinstance(names, str):
        message = f"{what} must be several names, as [{names!r}]"
        raise TypeError(message)
    found = tuple(names)
    for each in found:
        if not isinstance(each, str) or not is_token(each):
            message = f"{what} must be tokens (RFC 9110 section 5.6.2), not {each!r}"
            raise ValueError(message)
    return found
