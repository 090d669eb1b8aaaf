"""The SSGI server, and frameworks that choose among interfaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional, Union

from ..app.app import App
from ..asgi import mount as asgi
from ..asgi.scope import SPEC_VERSIONS
from ..core.options import AppOptions
from ..ssgi import mount as ssgi
from ..wsgi import mount as wsgi
from ..wsgi.thread_pool import checked_threads
from .base import InterfaceServer
from .detection import check_interface

#: The interfaces that this server offers to frameworks.
SUPPORTED_INTERFACES = {"asgi": SPEC_VERSIONS["http"], "wsgi": "1.0", "ssgi": "1.0"}


class SSGI(InterfaceServer):
    """Serves an SSGI application, or a framework that offers several interfaces.

    Args:
        app: called as ``app(type, server_address, remote_address, method, path, query_string, get_header, res)``, sync or
            async; or an object with ``get_supported(supported_interfaces)``, which returns
            ``{"http": (name, handler), "websockets": (name, handler)}``: an entry that is missing or None is not served.
        options: as for all servers, see :class:`.InterfaceServer`, and so are those that are not described here.
        websocket: True for the application's own websockets; else see :class:`.InterfaceServer`.
        websocket_options: of the websockets.
        task_factory_max_items: of the app.
        lifespan: of ASGI handlers.
        threads: of a WSGI handler; see :class:`socketify.WSGI`.
        **keywords: see :class:`.InterfaceServer`; ``root_path`` is of WSGI and ASGI handlers.

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
        **keywords: Any,
    ) -> None:
        self._threads = checked_threads(threads)
        self._http, self._websockets = _handlers(app)
        super().__init__(app, options, websocket, websocket_options, task_factory_max_items, lifespan, **keywords)

    def _check_application(self, app: Any) -> None:
        """Accept any application, as :func:`_handlers` has checked it."""

    def _serve_http(self, app: App) -> None:
        self._state: dict[str, Any] = {}
        name, handler = self._http
        if name == "ssgi":
            ssgi.serve_http(app, handler)
        elif name == "wsgi":
            wsgi.serve_http(app, handler, self._root_path, self._threads)
        elif name == "asgi":
            asgi.serve_http(app, handler, self._root_path, self._lifespan_mode, self._state)

    def _serve_own_websockets(self, app: App) -> None:
        name, handler = self._websockets
        options = self._websocket_options
        if name == "ssgi":
            ssgi.serve_websockets(app, handler, options)
        elif name == "asgi" and self._http[0] == "asgi" and handler is self._http[1]:
            # The route of its requests follows its lifespan already.
            asgi.route_websockets(app, handler, options, self._root_path, self._state)
        elif name == "asgi":
            asgi.serve_websockets(app, handler, options, self._root_path, self._lifespan_mode)


_Handler = tuple[Optional[str], Any]


def _handlers(app: Any) -> tuple[_Handler, _Handler]:
    """Return the handlers of requests and of websockets."""
    get_supported = getattr(app, "get_supported", None)
    if get_supported is None:
        if isinstance(app, App):
            check_interface(app, "ssgi")
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
