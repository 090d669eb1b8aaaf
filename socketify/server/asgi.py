"""The ASGI server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional, Union

from ..app.app import App
from ..asgi import mount
from ..asgi.protocol import ASGIApplication, Scope
from ..core.options import AppOptions
from .base import InterfaceServer


class ASGI(InterfaceServer):
    """Serves an ASGI 3 application: HTTP, websockets and lifespan.

    Args:
        app: the application.
        options: as for all servers, see :class:`.InterfaceServer`, and so are those that are not described here.
        websocket: True for the application's own websockets; else see :class:`.InterfaceServer`.
        websocket_options: of the websockets.
        task_factory_max_items: of the app.
        lifespan: of the application.
        pathsend: whether scopes announce ``http.response.pathsend`` and ``http.response.zerocopysend``, which let an
            application name a file that the kernel copies to the connection. False by default: most middlewares that compress
            or change bodies lose such a file.
        **keywords: see :class:`.InterfaceServer`.

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

    def _serve_http(self, app: App) -> None:
        # The state belongs to this app, so that several apps do not share it.
        self._state: Scope = {}
        mount.serve_http(app, self.app, self._root_path, self._lifespan_mode, self._state, pathsend=self._pathsend)

    def _serve_own_websockets(self, app: App) -> None:
        mount.route_websockets(app, self.app, self._websocket_options, self._root_path, self._state)
