"""What the native side calls for a request to an ASGI application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

from ..core.core import Core
from ..http.body_queue import BodyQueue
from ..native import abi, asgi_request, capabilities, lib
from ..native import body_here as _body_here
from ..native.abi import SCOPE_BODY, SCOPE_BODY_HERE, SCOPE_TRAILERS
from .exchange import ASGIExchange
from .head import STATUS_LINES
from .protocol import ASGIApplication
from .response import DONE

if TYPE_CHECKING:
    from .scope import ScopeParts


def http_callback(core: Core, application: ASGIApplication, parts: ScopeParts) -> Callable[[int], int]:
    """Make the function that the native side calls for every request."""
    build = parts.builder()

    def take_over(handle: int, phase: int, head: bytes, fields: int) -> ASGIExchange:
        """Go on with an exchange that the native side began."""
        exchange = ASGIExchange(core, 0 if phase == DONE else handle, application)
        exchange.phase = phase
        exchange.head = head
        exchange.fields = fields
        return exchange

    def on_request(handle: int) -> int:
        try:
            exchange = ASGIExchange(core, handle, application)
            flags, scope = build(handle)
            exchange.takes_trailers = flags & SCOPE_TRAILERS != 0
            if flags & SCOPE_BODY:
                body = exchange.body = BodyQueue()
                whole = _body_here(handle) if flags & SCOPE_BODY_HERE else None
                if whole is not None:
                    body.is_asked = True
                    body.add(whole, True)
                elif flags & SCOPE_BODY_HERE:
                    # The first piece comes as soon as this function returns: then the application need not wait for it.
                    body.is_asked = True
                    exchange.scope = scope
                    exchange.follow()
                    lib.sk_res_read_body(handle)
                    return 0
            exchange.run(scope)
        except BaseException as error:  # native code is the caller
            core.outcome.fail_handle(error, handle, "a request could not be handed to the ASGI application")
        return 0

    def prepare() -> object:
        assert core.runner is not None
        return core.runner.prepare()

    if not capabilities.iterator_send:
        return on_request
    return asgi_request(
        {
            **parts.native,
            abi.ASGI_APPLICATION: application,
            abi.ASGI_FALLBACK: on_request,
            abi.ASGI_STATUS_LINES: STATUS_LINES,
            abi.ASGI_TAKE_OVER: take_over,
            abi.ASGI_RUNNER: core.current,
            abi.ASGI_NEW_TASK: prepare,
        }
    )
