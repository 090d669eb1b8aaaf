"""What the native side calls for a request to an ASGI application."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Callable, Optional

from ..core.core import Core
from ..http.body_queue import BodyQueue
from ..native import abi, asgi_receive, asgi_request, body_here, capabilities, lib
from ..native.abi import SCOPE_BODY, SCOPE_BODY_HERE, SCOPE_RECEIVED, SCOPE_TRAILERS
from .exchange import ASGIExchange
from .head import STATUS_LINES
from .protocol import ASGIApplication, Message
from .response import DONE, START
from .waiters import wait, wake

if TYPE_CHECKING:
    from .scope import ScopeParts


def http_callback(core: Core, application: ASGIApplication, parts: ScopeParts) -> Callable[[int], int]:
    """Make the function that the native side calls for every request."""

    def take_over(
        handle: int,
        phase: int,
        head: bytes,
        fields: int,
        flags: int,
        task: Optional[asyncio.Task[None]] = None,
        readers: Optional[list[asyncio.Future[None]]] = None,
    ) -> ASGIExchange:
        """Continue an exchange that the native side began."""
        exchange = ASGIExchange(core, 0 if phase == DONE else handle, application)
        exchange.phase = phase
        exchange.head = head
        exchange.fields = fields
        exchange.takes_trailers = flags & SCOPE_TRAILERS != 0
        exchange.task = task
        exchange.readers = readers
        if flags & SCOPE_RECEIVED:
            exchange.end_body()
        elif flags & SCOPE_BODY:
            exchange.body = BodyQueue()
        return exchange

    if not capabilities.iterator_send:
        return _stepping_callback(core, parts, take_over)
    return asgi_request(
        {
            **parts.native,
            abi.ASGI_APPLICATION: application,
            abi.ASGI_RECEIVER: _receive,
            abi.ASGI_STATUS_LINES: STATUS_LINES,
            abi.ASGI_TAKE_OVER: take_over,
            abi.ASGI_RUNNER: core.runner_state,
            abi.ASGI_LIVE: core.live,
            abi.ASGI_WAKE: wake,
        }
    )


async def _receive(begun: Any) -> Message:
    """Receive from an exchange that the native side began."""
    found = asgi_receive(begun)
    while found.__class__ is list:
        await wait(found)
        found = asgi_receive(begun)
    if found.__class__ is not dict:
        found = await found.receive()
    message: Message = found
    return message


def _stepping_callback(core: Core, parts: ScopeParts, begin: Callable[..., ASGIExchange]) -> Callable[[int], int]:
    """Make the callback for modes in which the native side cannot step coroutines."""
    build = parts.builder()

    def on_request(handle: int) -> int:
        try:
            flags, scope = build(handle)
            exchange = begin(handle, START, b"", 0, flags)
            if exchange.body is not None and flags & SCOPE_BODY_HERE:
                exchange.body.is_asked = True
                whole = body_here(handle)
                if whole is None:
                    # The first piece arrives as soon as this function returns, so that the application need not wait for it.
                    exchange.scope = scope
                    exchange.follow()
                    lib.sk_res_read_body(handle)
                    return 0
                exchange.body.add(whole, True)
            exchange.run(scope)
        except BaseException as error:  # native code is the caller
            core.outcome.fail_handle(error, handle, "a request could not be handed to the ASGI application")
        return 0

    return on_request
