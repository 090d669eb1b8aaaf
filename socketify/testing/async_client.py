"""The client of tests that run in an event loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Optional

import httpx

from .async_websocket import AsyncTestWebSocket
from .failures import Failures
from .handshake import new_handshake
from .served import LoopApplication
from .transport import AsyncTestTransport


class AsyncTestClient(httpx.AsyncClient):
    """An asynchronous client of httpx, which serves an application in the running event loop as long as it is open.

    What belongs to that loop, such as connections of a database, can be used by the test and by the application. It serves
    from ``async with`` or the first request on. See :class:`TestClient` for the arguments, and for what it does beside.
    """

    def __init__(
        self,
        app: Any,
        base_url: Optional[str] = None,
        *,
        interface: str = "auto",
        raise_server_exceptions: bool = True,
        follow_redirects: bool = True,
        headers: Any = None,
        cookies: Any = None,
        timeout: float = 10.0,
        http2: bool = False,
        **options: Any,
    ) -> None:
        self._failures = Failures(raise_server_exceptions)
        self._served = LoopApplication(app, interface, options, self._failures)
        self._seconds = timeout
        is_secure = self._served.is_secure
        super().__init__(
            base_url=base_url or f"http{'s' if is_secure else ''}://testserver",
            headers=headers,
            cookies=cookies,
            timeout=timeout,
            follow_redirects=follow_redirects,
            trust_env=False,
            transport=AsyncTestTransport(self._served.begin, is_secure, http2, self._failures),
        )

    @property
    def port(self) -> int:
        """The port on 127.0.0.1, for other clients; 0 before it serves."""
        return self._served.port

    def websocket_connect(
        self,
        url: str,
        subprotocols: Optional[Sequence[str]] = None,
        *,
        params: Any = None,
        headers: Optional[Mapping[str, str]] = None,
    ) -> AsyncTestWebSocket:
        """Return a websocket that is connected by ``async with``; see :meth:`TestClient.websocket_connect`."""
        handshake = new_handshake(self, url, params, headers, self._served.is_secure)
        return AsyncTestWebSocket(handshake, self._served.begin, subprotocols, self._seconds, self._failures, self.cookies)

    async def aclose(self) -> None:
        """Close the connections and stop the application.

        Raises:
            BaseException: what a shutdown handler raised, or a handler after it had answered.

        """
        await super().aclose()
        await self._served.end()
        self._failures.raise_first()

    async def __aenter__(self) -> AsyncTestClient:
        await self._served.begin()
        await super().__aenter__()
        return self

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]] = None,
        error: Optional[BaseException] = None,
        trace: Optional[TracebackType] = None,
    ) -> None:
        await super().__aexit__(kind, error, trace)
        try:
            await self.aclose()
        except BaseException:
            # What the test raised says more.
            if error is None:
                raise
