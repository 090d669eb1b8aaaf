"""How the clients of tests send: whatever host a URL names, to the application; and what its handlers raised is raised."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Callable, cast

import httpx

from .failures import Failures

_SERVER_ERROR = 500


def _addressed(request: httpx.Request, port: int, is_secure: bool) -> httpx.Request:
    """Return a request to the application; its Host field keeps the name that it was made with."""
    url = request.url.copy_with(scheme="https" if is_secure else "http", host="127.0.0.1", port=port)
    extensions = {**request.extensions, "sni_hostname": request.url.host}
    return httpx.Request(request.method, url, headers=request.headers, stream=request.stream, extensions=extensions)


class TestTransport(httpx.BaseTransport):
    """Sends to an application.

    Args:
        begin: serves it and returns its port.
        is_secure: whether it speaks TLS.
        http2: whether the client speaks HTTP/2.
        failures: what its handlers raise.

    """

    __test__ = False

    def __init__(self, begin: Callable[[], int], is_secure: bool, http2: bool, failures: Failures) -> None:
        self._begin = begin
        self._is_secure = is_secure
        self._failures = failures
        self._transport = httpx.HTTPTransport(verify=_any_certificate(), http1=not http2, http2=http2, trust_env=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and return what is answered."""
        port = self._begin()
        try:
            response = self._transport.handle_request(_addressed(request, port, self._is_secure))
        except httpx.TransportError:
            self._failures.raise_first()
            raise
        if response.status_code >= _SERVER_ERROR:
            error = self._failures.take()
            if error is not None:
                response.close()
                raise error
        stream = _Stream(cast("httpx.SyncByteStream", response.stream), self._failures)
        return httpx.Response(response.status_code, headers=response.headers, stream=stream, extensions=response.extensions)

    def close(self) -> None:
        """Close its connections."""
        self._transport.close()


class _Stream(httpx.SyncByteStream):
    """The body of a response."""

    def __init__(self, stream: httpx.SyncByteStream, failures: Failures) -> None:
        self._stream = stream
        self._failures = failures

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._stream
        except httpx.TransportError:
            self._failures.raise_first()
            raise

    def close(self) -> None:
        self._stream.close()


class AsyncTestTransport(httpx.AsyncBaseTransport):
    """Sends to an application that the running loop serves; see :class:`TestTransport`."""

    def __init__(self, begin: Callable[[], Awaitable[int]], is_secure: bool, http2: bool, failures: Failures) -> None:
        self._begin = begin
        self._is_secure = is_secure
        self._failures = failures
        self._transport = httpx.AsyncHTTPTransport(verify=_any_certificate(), http1=not http2, http2=http2, trust_env=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and return what is answered."""
        port = await self._begin()
        try:
            response = await self._transport.handle_async_request(_addressed(request, port, self._is_secure))
        except httpx.TransportError:
            self._failures.raise_first()
            raise
        if response.status_code >= _SERVER_ERROR:
            error = self._failures.take()
            if error is not None:
                await response.aclose()
                raise error
        stream = _AsyncStream(cast("httpx.AsyncByteStream", response.stream), self._failures)
        return httpx.Response(response.status_code, headers=response.headers, stream=stream, extensions=response.extensions)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._transport.aclose()


class _AsyncStream(httpx.AsyncByteStream):
    """The body of a response."""

    def __init__(self, stream: httpx.AsyncByteStream, failures: Failures) -> None:
        self._stream = stream
        self._failures = failures

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._stream:
                yield part
        except httpx.TransportError:
            self._failures.raise_first()
            raise

    async def aclose(self) -> None:
        await self._stream.aclose()


def _any_certificate() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
