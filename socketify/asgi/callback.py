"""What the native side calls for a request to an ASGI application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

from ..native import asgi_request, capabilities, lib
from ..native import body_here as _body_here
from ..native.abi import SCOPE_BODY, SCOPE_BODY_HERE, SCOPE_TRAILERS
from .body import RequestBody
from .common import ASGIApplication
from .exchange import DONE, HTTPExchange
from .head import STATUS_LINES

if TYPE_CHECKING:
    from ..app.app import App
    from .scope import ScopeParts


class SecureHTTPExchange(HTTPExchange):
    """One request over TLS."""

    __slots__ = ()
    is_secure = True


def http_callback(application: ASGIApplication, native: App, parts: ScopeParts, secure: bool) -> Callable[[int], int]:
    """Make the function that the native side calls for every request."""
    exchange_class = SecureHTTPExchange if secure else HTTPExchange
    build = parts.builder()

    def on_request(handle: int) -> int:
        try:
            exchange = exchange_class(application, native, handle)
            flags, scope = build(handle)
            if flags & (SCOPE_BODY | SCOPE_TRAILERS):
                exchange._takes_trailers = flags & SCOPE_TRAILERS != 0
                if flags & SCOPE_BODY:
                    body = exchange._body = RequestBody()
                    whole = _body_here(handle) if flags & SCOPE_BODY_HERE else None
                    if whole is not None:
                        body.asked = True
                        body.add(whole, True)
                    elif flags & SCOPE_BODY_HERE:
                        # The first piece comes as soon as this function returns: then the application need not wait for it.
                        body.asked = True
                        body.scope = scope
                        exchange._on_wait()
                        lib.sk_res_read_body(handle)
                        return 0
            exchange.run(scope)
        except BaseException as error:  # native code is the caller
            native._outcome.fail_handle(error, handle, "a request could not be handed to the ASGI application")
        return 0

    def take_over(handle: int, state: int, head: bytes, fields: int) -> HTTPExchange:
        """Go on with an exchange that the native side began."""
        exchange = exchange_class(application, native, 0 if state == DONE else handle)
        exchange._state = state
        exchange._head = head
        exchange._fields = fields
        return exchange

    def prepare() -> object:
        assert native._runner is not None
        return native._runner.prepare()

    if not capabilities.iterator_send:
        return on_request
    # In the order of ASGI_*.
    own = (application, on_request, STATUS_LINES, take_over, native._current, prepare)
    return asgi_request((*parts.native, *own))
