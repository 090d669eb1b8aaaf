"""Applications of other interfaces below a path of an app."""

from __future__ import annotations

from typing import Any, Callable

import httpx
import pytest
from flask import Flask, request, url_for
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from socketify import ASGI, App
from socketify.testing import TestClient


async def scope_of(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": f"{scope['root_path']} {scope['path']}"})
        await send({"type": "websocket.close", "code": 4000})
        return
    assert scope["type"] == "http"
    body = f"asgi {scope['method']} {scope['root_path']} {scope['path']} {scope['query_string'].decode()}"
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body.encode() + b" " + message["body"]})


def environ_of(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    body = environ["wsgi.input"].read().decode()
    keys = ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING")
    return [" ".join(["wsgi", *(environ[key] for key in keys), body]).encode()]


def build(app: App) -> None:
    app.get("/", lambda res, req: res.end("native"))
    app.get("/a/native", lambda res, req: res.end("more specific"))
    app.mount("/a", scope_of, lifespan="off").mount("/w/", environ_of).mount("/deep/down", environ_of, threads=2)
    app.get("/*", lambda res, req: res.end(f"other {req.get_url()}"))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "native"),
        ("/a", "asgi GET /a /a  "),
        ("/a/", "asgi GET /a /a/  "),
        ("/a/b%20c?d=e", "asgi GET /a /a/b c d=e "),
        ("/a/native", "more specific"),
        ("/ab", "other /ab"),
        ("/w", "wsgi GET /w   "),
        ("/w/b%20c?d=e", "wsgi GET /w /b c d=e "),
        ("/deep/down/x", "wsgi GET /deep/down /x  "),
        ("/deep", "other /deep"),
    ],
)
def test_paths(serve: Callable[..., Any], path: str, expected: str) -> None:
    assert httpx.get(serve(build).url + path).text == expected


def test_methods_and_bodies(serve: Callable[..., Any]) -> None:
    url = serve(build).url
    for prefix, kind in (("/a", "asgi"), ("/w", "wsgi"), ("/deep/down", "wsgi")):
        for method in ("PUT", "OPTIONS"):
            got = httpx.request(method, f"{url}{prefix}/x", content="body").text
            assert got.startswith(f"{kind} {method} {prefix} "), got
            assert got.endswith(" body")


def test_websockets(serve: Callable[..., Any]) -> None:
    def routes(app: App) -> None:
        build(app)
        app.ws("/a/native", {"open": lambda ws: ws.end(4001)})

    server = serve(routes)
    for path in ("/a", "/a/b"):
        with connect(server.ws_url + path) as websocket:
            assert websocket.recv(10) == f"/a {path}"
    with connect(server.ws_url + "/a/native") as websocket:
        with pytest.raises(ConnectionClosed) as closed:
            websocket.recv(10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4001
    with pytest.raises(InvalidStatus), connect(server.ws_url + "/w"):
        pass


def test_without_websockets(serve: Callable[..., Any]) -> None:
    server = serve(lambda app: app.mount("/a", scope_of, lifespan="off", websocket=False))
    assert httpx.get(server.url + "/a").status_code == 200
    with pytest.raises(InvalidStatus), connect(server.ws_url + "/a"):
        pass


def test_lifespan_and_state(serve: Callable[..., Any]) -> None:
    seen = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": scope["state"]["name"].encode()})
            return
        await receive()
        scope["state"]["name"] = f"number {len(seen)}"
        seen.append("start")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        seen.append("stop")
        await send({"type": "lifespan.shutdown.complete"})

    with TestClient(lambda app: app.mount("/a", application).mount("/b", application)) as client:
        assert [client.get(path).text for path in ("/a", "/b")] == ["number 0", "number 1"]
    assert seen == ["start", "start", "stop", "stop"]


def test_an_app_made_in_another_thread() -> None:
    app = App()
    build(app)
    with TestClient(app) as client:
        assert client.get("/w/x").text == "wsgi GET /w /x  "
        for _ in range(2):
            with client.websocket_connect("/a/b") as websocket:
                assert websocket.receive() == "/a /a/b"


def test_starlette_and_flask(serve: Callable[..., Any]) -> None:
    async def hello(asked: Request) -> JSONResponse:
        return JSONResponse({"url": str(asked.url_for("hello").path)})

    async def echo(websocket: Any) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.close()

    api = Starlette(routes=[Route("/hello", hello, name="hello"), WebSocketRoute("/echo", echo)])
    flask = Flask("mounted")
    flask.add_url_rule("/hello", "hello", lambda: f"{url_for('hello')} {request.args['q']}")

    server = serve(lambda app: app.mount("/api", api).mount("/admin", flask))
    assert httpx.get(server.url + "/api/hello").json() == {"url": "/api/hello"}
    assert httpx.get(server.url + "/admin/hello?q=1").text == "/admin/hello 1"
    assert httpx.get(server.url + "/api/missing").status_code == 404
    with connect(server.ws_url + "/api/echo") as websocket:
        websocket.send("text")
        assert websocket.recv(10) == "text"


def test_everything_else(serve: Callable[..., Any]) -> None:
    server = serve(lambda app: app.get("/n", lambda res, req: res.end("native")).mount("/", environ_of))
    assert [httpx.get(server.url + path).text for path in ("/n", "/w")] == ["native", "wsgi GET  /w  "]


def test_beside_another_application() -> None:
    server = ASGI(scope_of, setup=lambda app: app.mount("/w", environ_of), lifespan=False)
    ports = []
    server.listen(0, lambda config: ports.append(config.port))
    server.run(block=False)
    try:
        url = f"http://127.0.0.1:{ports[0]}"
        assert httpx.get(url + "/w/x").text == "wsgi GET /w /x  "
        assert httpx.get(url + "/x").text == "asgi GET  /x  "
    finally:
        server.close()


def test_a_proxy_that_takes_a_part_off(serve: Callable[..., Any]) -> None:
    options = {"trusted_proxies": "*", "forwarded_headers": "x-forwarded-prefix"}
    server = serve(build, **options)
    headers = {"X-Forwarded-Prefix": "/outer"}
    assert httpx.get(server.url + "/a/x", headers=headers).text == "asgi GET /outer/a /outer/a/x  "
    assert httpx.get(server.url + "/w/x", headers=headers).text == "wsgi GET /outer/w /x  "
    assert httpx.get(server.url + "/w/x").text == "wsgi GET /w /x  "
    assert httpx.get(server.url + "/a/x").text == "asgi GET /a /a/x  "


@pytest.mark.parametrize(
    ("said", "path", "expected"),
    [
        ("/a", "/a/x", "asgi GET /a /a/x  "),
        ("/w", "/w/x", "wsgi GET /w /x  "),
        ("/deep", "/deep/down/x", "wsgi GET /deep/down /x  "),
        ("/deep/down", "/deep/down", "wsgi GET /deep/down   "),
        ("/high", "/high/up/x", "asgi GET /high/up /high/up/x  "),
        ("/dee", "/deep/down/x", "wsgi GET /dee/deep/down /x  "),
    ],
)
def test_a_proxy_that_says_where_it_is_and_takes_nothing_off(
    serve: Callable[..., Any], said: str, path: str, expected: str
) -> None:
    def routes(app: App) -> None:
        build(app)
        app.mount("/high/up", scope_of, lifespan="off")

    server = serve(routes, trusted_proxies="*", forwarded_headers="x-forwarded-prefix")
    assert httpx.get(server.url + path, headers={"X-Forwarded-Prefix": said}).text == expected


def test_errors_go_to_the_error_handler(serve: Callable[..., Any]) -> None:
    async def fail(_scope: Any, _receive: Any, _send: Any) -> None:
        message = "of the application"
        raise LookupError(message)

    def routes(app: App) -> None:
        app.mount("/a", fail, lifespan="off")
        app.on_error(lambda error, res, req: res.send(repr(error), status=500))

    assert httpx.get(serve(routes).url + "/a").text == "LookupError('of the application')"


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (("a", scope_of), {}, ValueError, "prefix"),
        (("/a/:b", scope_of), {}, ValueError, "prefix"),
        (("/a/*", scope_of), {}, ValueError, "prefix"),
        (("/a%20", scope_of), {}, ValueError, "prefix"),
        (("/a//b", scope_of), {}, ValueError, "prefix"),
        ((7, scope_of), {}, ValueError, "prefix"),
        (("/a", 7), {}, TypeError, "callable"),
        (("/a", lambda app: None), {}, TypeError, "ASGI or a WSGI"),
        (("/a", App()), {}, TypeError, "ASGI or a WSGI"),
        (("/a", scope_of), {"interface": "ssgi"}, ValueError, "interface"),
        (("/a", scope_of), {"interface": "wsgi"}, TypeError, "of the interface wsgi is called as app"),
        (("/a", App()), {"interface": "asgi"}, TypeError, "this is a socketify.App"),
        (("/a", scope_of), {"lifespan": "never"}, ValueError, "lifespan"),
        (("/a", environ_of), {"threads": 0}, ValueError, "threads"),
        (("/a", scope_of), {"websocket_options": {"nonsense": 1}}, ValueError, "nonsense"),
    ],
)
def test_mistakes(arguments: Any, options: Any, error: Any, message: str) -> None:
    app = App()
    with pytest.raises(error, match=message):
        app.mount(*arguments, **options)
    app.close()
