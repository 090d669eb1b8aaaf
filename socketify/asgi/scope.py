"""The scopes of ASGI: the contents of a request, from one native call."""

from __future__ import annotations

from typing import Any, Callable, Optional
from urllib.parse import unquote_to_bytes

from ..http.ends import split_ends
from ..native import abi, asgi_scope, capabilities
from ..native import scope as _scope_bytes
from .protocol import Scope
from .tls import ConnectionFacts

#: Returns the flags of the request (SCOPE_*) and its scope.
ScopeBuilder = Callable[[int], tuple[int, Scope]]
End = Optional[tuple[str, Optional[int]]]

_ENDS_MAX = 16384

#: The version of the protocol that scopes name. From 2.4 on Starlette's StreamingResponse waits for no `http.disconnect`, and
#: a generator that waits itself would never hear that its client left: so requests say what uvicorn says.
SPEC_VERSIONS = {"http": "2.3", "websocket": "2.5"}

_HTTP_EXTENSIONS: Scope = {"http.response.early_hint": {}, "http.response.trailers": {}}
#: Bodies that the application does not send as messages, which middlewares that change bodies pass on or lose.
_FILE_EXTENSIONS: Scope = {"http.response.pathsend": {}, "http.response.zerocopysend": {}}

_WEBSOCKET_EXTENSIONS: Scope = {
    "websocket.http.response": {},
    "websocket.subscribe": {},
    "websocket.unsubscribe": {},
    "websocket.publish": {},
}


class _Ends(dict[bytes, tuple[End, End]]):
    """Client and server of connections, by the native side's text about them."""

    def __missing__(self, text: bytes) -> tuple[End, End]:
        if len(self) >= _ENDS_MAX:
            self.clear()
        words, path = split_ends(text.decode("ascii"))
        both: list[End] = [(words[i], int(words[i + 1])) for i in range(0, len(words), 2)]
        local: End = (path, None) if path else None
        ends: tuple[End, End] = (both[0] if both else None, both[1] if len(both) > 1 else local)
        self[text] = ends
        return ends


#: The schemes of http and websocket, without TLS and with it.
_SCHEMES = {"http": ("http", "https"), "websocket": ("ws", "wss")}


class ScopeParts:
    """What all scopes of a server share.

    Args:
        kind: ``http`` or ``websocket``.
        secure: whether the app speaks TLS.
        root_path: where the application is mounted; paths get it as their prefix.
        state: of the lifespan; every scope has a copy.
        proxied: whether connections begin with a header of the PROXY protocol.
        pathsend: whether scopes of requests announce ``http.response.pathsend`` and ``http.response.zerocopysend``.

    """

    def __init__(
        self, kind: str, secure: bool, root_path: str, state: Scope, *, proxied: bool = False, pathsend: bool = False
    ) -> None:
        is_http = kind == "http"
        extensions = {**_HTTP_EXTENSIONS, **(_FILE_EXTENSIONS if pathsend else {})} if is_http else _WEBSOCKET_EXTENSIONS
        self._template: Scope = {
            "type": kind,
            "asgi": {"version": "3.0", "spec_version": SPEC_VERSIONS[kind]},
            "http_version": "1.1",
            "scheme": _SCHEMES[kind][secure],
            "path": "",
            "raw_path": b"",
            "query_string": b"",
            "root_path": root_path,
            "headers": [],
            "client": None,
            "server": None,
            "state": state,
            "extensions": extensions,
        }
        if is_http:
            self._template["method"] = ""
        self._raw_root = root_path.encode()
        self._ends = _Ends()
        self._other_scheme = _SCHEMES[kind][not secure]
        self._facts = ConnectionFacts(secure, proxied).add if secure or proxied else None
        #: The argument of :func:`asgi_scope`, and part of that of :func:`asgi_request`.
        self.native: dict[int, Any] = {
            abi.ASGI_TEMPLATE: self._template,
            abi.ASGI_ROOT_PATH: self._raw_root,
            abi.ASGI_ENDS: self._ends,
            abi.ASGI_DECODE: _decode,
            abi.ASGI_OTHER_SCHEME: self._other_scheme,
            abi.ASGI_FACTS: self._facts,
        }

    def builder(self) -> ScopeBuilder:
        """Make the function that returns flags and scope of the request whose handler runs."""
        return asgi_scope(self.native) if capabilities.iterator_send else self._build

    def _build(self, handle: int) -> tuple[int, Scope]:
        parts = _scope_bytes(handle).split(b"\n")
        flags = (parts[abi.SCOPE_LINE_FLAGS][0] - abi.SCOPE_FLAGS_BASE) % abi.SCOPE_FLAGS_MODULUS
        fields = iter(parts[abi.SCOPE_LINE_FIELDS :])
        scope = self._template.copy()
        for inner in ("asgi", "state", "extensions"):
            scope[inner] = scope[inner].copy()
        prefix = parts[abi.SCOPE_LINE_PREFIX]
        if prefix:
            scope["root_path"] = prefix.decode("ascii")
        raw_path = _mounted(parts[abi.SCOPE_LINE_PATH], prefix or self._raw_root)
        scope["raw_path"] = raw_path
        scope["path"] = _decode(raw_path)
        scope["query_string"] = parts[abi.SCOPE_LINE_QUERY]
        scope["headers"] = list(zip(fields, fields))
        scope["client"], scope["server"] = self._ends[parts[abi.SCOPE_LINE_ENDS]]
        if flags & abi.SCOPE_ANCIENT:
            scope["http_version"] = "1.0"
        elif flags & abi.SCOPE_HTTP_2:
            scope["http_version"] = "2"
        if flags & abi.SCOPE_OTHER_SCHEME:
            scope["scheme"] = self._other_scheme
        if self._facts is not None:
            self._facts(handle, scope["extensions"])
        if "method" in scope:
            scope["method"] = parts[abi.SCOPE_LINE_METHOD].decode("latin-1")
        return flags, scope


def _decode(raw_path: bytes) -> str:
    """Unescape a path."""
    return unquote_to_bytes(raw_path).decode("utf-8", "replace")


def _mounted(raw_path: bytes, root: bytes) -> bytes:
    """Return a path with its mount point, which a proxy in front may have taken off."""
    path = unquote_to_bytes(raw_path)
    is_below = path.startswith(root) and path[len(root) :][:1] in (b"", b"/")
    return raw_path if is_below else root + raw_path
