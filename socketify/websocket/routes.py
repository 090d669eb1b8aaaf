"""The websocket routes of an app, and the websockets that are open."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

from ..core.core import Core
from ..http.handlers import Handlers
from ..native import lib
from .pool import WebSocketPool
from .presence import PresenceKeeper
from .route import WebSocketRoute
from .session import Session


class WebSocketRoutes:
    """The websocket routes of an app, and its open websockets.

    Args:
        core: of the app.
        handlers: call upgrade handlers.
        pool_items: websockets made in advance.
        presence: keeps who is on topics.

    """

    def __init__(self, core: Core, handlers: Handlers, pool_items: int, presence: PresenceKeeper) -> None:
        self._core = core
        self._handlers = handlers
        self._presence = presence
        #: Websockets that are not connected.
        self.pool = WebSocketPool(core, pool_items)
        #: Connected websockets, by handle.
        self.live: dict[int, Session] = {}
        # The native side refers to the routes, so they must be kept alive.
        self._routes: list[WebSocketRoute] = []

    def add(self, hostname: str, path: str, behavior: Mapping[str, Any]) -> None:
        """Route the websockets of a host, or of all hosts that have no route of their own.

        Args:
            hostname: empty for all.
            path: as for HTTP routes.
            behavior: options and handlers; see :meth:`socketify.App.ws`.

        Raises:
            TypeError, ValueError: an argument is wrong; the message names the key.

        """
        route = WebSocketRoute(self._core, self._handlers, self.pool, self.live, behavior, path, self._presence)
        host, pattern = hostname.encode(), path.encode()
        self._routes.append(route)

        def add(native: int) -> None:
            route.number = lib.sk_app_ws(native, host, len(host), pattern, len(pattern), ctypes.byref(route.struct))
            if route.number < 0:
                message = "cannot add the route: memory is exhausted"
                raise MemoryError(message)

        self._core.configure(add)
