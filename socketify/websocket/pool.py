"""Websocket objects, which are reused for further connections if nothing else refers to them."""

from __future__ import annotations

from ..core.core import Core
from ..core.own_class import own_class
from .session import Session
from .socket import WebSocket

#: Websocket objects that are kept for reuse when no number was given.
_DEFAULT_ITEMS = 64


class WebSocketPool:
    """The websockets of an app that are not connected.

    Args:
        core: of the app.
        items: made in advance.

    """

    def __init__(self, core: Core, items: int) -> None:
        self._core = core
        #: What extensions add to.
        self.websocket_class: type[WebSocket] = own_class(WebSocket)
        self._items_max = max(items, _DEFAULT_ITEMS)
        self._spare: list[WebSocket] = [self.websocket_class(core) for _ in range(items)]

    def __len__(self) -> int:
        return len(self._spare)

    def take(self) -> Session:
        """Return the session of a websocket that nothing else uses."""
        websocket = self._spare.pop() if self._spare else self.websocket_class(self._core)
        session = websocket.session_
        session.socket = websocket
        return session

    def give_back(self, websocket: WebSocket) -> None:
        """Take back a websocket whose connection is over and that nothing else can reach."""
        if type(websocket) is self.websocket_class and len(self._spare) < self._items_max:
            websocket.session_.reset()
            self._spare.append(websocket)
