"""The handshake of a websocket, as both clients of tests make it: its request, and its outcome."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, NoReturn, Optional, Union

import httpx
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Response

from .failures import Failures

Message = Union[str, bytes]

#: What the handshake has a field of its own for, or the client of websockets sends itself.
_OWN_FIELDS = ("accept", "accept-encoding", "connection", "host", "upgrade", "user-agent")


class WebSocketClosed(Exception):  # noqa: N818 - no failure by itself
    """The websocket was closed, with ``code`` and ``reason`` (RFC 6455 section 7.4); 1006 without a close frame."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"the websocket was closed with {self.code}" + (f": {self.reason}" if self.reason else "")


class WebSocketRejected(Exception):  # noqa: N818 - an answer
    """The application answered the handshake with another status than 101; ``response`` is the answer."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(response)
        self.response = response

    def __str__(self) -> str:
        return f"the websocket was rejected with {self.response.status_code}: {self.response.text[:200]}"


class Handshake(NamedTuple):
    """The request of a handshake."""

    request: httpx.Request
    #: ``ws:`` or ``wss:``.
    uri: str
    headers: list[tuple[str, str]]
    tls: Optional[ssl.SSLContext]


def new_handshake(
    client: Union[httpx.Client, httpx.AsyncClient], url: str, params: Any, headers: Optional[Mapping[str, str]], is_secure: bool
) -> Handshake:
    """Make the request, with the fields and cookies of a client."""
    parsed = httpx.URL(url)
    if parsed.scheme in ("ws", "wss"):
        parsed = parsed.copy_with(scheme="http" + parsed.scheme[2:])
    request = client.build_request("GET", parsed, params=params, headers=headers)
    uri = str(request.url.copy_with(scheme="wss" if is_secure else "ws"))
    fields = [(name, value) for name, value in request.headers.multi_items() if name not in _OWN_FIELDS]
    return Handshake(request, uri, fields, unverified() if is_secure else None)


def unverified() -> ssl.SSLContext:
    """Return how tests speak TLS: with whatever certificate, as they ask their own process."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # The client of websockets reads and writes in two threads, which an SSL object of TLS 1.3 does not bear.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def answer(handshake: Handshake, response: Response) -> httpx.Response:
    """Return the response to a handshake as httpx would."""
    fields: Iterable[tuple[str, str]] = response.headers.raw_items()
    # The body has been decoded.
    kept = [(name, value) for name, value in fields if name.lower() != "transfer-encoding"]
    return httpx.Response(response.status_code, headers=kept, content=bytes(response.body or b""), request=handshake.request)


def reject(handshake: Handshake, error: InvalidStatus, failures: Failures) -> NoReturn:
    """Raise what a handler raised, or else that the handshake was rejected."""
    response = answer(handshake, error.response)
    if response.is_server_error:
        failures.raise_first()
    raise WebSocketRejected(response) from None


def end(error: ConnectionClosed, failures: Failures) -> NoReturn:
    """Raise what a handler raised, or else that the websocket is closed."""
    frame = error.rcvd
    if frame is None or frame.code >= 1011:
        failures.raise_first()
    raise WebSocketClosed(1006 if frame is None else frame.code, "" if frame is None else frame.reason) from None


def encode_json(value: Any) -> str:
    """Return a value as JSON, for a text message."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def decode_json(message: Message) -> Any:
    """Return the value of a JSON message.

    Raises:
        ValueError: it is no JSON.

    """
    return json.loads(message)
