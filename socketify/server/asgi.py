"""The ASGI server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional, Union

from ..app.app import App
from ..asgi.callback import http_callback
from ..asgi.common import ASGIApplication, Scope
from ..asgi.lifespan import Lifespan
from ..asgi.scope import ScopeParts
from ..asgi.websocket_route import WebSocketRoute
from ..core.options import AppOptions
from .base import InterfaceServer


class ASGI(InterfaceServer):
    """Serves an ASGI 3 application: HTTP, websockets and lifespan.

    Args:
        app: the application.
        options: TLS files; None for plain HTTP.
        websocket: True for the application's own websockets; else see :class:`InterfaceServer`.
        websocket_options: see :class:`InterfaceServer`.
        task_factory_max_items: as for :class:`socketify.App`.
        lifespan: see :class:`InterfaceServer`.
        pathsend: whether scopes announce ``http.response.pathsend`` and ``http.response.zerocopysend``, which let an
            application name a file that the kernel copies to the connection. False by default: most middlewares that compress
            or change bodies lose such a file.
        **keywords: see :class:`InterfaceServer`.

    """

    def __init__(
        self,
        app: ASGIApplication,
        options: Optional[AppOptions] = None,
        websocket: Any = True,
        websocket_options: Optional[Mapping[str, Any]] = None,
        task_factory_max_items: int = 100_000,
        lifespan: Union[bool, str] = True,
        *,
        pathsend: bool = False,
        **keywords: Any,
    ) -> None:
        self._pathsend = pathsend
        super().__init__(app, options, websocket, websocket_options, task_factory_max_items, lifespan, **keywords)

    def _serve_http(self, native: App) -> None:
        # Of this native app: several of them do not share it.
        self._state: Scope = {}
        secure = is_secure(self._options)
        serve_http(native, self.app, self._root_path, self._lifespan_mode, self._state, secure, pathsend=self._pathsend)

    def _serve_own_websockets(self, native: App) -> None:
        route_websockets(native, self.app, self._websocket_options, self._root_path, self._state, is_secure(self._options))


def is_secure(options: Optional[AppOptions]) -> bool:
    """Tell whether options make connections TLS."""
    return options is not None and options.wants_tls


def follow_lifespan(native: App, application: ASGIApplication, mode: str, state: Scope) -> None:
    """Let an application start before the first request of an app, and stop after the last."""
    lifespan = Lifespan(application, mode, state)
    native.on_start(lifespan.startup)
    native.on_shutdown(lifespan.shutdown)


def serve_http(
    native: App,
    application: ASGIApplication,
    root_path: str,
    lifespan_mode: str,
    state: Scope,
    secure: bool,
    *,
    pathsend: bool = False,
) -> None:
    """Give all requests of an app to an ASGI application."""
    if lifespan_mode != "off":
        follow_lifespan(native, application, lifespan_mode, state)
    parts = ScopeParts("http", secure, root_path, state, pathsend)
    native._route_native("*", "/*", http_callback(application, native, parts, secure))


def serve_websockets(
    native: App,
    application: ASGIApplication,
    websocket_options: Mapping[str, Any],
    root_path: str,
    lifespan_mode: str,
    secure: bool,
) -> None:
    """Give all websockets of an app to an ASGI application, beside whatever serves its requests."""
    state: Scope = {}
    if lifespan_mode != "off":
        follow_lifespan(native, application, lifespan_mode, state)
    route_websockets(native, application, websocket_options, root_path, state, secure)


def route_websockets(
    native: App, application: ASGIApplication, options: Mapping[str, Any], root_path: str, state: Scope, secure: bool
) -> None:
    """Give all websockets of an app to an ASGI application that is started and stopped otherwise."""
    parts = ScopeParts("websocket", secure, root_path, state)
    WebSocketRoute(native, application, parts.builder(), options)
