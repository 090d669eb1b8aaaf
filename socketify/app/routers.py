"""Ways to add routes: by verb, behind middlewares, for one host, and with decorators."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Callable, Optional, Protocol, TypeVar, Union

from ..core.mistakes import check_takes
from ..http.handlers import Handler, Handlers
from ..http.request import Request
from ..http.response import Response
from ..websocket.options import HANDLERS
from ..websocket.routes import WebSocketRoutes
from .middleware import Middleware, middleware

Self = TypeVar("Self", bound="Verbs")
Function = TypeVar("Function", bound=Callable[..., Any])


class Verbs(ABC):
    """One method for each verb, called with ``(path, handler)``; the handler is ``(res, req)``, sync or async."""

    @abstractmethod
    def route(self: Self, method: str, path: str, handler: Handler) -> Self:
        """Route requests of a method; ``*`` stands for all methods."""

    def get(self: Self, path: str, handler: Handler) -> Self:
        """Route GET, and HEAD where no HEAD route matches (RFC 9110 section 9.3.2)."""
        return self.route("GET", path, handler)

    def post(self: Self, path: str, handler: Handler) -> Self:
        """Route POST."""
        return self.route("POST", path, handler)

    def put(self: Self, path: str, handler: Handler) -> Self:
        """Route PUT."""
        return self.route("PUT", path, handler)

    def patch(self: Self, path: str, handler: Handler) -> Self:
        """Route PATCH."""
        return self.route("PATCH", path, handler)

    def delete(self: Self, path: str, handler: Handler) -> Self:
        """Route DELETE."""
        return self.route("DELETE", path, handler)

    def head(self: Self, path: str, handler: Handler) -> Self:
        """Route HEAD."""
        return self.route("HEAD", path, handler)

    def options(self: Self, path: str, handler: Handler) -> Self:
        """Route OPTIONS."""
        return self.route("OPTIONS", path, handler)

    def connect(self: Self, path: str, handler: Handler) -> Self:
        """Route CONNECT."""
        return self.route("CONNECT", path, handler)

    def trace(self: Self, path: str, handler: Handler) -> Self:
        """Route TRACE."""
        return self.route("TRACE", path, handler)

    def any(self: Self, path: str, handler: Handler) -> Self:
        """Route every method, even those that have no Python method here."""
        return self.route("*", path, handler)


class DomainRouter(Verbs):
    """Routes of one host name, made by :meth:`socketify.App.domain`. They go before the routes of the app."""

    def __init__(self, handlers: Handlers, websocket_routes: WebSocketRoutes, hostname: str) -> None:
        self._handlers = handlers
        self._websocket_routes = websocket_routes
        self._hostname = hostname

    def route(self, method: str, path: str, handler: Handler) -> DomainRouter:
        """Route requests of a method; ``*`` stands for all methods."""
        self._handlers.route(self._hostname, method, path, handler)
        return self

    def ws(self, path: str, behavior: Mapping[str, Any]) -> DomainRouter:
        """Route websockets; see :meth:`socketify.App.ws`."""
        self._websocket_routes.add(self._hostname, path, behavior)
        return self


class _Preflights:
    """Routes OPTIONS to those middlewares of a router that answer preflight requests, as :class:`socketify.cors.CORS` does.

    Args:
        route: adds a route.
        middlewares: one with a method ``preflight`` is the handler of such requests; see :func:`_with_one_preflight`.

    """

    def __init__(self, route: Callable[[str, str, Handler], object], middlewares: Sequence[Middleware]) -> None:
        self._route = route
        self._handlers = [each.preflight for each in middlewares if hasattr(each, "preflight")]
        self._paths: set[str] = set()

    def route(self, path: str) -> None:
        """Route those for a path, once."""
        if self._handlers and path not in self._paths:
            self._paths.add(path)
            for handler in self._handlers:
                self._route("OPTIONS", path, handler)


class MiddlewareRouter(Verbs):
    """Routes whose handlers run after the same middlewares.

    Args:
        app: the app, the router of a domain, or another one of these, whose middlewares run before.
        middlewares: functions ``(res, req, data=None)``, sync or async; see :func:`socketify.middleware`.

    """

    def __init__(self, app: Verbs, *middlewares: Middleware) -> None:
        if isinstance(app, MiddlewareRouter) and type(app).route is MiddlewareRouter.route:
            # One chain of both.
            middlewares = (*app.middlewares_, *middlewares)
            app = app.target_
        self.target_: Verbs = app
        self.middlewares_: tuple[Middleware, ...] = _with_one_preflight(middlewares)
        self._preflights = _Preflights(app.route, self.middlewares_)

    def route(self, method: str, path: str, handler: Handler) -> MiddlewareRouter:
        """Route requests of a method; ``*`` stands for all methods."""
        self._preflights.route(path)
        self.target_.route(method, path, middleware(*self.middlewares_, handler) if self.middlewares_ else handler)
        return self


class RoutedApp(Protocol):
    """What a router adds to."""

    def route(self, method: str, path: str, handler: Handler) -> Any:
        """Route requests of a method."""

    def ws(self, path: str, behavior: Mapping[str, Any]) -> Any:
        """Route websockets."""


class DecoratorRouter:
    """Decorators that add routes under a prefix, made by :meth:`socketify.App.router`.

    >>> from socketify import App
    >>> router = App().router("/api")
    >>> @router.get("/users/:id")
    ... def user(res, req):
    ...     res.end(req.get_parameter(0))
    """

    def __init__(self, app: RoutedApp, prefix: str = "", *middlewares: Union[Middleware, Sequence[Middleware]]) -> None:
        self._app = app
        self._prefix = _checked_prefix(prefix)
        self._middlewares = _with_one_preflight(_one_by_one(middlewares))
        self._preflights = _Preflights(app.route, self._middlewares)

    def router(self, prefix: str = "", *middlewares: Union[Middleware, Sequence[Middleware]]) -> DecoratorRouter:
        """Make a router below this one, behind its middlewares."""
        return DecoratorRouter(self._app, self._prefix + _checked_prefix(prefix), *self._middlewares, *middlewares)

    def _full_path(self, path: str) -> str:
        if not isinstance(path, str) or (path and not path.startswith("/")):
            message = f"path must be a str that is empty or begins with '/', not {path!r}"
            raise ValueError(message)
        return (self._prefix + path) or "/"

    def _decorator(self, method: str, path: str) -> Callable[[Function], Function]:
        full_path = self._full_path(path)

        def decorate(function: Function) -> Function:
            self._preflights.route(full_path)
            self._app.route(method, full_path, middleware(*self._middlewares, function) if self._middlewares else function)
            return function

        return decorate

    def ws(self, path: str, behavior: Optional[Mapping[str, Any]] = None) -> Callable[[Function], Function]:
        """Route websockets; the decorated function is their message handler, ``(ws, message, opcode)``.

        The middlewares of the router see the request first; what the last one returned is the websocket's user data.

        Args:
            path: below the prefix.
            behavior: options and further handlers; see :meth:`socketify.App.ws`. When it has a message handler of its own,
                the route is added at once, and there is nothing to decorate.

        """
        full_path = self._full_path(path)

        def add(complete: dict[str, Any]) -> None:
            upgrade = complete.get("upgrade")
            if self._middlewares and (upgrade is None or callable(upgrade)):
                complete["upgrade"] = _upgrade_behind(self._middlewares, upgrade)
            self._app.ws(full_path, complete)

        def decorate(function: Function) -> Function:
            if "message" in (behavior or {}):
                text = f"the websocket route {full_path!r} has a message handler already"
                raise ValueError(text)
            add({**(behavior or {}), "message": function})
            return function

        if "message" in (behavior or {}):
            add(dict(behavior or {}))
        return decorate

    def get(self, path: str) -> Callable[[Function], Function]:
        """Route GET to the decorated function."""
        return self._decorator("GET", path)

    def post(self, path: str) -> Callable[[Function], Function]:
        """Route POST to the decorated function."""
        return self._decorator("POST", path)

    def put(self, path: str) -> Callable[[Function], Function]:
        """Route PUT to the decorated function."""
        return self._decorator("PUT", path)

    def patch(self, path: str) -> Callable[[Function], Function]:
        """Route PATCH to the decorated function."""
        return self._decorator("PATCH", path)

    def delete(self, path: str) -> Callable[[Function], Function]:
        """Route DELETE to the decorated function."""
        return self._decorator("DELETE", path)

    def head(self, path: str) -> Callable[[Function], Function]:
        """Route HEAD to the decorated function."""
        return self._decorator("HEAD", path)

    def options(self, path: str) -> Callable[[Function], Function]:
        """Route OPTIONS to the decorated function."""
        return self._decorator("OPTIONS", path)

    def connect(self, path: str) -> Callable[[Function], Function]:
        """Route CONNECT to the decorated function."""
        return self._decorator("CONNECT", path)

    def trace(self, path: str) -> Callable[[Function], Function]:
        """Route TRACE to the decorated function."""
        return self._decorator("TRACE", path)

    def any(self, path: str) -> Callable[[Function], Function]:
        """Route every method to the decorated function."""
        return self._decorator("*", path)


def _one_by_one(middlewares: Sequence[Union[Middleware, Sequence[Middleware]]]) -> tuple[Middleware, ...]:
    """Return middlewares, some of which were given as a list, as the published package wants it."""
    found: list[Middleware] = []
    for each in middlewares:
        found += [each] if callable(each) else each
    return tuple(found)


def _with_one_preflight(middlewares: tuple[Middleware, ...]) -> tuple[Middleware, ...]:
    """Return middlewares of which one answers preflight requests: the innermost, in the place of the outermost.

    The rules of a router take the place of those of the router that it is in, for answers of middlewares between them, too.
    """
    answering = [index for index, each in enumerate(middlewares) if hasattr(each, "preflight")]
    if len(answering) <= 1:
        return middlewares
    first, *rest = answering
    kept = (*middlewares[:first], middlewares[rest[-1]], *middlewares[first + 1 :])
    return tuple(each for index, each in enumerate(kept) if index not in rest)


def _checked_prefix(prefix: str) -> str:
    if not isinstance(prefix, str) or (prefix and not prefix.startswith("/")):
        message = f"prefix must be a str that is empty or begins with '/', not {prefix!r}"
        raise ValueError(message)
    return prefix.rstrip("/")


def _upgrade_behind(middlewares: tuple[Middleware, ...], upgrade: Optional[Callable[..., Any]]) -> Callable[..., Any]:
    """Make an upgrade handler that runs after middlewares."""
    before = middleware(*middlewares)
    if upgrade is not None:
        check_takes(upgrade, "upgrade", *HANDLERS["upgrade"])

    def accept(res: Response, req: Request, socket_context: Any, data: Any) -> Any:
        if not data or res.has_responded():
            return data
        if upgrade is not None:
            return upgrade(res, req, socket_context)
        key = req.get_header("sec-websocket-key") or ""
        extensions = req.get_header("sec-websocket-extensions")
        res.upgrade(key, req.get_header("sec-websocket-protocol"), extensions, socket_context, data)
        return None

    async def go_on(waiting: Coroutine[Any, Any, Any], res: Response, req: Request, socket_context: Any) -> None:
        accepting = accept(res, req, socket_context, await waiting)
        if inspect.iscoroutine(accepting):
            await accepting

    def handle(res: Response, req: Request, socket_context: Any) -> Any:
        data = before(res, req)
        if inspect.iscoroutine(data):
            return go_on(data, res, req, socket_context)
        return accept(res, req, socket_context, data)

    return handle
