"""Handlers on their way: an exchange for each request, the call, and what becomes of what the handler returned or raised."""

from __future__ import annotations

import types
import weakref
from collections.abc import Coroutine
from typing import Any, Callable, Optional, Protocol

from ..core.core import Core, route_place
from ..core.mistakes import check_takes
from ..core.own_class import own_class
from ..core.references import count_references, references_of
from ..native import ExchangeHandler, capabilities, lib
from ..wire.paths import parameter_names
from .exchange import Exchange
from .noted import noted
from .request import Request
from .response import Response

#: ``handler(res, req)``, sync or async.
Handler = Callable[[Response, Request], Any]

#: Responses with their requests that are kept for reuse when no number was given.
_DEFAULT_POOL_ITEMS = 64
_CoroutineType = types.CoroutineType
#: References to an object that a variable and the tuple of both hold.
_OWN_REFERENCES = references_of(2)
#: To the exchange of both, which a variable holds, too.
_EXCHANGE_REFERENCES = references_of(3)
_Objects = tuple[Response, Request]


class Tracing(Protocol):
    """What traces the handlers of an app."""

    #: Of the app's responses.
    response_class: type[Response]

    def traced(self, handler: Handler, route: Optional[str]) -> Handler:
        """Return a handler that does the same, and is traced; without a route for what no route took."""

    def traced_handlers(
        self, handlers: dict[str, Optional[Callable[..., Any]]], route: str
    ) -> dict[str, Optional[Callable[..., Any]]]:
        """Return handlers of websockets that do the same, and are traced."""


class Handlers:
    """Calls the handlers of an app, with responses and requests that are reused when nothing else refers to them.

    Args:
        core: of the app.
        pool_items: responses and requests made in advance.
        tracing: of handlers, or None.

    """

    def __init__(self, core: Core, pool_items: int, tracing: Optional[Tracing] = None) -> None:
        self._core = core
        self.tracing = tracing
        #: The app's own classes, which extensions add to.
        self.request_class = own_class(Request)
        self.response_class = own_class(Response) if tracing is None else tracing.response_class
        self._pool_items = max(pool_items, _DEFAULT_POOL_ITEMS)
        self._pool: list[_Objects] = [self._new_objects() for _ in range(pool_items)]
        core.new_response = self._new_response

    def _new_objects(self) -> _Objects:
        exchange = Exchange(self._core)
        return self.response_class(exchange), self.request_class(exchange)

    def _new_response(self, handle: int) -> Response:
        """Make a response for a handle whose own response cannot be found."""
        exchange = Exchange(self._core)
        exchange.handle = handle
        # A response that has begun cannot be sent in one call.
        exchange.head.is_out = exchange.dirty = lib.sk_res_has_begun(handle) == 1
        return self.response_class(exchange)

    def route(self, hostname: str, method: str, path: str, handler: Handler) -> None:
        """Route requests to a handler.

        Args:
            hostname: of the requests, in the form that clients send it in; empty for all.
            method: of the requests; ``*`` for all.
            path: static parts, ``:parameters``, and a final ``*``.
            handler: ``handler(res, req)``, sync or async.

        Raises:
            TypeError: the handler is not callable.
            ValueError: it is not a valid path.

        """
        names = parameter_names(path)
        if not callable(handler):
            message = f"handler must be callable as handler(res, req), not {handler!r}"
            raise TypeError(message)
        check_takes(handler, "handler", "res", "req")
        handler = self.traced(self._noted(handler), path)
        callback = self.callback(handler, names)
        core = self._core
        if not capabilities.members:
            core.route(method, path, callback, hostname)
            return
        native_handler = self._native_handler(handler, names, callback)
        core.callbacks.append(native_handler)
        place = route_place(hostname, method, path)
        core.configure(lambda native: lib.sk_app_route_exchange(native, *place, native_handler))

    def _noted(self, handler: Handler) -> Handler:
        """Return the handler, or where the app is debugged one that notes for which response it is."""
        places = self._core.outcome.places
        return handler if places is None else noted(handler, places)

    def traced(self, handler: Handler, route: Optional[str]) -> Handler:
        """Return the handler, or one that does the same and is traced, where the app is."""
        return handler if self.tracing is None else self.tracing.traced(handler, route)

    def callback(self, handler: Handler, names: tuple[str, ...]) -> Callable[[int], int]:
        """Return a function that takes the handle of a response, calls the handler, and returns 1 to pass the request on."""
        pool = self._pool
        pool_items = self._pool_items
        new_objects = self._new_objects
        conclude = self._conclude
        getweakrefcount = weakref.getweakrefcount
        response_class, request_class = self.response_class, self.request_class

        def on_request(handle: int) -> int:
            objects = pool.pop() if pool else new_objects()
            res, req = objects
            exchange = res.exchange_
            exchange.handle = exchange.request_handle = handle
            exchange.names = names
            result = failure = None
            try:
                result = handler(res, req)
            except BaseException as error:
                failure = error
            passes_on = conclude(res, req, result, failure)
            result = failure = None
            if (
                not exchange.handle
                and type(res) is response_class
                and type(req) is request_class
                and res.exchange_ is exchange
                and req.exchange_ is exchange
                and count_references(res) == _OWN_REFERENCES
                and count_references(req) == _OWN_REFERENCES
                and count_references(exchange) == _EXCHANGE_REFERENCES
                and not getweakrefcount(res)
                and not getweakrefcount(req)
                and len(pool) < pool_items
            ):
                if exchange.dirty:
                    exchange.reset()
                pool.append(objects)
            return passes_on

        return on_request

    def _native_handler(self, handler: Handler, names: tuple[str, ...], fallback: Callable[[int], int]) -> Any:
        """Return the native function that calls a handler with no Python in between, where ``capabilities.members`` allows it.

        The spare objects serve one request after the other, until something else refers to them.
        """
        pool = self._pool
        spare: list[Any] = [None, None]

        def refill() -> None:
            spare[:] = pool.pop() if pool else self._new_objects()
            spare[0].exchange_.names = names

        return ExchangeHandler(handler, spare, refill, self._conclude, Exchange.reset, fallback)

    def _conclude(self, res: Response, req: Request, result: Any, failure: Optional[BaseException]) -> int:
        """Handle what a handler returned or raised; return 1 to pass the request on, else 0."""
        exchange = res.exchange_
        core = self._core
        try:
            if failure is not None:
                core.fail(failure, res, req)
            # This is mostly None, or the response from a chain of calls.
            elif result is not None and result is not res and type(result) is _CoroutineType:
                self._start(result, exchange, res, req)
        except BaseException as error:
            core.fail(error, res, req)
        exchange.request_handle = 0
        if not exchange.handle:
            return exchange.passes_on
        if exchange.passes_on:
            # The next handler gets a response of its own: callbacks that were set on this one end here.
            exchange.forget()
            return 1
        # Either something else refers to the response, or it is collected when this call ends, and fails.
        exchange.follow(res)
        return 0

    def _start(self, coroutine: Coroutine[Any, Any, Any], exchange: Exchange, res: Response, req: Request) -> None:
        core = self._core
        runner = core.runner_for(coroutine)
        waits = runner.begin(coroutine)
        if waits is not None:
            exchange.preserve()
            runner.carry_on(coroutine, waits, lambda error: core.fail(error, res, req), exchange.let_go)
            if exchange.handle:
                exchange.follow(res)
        elif exchange.handle:
            exchange.let_go()
