"""Routes the requests and websockets of an app to an SSGI application."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable

from .http import SSGIHttpResponse
from .scope import scope_builder
from .websocket import SSGIWebSocket, closed, opened, received

if TYPE_CHECKING:
    from ..app.app import App
    from ..http.request import Request
    from ..http.response import Response

SSGIApplication = Callable[..., Any]


def serve_http(app: App, application: SSGIApplication) -> None:
    """Route all requests of an app to an SSGI application."""
    build = scope_builder()

    def handler(res: Response, _req: Request) -> Any:
        return application("http", *build(res.exchange_.handle), SSGIHttpResponse(res))

    app.any("/*", handler)


def serve_websockets(app: App, application: SSGIApplication, websocket_options: Mapping[str, Any]) -> None:
    """Route all websockets of an app to an SSGI application."""
    build = scope_builder()
    publish = app.publish

    def upgrade(res: Response, _req: Request, socket_context: Any) -> Any:
        scope = build(res.exchange_.handle)
        return application("websocket", *scope, SSGIWebSocket(res, socket_context, scope.get_header, publish))

    for key in ("upgrade", "open", "message", "close"):
        if key in websocket_options:
            message = f"websocket_options cannot have the handler {key!r}: the application handles its websockets"
            raise ValueError(message)
    app.ws("/*", {**websocket_options, "upgrade": upgrade, "open": opened, "message": received, "close": closed})
