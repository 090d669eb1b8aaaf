"""What the websockets of both clients of tests are, however they wait."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable, Generic, Optional, TypeVar

import httpx
from websockets.http11 import Response
from websockets.typing import Subprotocol

from .failures import Failures
from .handshake import Handshake, answer

Port = TypeVar("Port")
Connection = TypeVar("Connection")


class BaseTestWebSocket(Generic[Port, Connection]):
    """A websocket to the application, which is connected later.

    Args:
        handshake: its request.
        begin: serves the application, and returns its port, or what gives it when it is awaited.
        subprotocols: to offer.
        seconds: that whatever waits may take.
        failures: has what handlers raise.
        cookies: of the client, which gets those of the answer.

    """

    #: How it is connected, for who forgot.
    _statement = ""

    def __init__(
        self,
        handshake: Handshake,
        begin: Callable[[], Port],
        subprotocols: Optional[Sequence[str]],
        seconds: float,
        failures: Failures,
        cookies: httpx.Cookies,
    ) -> None:
        self._handshake = handshake
        self._begin = begin
        self._subprotocols = [Subprotocol(each) for each in subprotocols or ()]
        self._seconds = seconds
        self._failures = failures
        self._cookies = cookies
        self._connection: Optional[Connection] = None
        #: The response to the handshake.
        self.response: Optional[httpx.Response] = None

    @property
    def _open(self) -> Connection:
        if self._connection is None:
            message = f"the websocket is not connected: {self._statement} client.websocket_connect(...) as websocket"
            raise RuntimeError(message)
        return self._connection

    def _options(self) -> dict[str, Any]:
        """Return how it is connected by the library of either kind."""
        return {
            "ssl": self._handshake.tls,
            "subprotocols": self._subprotocols or None,
            "additional_headers": self._handshake.headers,
            "open_timeout": self._seconds,
            "close_timeout": self._seconds,
            "max_size": None,
        }

    def _take(self, response: Optional[Response]) -> None:
        """Keep the response to the handshake, and its cookies."""
        assert response is not None
        self.response = answer(self._handshake, response)
        self._cookies.extract_cookies(self.response)
