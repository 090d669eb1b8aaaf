"""Routes the requests and websockets of an app to an ASGI application."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .callback import http_callback
from .lifespan import Lifespan
from .protocol import ASGIApplication, Scope
from .scope import ScopeParts
from .websocket_route import ASGIWebSocketRoute

if TYPE_CHECKING:
    from ..app.app import App

#: The patterns of everything.
ALL_PATHS = ("/*",)


def follow_lifespan(app: App, application: ASGIApplication, mode: str, state: Scope) -> None:
    """Let an application start before the first request of an app, and stop after the last."""
    lifespan = Lifespan(application, mode, state)
    app.on_start(lifespan.startup)
    app.on_shutdown(lifespan.shutdown)


def serve_http(
    app: App,
    application: ASGIApplication,
    root_path: str,
    lifespan_mode: str,
    state: Scope,
    *,
    pathsend: bool = False,
    paths: Sequence[str] = ALL_PATHS,
) -> None:
    """Route the requests of an app, all of them by default, to an ASGI application."""
    if lifespan_mode != "off":
        follow_lifespan(app, application, lifespan_mode, state)
    parts = ScopeParts("http", app.is_secure, root_path, state, proxied=app.core.reads_proxy_headers, pathsend=pathsend)
    callback = http_callback(app.core, application, parts)
    for path in paths:
        app.core.route("*", path, callback)


def serve_websockets(
    app: App, application: ASGIApplication, options: Mapping[str, Any], root_path: str, lifespan_mode: str
) -> None:
    """Route all websockets of an app to an ASGI application, in addition to what serves its requests."""
    state: Scope = {}
    if lifespan_mode != "off":
        follow_lifespan(app, application, lifespan_mode, state)
    route_websockets(app, application, options, root_path, state)


def route_websockets(
    app: App,
    application: ASGIApplication,
    options: Mapping[str, Any],
    root_path: str,
    state: Scope,
    paths: Sequence[str] = ALL_PATHS,
) -> None:
    """Route the websockets of an app to an ASGI application whose lifespan is followed elsewhere."""
    parts = ScopeParts("websocket", app.is_secure, root_path, state, proxied=app.core.reads_proxy_headers)
    for path in paths:
        ASGIWebSocketRoute(app.core, application, parts.builder(), options, app.topics, path)
