"""The scopes of ASGI: what a request says, from one native call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Optional
from urllib.parse import unquote_to_bytes

from ..native import calls
from ..native.declarations import SCOPE_ENCODED, SCOPE_OTHER_SCHEME
from .asgi_common import Scope
from .asgi_tls import TLSFacts

if TYPE_CHECKING:
    from ..app import App

#: Flags of the request (SCOPE_*), the scope, and what of it the server must know by itself.
ScopeBuilder = Callable[[int], tuple[int, Scope]]
End = Optional[tuple[str, int]]

_FLAGS_BASE = ord("@")
_ENDS_MAX = 16384
SPEC_VERSION = "2.5"

_HTTP_EXTENSIONS: Scope = {
    "http.response.early_hint": {},
    "http.response.pathsend": {},
    "http.response.trailers": {},
    "http.response.zerocopysend": {},
}

_scope = calls.scope


class _Ends(dict[bytes, tuple[End, End]]):
    """Client and server of connections, by what the native side says of them."""

    def __missing__(self, text: bytes) -> tuple[End, End]:
        if len(self) >= _ENDS_MAX:
            self.clear()
        words = text.decode("ascii").split()
        both = [(words[i], int(words[i + 1])) for i in range(0, len(words), 2)]
        ends: tuple[End, End] = (both[0] if both else None, both[1] if len(both) > 1 else None)
        self[text] = ends
        return ends


class _Methods(dict[bytes, str]):
    """Methods as text."""

    def __missing__(self, method: bytes) -> str:
        text = method.decode("latin-1")
        if len(self) < 64:
            self[method] = text
        return text


#: Of http and websocket, without TLS and with it.
_SCHEMES = {"http": ("http", "https"), "websocket": ("ws", "wss")}


def scope_builder(native: App, kind: str, secure: bool, root_path: str, state: Scope) -> ScopeBuilder:
    """Make the function that gives the scope of the request whose handler runs.

    Args:
        native: the app.
        kind: ``http`` or ``websocket``.
        secure: whether the app speaks TLS.
        root_path: where the application is mounted; paths get it as their prefix.
        state: of the lifespan; every scope has a copy.

    """
    build = _plain_builder(kind, _SCHEMES[kind][secure], root_path, state)
    # What few need costs the others nothing.
    if native._trusts_proxies:
        build = _with_forwarded_scheme(build, _SCHEMES[kind][not secure])
    return _with_tls(build) if secure else build


def _with_forwarded_scheme(build: ScopeBuilder, other: str) -> ScopeBuilder:
    def build_behind_proxy(handle: int) -> tuple[int, Scope]:
        flags, scope = build(handle)
        if flags & SCOPE_OTHER_SCHEME:
            scope["scheme"] = other
        return flags, scope

    return build_behind_proxy


def _with_tls(build: ScopeBuilder) -> ScopeBuilder:
    facts = TLSFacts()

    def build_over_tls(handle: int) -> tuple[int, Scope]:
        flags, scope = build(handle)
        scope["extensions"]["tls"] = facts.of(handle)
        return flags, scope

    return build_over_tls


def _plain_builder(kind: str, scheme: str, root_path: str, state: Scope) -> ScopeBuilder:
    ends = _Ends()
    methods = _Methods()
    raw_root = root_path.encode()
    is_http = kind == "http"

    def build(handle: int) -> tuple[int, Scope]:
        parts = _scope(handle).split(b"\n")
        flags = parts[0][0] - _FLAGS_BASE
        raw_path = parts[2]
        client, server = ends[parts[4]]
        fields = iter(parts[5:])
        path = unquote_to_bytes(raw_path).decode("utf-8", "replace") if flags & SCOPE_ENCODED else raw_path.decode("ascii")
        if root_path:
            path = root_path + path
            raw_path = raw_root + raw_path
        scope = {
            "type": kind,
            "asgi": {"version": "3.0", "spec_version": SPEC_VERSION},
            "http_version": "1.0" if flags & 1 else "1.1",
            "scheme": scheme,
            "path": path,
            "raw_path": raw_path,
            "query_string": parts[3],
            "root_path": root_path,
            "headers": list(zip(fields, fields)),
            "client": client,
            "server": server,
            "state": state.copy(),
        }
        if is_http:
            scope["method"] = methods[parts[1]]
            scope["extensions"] = _HTTP_EXTENSIONS.copy()
        else:
            scope["extensions"] = {"websocket.http.response": {}}
        return flags, scope

    return build
