"""What the websockets of a route to an ASGI application have in common."""

from __future__ import annotations

from typing import Protocol

from ..core.core import Core
from ..native import abi
from ..topics.topics import Topics
from ..websocket.admission import Admission
from .protocol import ASGIApplication, Message


class OpenWebSocket(Protocol):
    """What gets the events of an open websocket."""

    def on_message(self, message: Message, size: int) -> None:
        """Take a message of the client."""

    def on_drain(self) -> None:
        """Take note that the client has read."""

    def on_close(self, code: int, reason: str) -> None:
        """Take the end of the connection."""


class WebSocketContext:
    """What the websockets of a route have in common.

    Args:
        core: of the app.
        application: gets them.
        admission: who may connect.
        topics: of the app.
        compresses: whether messages are compressed, where that was negotiated.
        buffered_max: bytes that may wait for a client before senders wait.

    """

    __slots__ = (
        "admission",
        "application",
        "binary",
        "buffered_max",
        "compresses",
        "core",
        "number",
        "open",
        "text",
        "topics",
    )

    def __init__(
        self,
        core: Core,
        application: ASGIApplication,
        admission: Admission,
        topics: Topics,
        *,
        compresses: bool,
        buffered_max: int,
    ) -> None:
        self.core = core
        self.application = application
        self.admission = admission
        self.topics = topics
        self.compresses = compresses
        #: The opcodes of text and binary messages, combined with flags.
        flags = abi.WS_COMPRESS if compresses else 0
        self.text = abi.WS_TEXT | flags
        self.binary = abi.WS_BINARY | flags
        self.buffered_max = buffered_max
        #: The number by which the native side knows the route.
        self.number = -1
        #: Open websockets by their handles.
        self.open: dict[int, OpenWebSocket] = {}
