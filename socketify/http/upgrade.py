"""What a response needs to know of websockets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Optional

from ..wire.headers import Text
from .exchange import Exchange


class UpgradeContext(ABC):
    """What upgrade handlers get as ``socket_context``: it makes the connection of a response a websocket."""

    @abstractmethod
    def upgrade(
        self, exchange: Exchange, key: Text, protocol: Optional[Text], extensions: Optional[Text], user_data: Any
    ) -> None:
        """Implement :meth:`socketify.Response.upgrade`, in the app's thread, for a response that has not ended.

        Args:
            exchange: of the response.
            key: the request's Sec-WebSocket-Key.
            protocol: the subprotocol to select.
            extensions: the request's Sec-WebSocket-Extensions.
            user_data: what ``ws.get_user_data()`` returns.

        Raises:
            TypeError, ValueError: an argument is wrong.

        """
