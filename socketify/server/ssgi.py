"""The SSGI server, and frameworks that choose among interfaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, Optional, Union

from ..app.app import App
from ..asgi.scope import SPEC_VERSIONS
from ..core.options import AppOptions
from ..http.request import Request
from ..http.response import Response
from ..ssgi.http import SSGIHttpResponse
from ..ssgi.scope import scope_builder
from ..ssgi.websocket import SSGIWebSocket, closed, opened, received
from . import asgi, wsgi
from .base import InterfaceServer

SSGIApplication = Callable[..., Any]
#: What this server offers to frameworks.
SUPPORTED_INTERFACES = {"asgi": SPEC_VERSIONS["http"], "wsgi": "1.0", "ssgi": "1.0"}


class SSGI(InterfaceServer):
    """Serves an SSGI application, or a framework that offers several interfaces.

    Args:
        app: called as ``app(type, server_address, remote_address, method, path, query_string, get_header, res)``, sync or
            async; or an object with ``get_supported(supported_interfaces)``, which gives
            ``{"http": (name, handler), "websockets": (name, handler)}``: what is missing or None is not served.
        options: TLS files; None for plain HTTP.
        websocket: True for the application's own websockets; None or False for none, a dict as :meth:`socketify.App.ws`
            takes it, or an ASGI application that gets all websockets.
        websocket_options: options of :meth:`socketify.App.ws` for the application's websockets.
        task_factory_max_items: as for :class:`socketify.App`.
        lifespan: of ASGI handlers.
        threads: of a WSGI handler; see :class:`socketify.WSGI`.
        root_path: where WSGI and ASGI handlers are mounted.
        **app_options: keyword-only options of :class:`socketify.App`, such as ``server_header`` or ``limits``.

    Raises:
        TypeError: app is neither callable nor a framework, a handler is not callable, or an option is unknown.
        ValueError: an option has a wrong value, or the framework names an interface that this server does not know.

    """

    def __init__(
        self,
        app: Any,
        options: Optional[AppOptions] = None,
        websocket: Any = True,
        websocket_options: Optional[Mapping[str, Any]] = None,
        task_factory_max_items: int = 100_000,
        lifespan: Union[bool, str] = True,
        *,
        threads: int = 1,
        root_path: str = "",
        **app_options: Any,
    ) -> None:
        self._threads = wsgi.checked_threads(threads)
        self._http, self._websockets = _handlers(app)
        super().__init__(
            app,
            options,
            websocket,
            websocket_options,
            task_factory_max_items,
            lifespan,
            root_path=root_path,
            **app_options,
        )

    def _check_application(self, app: Any) -> None:
        """Accept what :func:`_handlers` found handlers of."""

    def _serve_http(self, native: App) -> None:
        self._state: dict[str, Any] = {}
        name, handler = self._http
        if name == "ssgi":
            serve_http(native, handler)
        elif name == "wsgi":
            wsgi.serve_http(native, handler, self._options, self._root_path, self._threads)
        elif name == "asgi":
            asgi.serve_http(native, handler, self._root_path, self._lifespan_mode, self._state, asgi.is_secure(self._options))

    def _serve_own_websockets(self, native: App) -> None:
        name, handler = self._websockets
        if name == "ssgi":
            serve_websockets(native, handler, self._websocket_options)
        elif name == "asgi":
            secure = asgi.is_secure(self._options)
            if self._http[0] == "asgi" and handler is self._http[1]:
                # It is started and stopped already.
                asgi.route_websockets(native, handler, self._websocket_options, self._root_path, self._state, secure)
            else:
                asgi.serve_websockets(native, handler, self._websocket_options, self._root_path, self._lifespan_mode, secure)


_Handler = tuple[Optional[str], Any]


def _handlers(app: Any) -> tuple[_Handler, _Handler]:
    """Find what serves requests and websockets."""
    get_supported = getattr(app, "get_supported", None)
    if get_supported is None:
        if not callable(app):
            message = f"app must be callable, or have get_supported, not {app!r}"
            raise TypeError(message)
        return ("ssgi", app), ("ssgi", app)
    offered = get_supported(dict(SUPPORTED_INTERFACES))
    if not isinstance(offered, Mapping):
        message = f"get_supported must give a dict, not {offered!r}"
        raise TypeError(message)
    websockets = offered.get("websockets", offered.get("websocket"))
    return _checked(offered.get("http"), "http", ("ssgi", "wsgi", "asgi")), _checked(websockets, "websockets", ("ssgi", "asgi"))


def _checked(offer: Any, kind: str, known: tuple[str, ...]) -> _Handler:
    if offer is None:
        return None, None
    if not isinstance(offer, (tuple, list)) or len(offer) != 2:
        message = f"get_supported: {kind!r} must be a pair of name and handler, not {offer!r}"
        raise TypeError(message)
    name, handler = offer
    if name is None or handler is None:
        return None, None
    if name not in known:
        message = f"get_supported: {kind!r} must be one of {', '.join(known)}, not {name!r}"
        raise ValueError(message)
    if not callable(handler):
        message = f"get_supported: the handler of {kind!r} must be callable, not {handler!r}"
        raise TypeError(message)
    return name, handler


def serve_http(native: App, application: SSGIApplication) -> None:
    """Route all requests of a native app to an SSGI application."""
    build = scope_builder()

    def handler(res: Response, _req: Request) -> Any:
        return application("http", *build(res._handle), SSGIHttpResponse(res))

    native._route_native("*", "/*", native._make_callback(handler, ()))


def serve_websockets(native: App, application: SSGIApplication, websocket_options: Mapping[str, Any]) -> None:
    """Route all websockets of a native app to an SSGI application."""
    build = scope_builder()

    def upgrade(res: Response, _req: Request, socket_context: Any) -> Any:
        scope = build(res._handle)
        return application("websocket", *scope, SSGIWebSocket(res, socket_context, scope.get_header))

    for key in ("upgrade", "open", "message", "close"):
        if key in websocket_options:
            message = f"websocket_options cannot have the handler {key!r}: the application handles its websockets"
            raise ValueError(message)
    native.ws("/*", {**websocket_options, "upgrade": upgrade, "open": opened, "message": received, "close": closed})
