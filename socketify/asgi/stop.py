"""What an ASGI application that waits for its client, or never ends, is told when the server stops."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..native import lib
from ..native import send as _send
from ..wire.event_streams import is_event_stream
from .common import wake

if TYPE_CHECKING:
    from .exchange import HTTPExchange

#: How often event streams are told that the server stops before they are ended, and when who does not notice is cancelled.
_TOLD_MAX = 2
_CANCEL_SECONDS = 1.0

_UNAVAILABLE = b"503 Service Unavailable\nContent-Type\ntext/plain; charset=utf-8"


def tell(exchange: HTTPExchange, late: bool) -> None:
    """Let ``receive`` say that the client left: event streams at once, whose request was received whole when it is late."""
    if exchange.is_streaming and _is_event_stream(exchange):
        if exchange._told >= _TOLD_MAX:
            # It goes on in spite of it. To send is an error from now on, and who never does is cancelled.
            end_told(exchange)
            if exchange._task is not None:
                asyncio.get_running_loop().call_later(_CANCEL_SECONDS, exchange._task.cancel)
            return
    elif not late or not exchange.has_whole_request:
        return
    exchange._told += 1
    if exchange._readers:
        wake(exchange._readers)


def end_told(exchange: HTTPExchange) -> None:
    """End the response of an application that stopped because it was told to, or did not."""
    if not exchange.has_begun:
        _send(exchange._handle, _UNAVAILABLE, 1, b"Service Unavailable", 0)
    elif exchange.is_streaming and _is_event_stream(exchange):
        # Its end is nothing that a client would miss.
        _send(exchange._handle, None, 0, b"", 0)
    else:
        lib.sk_res_close(exchange._handle)
    exchange._leave()


def _is_event_stream(exchange: HTTPExchange) -> bool:
    return is_event_stream(exchange._head.split(b"\n")[1:])
