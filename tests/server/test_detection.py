"""Applications as people have them: which interface they have is told by how they can be called."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Iterable
from typing import Any, Callable

import httpx
import pytest

from socketify import App
from socketify.server.detection import detect_interface
from socketify.server.serve import make_server


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"asgi"})


def wsgi(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [b"wsgi"]


def ssgi(
    type_: str, server_address: str, remote_address: str, method: str, path: str, query: str, get_header: Any, res: Any
) -> None:
    res.send("ssgi")


def native(app: App) -> None:
    app.get("/", lambda res, req: res.end("socketify"))


class InSlot:
    """As sentry_sdk.integrations.asgi.SentryAsgiMiddleware: what is called lies in a slot of each object."""

    __slots__ = ("__call__", "app")

    def __init__(self, app: Any) -> None:
        self.app = app
        self.__call__: Callable[..., Any] = self._run

    async def _run(self, scope: Any, receive: Any, send: Any) -> Any:
        return await self.app(scope, receive, send)


class Middleware:
    """As Starlette's, OpenTelemetry's and nearly all others."""

    def __init__(self, app: Any, *, name: str = "") -> None:
        self.app = app
        self.name = name

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


@dataclasses.dataclass
class Correlation:
    """As asgi_correlation_id.CorrelationIdMiddleware."""

    app: Any
    header_name: str = "X-Request-ID"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class NotAsync:
    """As asgiref's and a2wsgi's adapters: a plain function that returns an awaitable."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, scope: Any, receive: Any, send: Any, **options: Any) -> Any:
        return self.app(scope, receive, send)


class AnyArguments:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, *args: Any, **keywords: Any) -> Any:
        return await self.app(*args, **keywords)


class Wrapping:
    """Says by __wrapped__ what it stands for."""

    def __init__(self, app: Any) -> None:
        functools.update_wrapper(self, app)
        self.app = app

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        return self.app(*args, **keywords)


class WSGIMiddleware:
    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: Any, start_response: Any, *, late: bool = False) -> Iterable[bytes]:
        result: Iterable[bytes] = self.app(environ, start_response)
        return result


class WSGIClass:
    """The application is the class, and its objects are the results."""

    def __init__(self, environ: Any, start_response: Any) -> None:
        start_response("200 OK", [])

    def __iter__(self) -> Any:
        return iter([b"wsgi"])


class StaticCall:
    @staticmethod
    async def __call__(scope: Any, receive: Any, send: Any) -> None:
        await asgi(scope, receive, send)


class Site:
    async def method(self, scope: Any, receive: Any, send: Any) -> None:
        await asgi(scope, receive, send)

    @staticmethod
    async def static(scope: Any, receive: Any, send: Any) -> None:
        await asgi(scope, receive, send)

    @classmethod
    async def of_class(cls, scope: Any, receive: Any, send: Any) -> None:
        await asgi(scope, receive, send)


def metrics() -> Any:
    """As prometheus_client.make_asgi_app: a function made in another."""

    async def prometheus_app(scope: Any, receive: Any, send: Any) -> None:
        await asgi(scope, receive, send)

    return prometheus_app


def decorated(app: Any) -> Any:
    @functools.wraps(app)
    def wrapper(*args: Any, **keywords: Any) -> Any:
        return app(*args, **keywords)

    return wrapper


def decorated_anyhow(app: Any) -> Any:
    async def wrapper(*args: Any) -> None:
        await app(*args)

    return wrapper


async def with_options(prefix: str, scope: Any, receive: Any, send: Any, debug: bool = False) -> None:
    await asgi(scope, receive, send)


async def with_defaults(scope: Any, receive: Any = None, send: Any = None) -> None:
    await asgi(scope, receive, send)


APPLICATIONS: list[tuple[str, Any]] = [
    ("asgi", asgi),
    ("asgi", InSlot(asgi)),
    ("asgi", InSlot(InSlot(Middleware(asgi)))),
    ("asgi", Middleware(asgi, name="x")),
    ("asgi", Correlation(asgi)),
    ("asgi", NotAsync(asgi)),
    ("asgi", AnyArguments(asgi)),
    ("asgi", Wrapping(asgi)),
    ("asgi", Site().method),
    ("asgi", Site.static),
    ("asgi", Site.of_class),
    ("asgi", StaticCall()),
    ("asgi", metrics()),
    ("asgi", decorated(asgi)),
    ("asgi", decorated(InSlot(asgi)._run)),
    ("asgi", decorated_anyhow(asgi)),
    ("asgi", with_defaults),
    ("asgi", functools.partial(with_options, "/api")),
    ("asgi", functools.partial(functools.partial(with_options, "/api"), debug=True)),
    ("asgi", functools.partial(Middleware.__call__, Middleware(asgi))),
    ("asgi", lambda scope, receive, send: asgi({**scope, "by": "lambda"}, receive, send)),
    ("wsgi", wsgi),
    ("wsgi", WSGIMiddleware(wsgi)),
    ("wsgi", WSGIClass),
    ("wsgi", Wrapping(wsgi)),
    ("wsgi", decorated(wsgi)),
    ("wsgi", functools.partial(WSGIMiddleware(wsgi), late=True)),
    ("ssgi", ssgi),
    ("ssgi", functools.partial(decorated(ssgi))),
    ("socketify", native),
    ("socketify", functools.partial(native)),
]


@pytest.mark.parametrize(("interface", "application"), APPLICATIONS)
def test_every_shape_of_application_is_told_and_served(interface: str, application: Any) -> None:
    ports: list[int] = []
    server = make_server(application)
    server.listen(0, lambda config: ports.append(config.port))
    assert not isinstance(server, App)
    server.run(block=False)
    try:
        assert httpx.get(f"http://127.0.0.1:{ports[0]}").text == interface
    finally:
        server.close()


async def make_later() -> Any:
    return asgi


def make(debug: bool = False) -> Any:
    return asgi


class AnySync:
    def __call__(self, *args: Any) -> None:
        pass


class Twice:
    def __init__(self, scope: Any) -> None:
        pass


async def two(environ: Any, start_response: Any) -> None:
    pass


@pytest.mark.parametrize(
    ("application", "told"),
    [
        (make, "needs no arguments: if it makes the application, give what it returns, or pass --factory on the command line"),
        (Site, "needs no arguments: if it makes the application, give what it returns, or pass --factory"),
        (make_later, "makes an application asynchronously, which cannot be awaited here: give a function that returns it"),
        (
            AnySync(),
            "it takes any arguments; say which it has: --interface, or interface=, is one of asgi, wsgi, ssgi, socketify",
        ),
        (Twice, "is an ASGI 2 application, which is called twice: asgiref.compatibility.guarantee_single_callable makes"),
        (two, "it is a coroutine function of 2 arguments; say which it has: --interface"),
        (lambda a, b, c, d: None, "it takes 4 arguments; say which it has: --interface, or interface="),
        (type(threading.Lock()).__enter__, "say which it has"),
        (5, "app must be callable, or an App, not int"),
    ],
)
def test_what_cannot_be_told_says_what_to_pass(application: Any, told: str) -> None:
    with pytest.raises(TypeError) as caught:
        detect_interface(application)
    assert told in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
