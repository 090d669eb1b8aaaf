"""What a response needs to know of websockets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Optional

from ..wire.headers import Text
from .connection import ClientConnection


class UpgradeContext(ABC):
    """What upgrade handlers get as ``socket_context``: it makes the connection of a response a websocket."""

    @abstractmethod
    def upgrade(
        self, res: ClientConnection, key: Text, protocol: Optional[Text], extensions: Optional[Text], user_data: Any
    ) -> None:
        """Do what :meth:`socketify.Response.upgrade` says.

        Raises:
            TypeError, ValueError: an argument is wrong.

        """
