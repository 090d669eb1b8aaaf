"""The client of tests that do not wait."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Optional

import httpx

from .failures import Failures
from .handshake import new_handshake
from .served import ThreadedApplication
from .transport import TestTransport
from .websocket import TestWebSocket


class TestClient(httpx.Client):
    """A client of httpx that serves an application on a free port, in a thread of its own, as long as it is open.

    It serves from ``with`` or the first request on, with start and shutdown handlers, or the lifespan of ASGI. Every URL goes
    to the application, whatever its host, which the application sees as the Host field. Any thread may use it, one with a
    running event loop too: it waits as every client does.

    Args:
        app: an :class:`socketify.App`, which can be served once; a function ``run(app)`` that adds routes to one; or an ASGI,
            WSGI or SSGI application.
        base_url: of paths; ``http://testserver``, or ``https://testserver`` where the application speaks TLS. With ``https:``
            cookies that are ``Secure`` are sent back, without TLS as well.
        interface: as for :func:`socketify.serve`: ``auto``, ``asgi``, ``wsgi``, ``ssgi``, ``socketify``.
        raise_server_exceptions: whether what a handler raises is raised by the call that asked, or when the client is closed.
            Not what is no failure: an :class:`socketify.HTTPError`, and what the error handler answered.
        follow_redirects: whether redirections are followed.
        headers: of every request.
        cookies: to begin with.
        timeout: seconds, of whatever waits: connections, answers, messages of websockets.
        http2: whether to speak HTTP/2, which needs the package h2.
        **options: of the server, such as ``limits``, ``options`` (TLS files), ``root_path``, ``lifespan``.

    Raises:
        RuntimeError: the App was served before.

    """

    # For pytest: it is no test.
    __test__ = False

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
        self._served = ThreadedApplication(app, interface, options, self._failures)
        self._seconds = timeout
        is_secure = self._served.is_secure
        transport = TestTransport(self._served.begin, is_secure, http2, self._failures)
        super().__init__(
            base_url=base_url or f"http{'s' if is_secure else ''}://testserver",
            headers=headers,
            cookies=cookies,
            timeout=timeout,
            follow_redirects=follow_redirects,
            trust_env=False,
            transport=transport,
        )
        # Where the client is forgotten, and not closed.
        self._forget = weakref.finalize(self, _end, transport, self._served)

    @property
    def port(self) -> int:
        """The port on 127.0.0.1, for other clients; it serves from now on."""
        return self._served.begin()

    def websocket_connect(
        self,
        url: str,
        subprotocols: Optional[Sequence[str]] = None,
        *,
        params: Any = None,
        headers: Optional[Mapping[str, str]] = None,
    ) -> TestWebSocket:
        """Return a websocket that is connected by ``with``, with the cookies and fields of the client.

        Args:
            url: a path, or a URL of ``ws:``, ``wss:`` or as for requests.
            subprotocols: to offer.
            params: of the query.
            headers: more fields, such as ``Origin``.

        Raises (``with``):
            WebSocketRejected: it was answered with another status than 101.
            Exception: what the upgrade handler raised.

        """
        handshake = new_handshake(self, url, params, headers, self._served.is_secure)
        return TestWebSocket(handshake, self._served.begin, subprotocols, self._seconds, self._failures, self.cookies)

    def close(self) -> None:
        """Close the connections and stop the application.

        Raises:
            BaseException: what a shutdown handler raised, or a handler after it had answered.

        """
        super().close()
        if self._forget.detach() is not None:
            self._served.end()
        self._failures.raise_first()

    def __enter__(self) -> TestClient:
        self._served.begin()
        super().__enter__()
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]] = None,
        error: Optional[BaseException] = None,
        trace: Optional[TracebackType] = None,
    ) -> None:
        super().__exit__(kind, error, trace)
        try:
            self.close()
        except BaseException:
            # What the test raised says more.
            if error is None:
                raise


def _end(transport: TestTransport, served: ThreadedApplication) -> None:
    transport.close()
    served.end()
