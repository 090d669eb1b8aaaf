"""Extensions, middlewares and routers."""

from __future__ import annotations

import asyncio
from typing import Any, Callable

import httpx
import pytest
from websockets.sync.client import connect

from socketify import App, MiddlewareRouter, OpCode, Request, Response, middleware


def _auth(request: Any, response: Any, _ws: Any) -> None:
    request.property("cart", [])
    request.property("user", "nobody")

    @request.method
    def token(self: Any) -> str:
        return self.get_header("token") or "none"

    @request.method
    async def slow_token(self: Any) -> str:
        token: str = self.token()
        await asyncio.sleep(0.001)
        return token

    @response.method
    def ok(self: Any, message: Any) -> Any:
        return self.send(message, headers=[("X-Ok", "1")])


@pytest.mark.parametrize("pool", [0, 10])
def test_methods_and_properties(serve: Callable[..., Any], pool: int) -> None:
    def handler(res: Any, req: Any) -> None:
        req.cart.append(req.token())
        req.user += "!"
        res.ok({"cart": req.cart, "user": req.user})

    async def slow(res: Any, req: Any) -> None:
        res.ok(await req.slow_token())

    def build(app: App) -> None:
        app.register(_auth).get("/", handler).get("/slow", slow)

    url = serve(build, request_response_factory_max_items=pool).url
    for token in ("a", "b", "c"):
        got = httpx.get(url, headers={"token": token})
        assert (got.json(), got.headers["x-ok"]) == ({"cart": [token], "user": "nobody!"}, "1")
    assert httpx.get(url + "/slow", headers={"token": "t"}).text == "t"


def test_extensions_compose_and_stay_with_their_app(serve: Callable[..., Any]) -> None:
    def other(request: Any, _response: Any, _ws: Any) -> None:
        @request.method
        def doubled(self: Any) -> str:
            return str(self.token() * 2)

    def build(app: App) -> None:
        app.register(_auth).register(other).get("/", lambda res, req: res.end(req.doubled()))

    assert httpx.get(serve(build).url, headers={"token": "ab"}).text == "abab"
    got = httpx.get(serve(lambda app: app.get("/", lambda res, req: res.end(str(hasattr(req, "token"))))).url)
    assert got.text == "False"


@pytest.mark.parametrize("name", ["get_header", "exchange_", "not an identifier", "class"])
def test_names_that_cannot_be_added(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        App().register(lambda request, _response, _ws: request.property(name, 1))
    with pytest.raises(ValueError, match="token"):
        App().register(_auth).register(_auth_again)
    with pytest.raises(TypeError, match="extension"):
        App().register(5)  # type: ignore[arg-type]


def _auth_again(request: Any, _response: Any, _ws: Any) -> None:
    request.property("token")


#: What an extension may well call something of its own, and what the framework has names for, too.
_COMMON_NAMES = ("exchange", "session", "core", "state", "connection", "handle", "head", "route", "context")


def test_an_extension_may_have_the_words_of_the_framework(serve: Callable[..., Any]) -> None:
    def extend(*objects: Any) -> None:
        for each in objects:
            for name in _COMMON_NAMES:
                each.property(name)

    def set_all(target: Any) -> None:
        for name in _COMMON_NAMES:
            setattr(target, name, name)

    def are_set(target: Any) -> bool:
        return all(getattr(target, name) == name for name in _COMMON_NAMES)

    async def on_request(res: Any, req: Any) -> None:
        set_all(res)
        set_all(req)
        await asyncio.sleep(0)
        res.end(str(are_set(res) and are_set(req)))

    def on_message(ws: Any, _message: str, opcode: OpCode) -> None:
        ws.send(str(are_set(ws)), opcode)

    def build(app: App) -> None:
        app.register(extend).get("/", on_request).ws("/", {"open": set_all, "message": on_message})

    server = serve(build)
    assert httpx.get(server.url).text == "True"
    with connect(server.ws_url) as client:
        client.send("")
        assert client.recv(timeout=10) == "True"


def test_middlewares_pass_data_and_end_the_chain(serve: Callable[..., Any]) -> None:
    def first(res: Response, req: Request, data: Any = None) -> Any:
        assert data is None
        if req.get_query("stop"):
            res.send("stopped", status=403)
            return False
        return [1]

    async def second(_res: Response, req: Request, data: Any = None) -> Any:
        await asyncio.sleep(0.001)
        return [*data, 2, req.get_header("x")]

    def third(_res: Response, _req: Request, data: Any = None) -> Any:
        return [*data, 3]

    def build(app: App) -> None:
        app.get("/", middleware(first, second, third, lambda res, _req, data: res.end(data)))
        app.get("/plain", middleware(first, lambda res, _req: res.end("two arguments")))
        app.get("/ended", middleware(lambda res, _req, _data=None: res.end("early"), lambda res, _req: res.end("late")))

    url = serve(build).url
    assert httpx.get(url, headers={"x": "y"}).json() == [1, 2, "y", 3]
    assert httpx.get(url + "?stop=1").text == "stopped"
    assert httpx.get(url + "/plain").text == "two arguments"
    assert httpx.get(url + "/ended").text == "early"
    with pytest.raises(ValueError, match="at least one"):
        middleware()
    with pytest.raises(TypeError, match="callable"):
        middleware(5)  # type: ignore[arg-type]


VERBS = ["get", "post", "put", "patch", "delete", "options", "trace"]


def test_routers(serve: Callable[..., Any]) -> None:
    def tag(name: str) -> Callable[..., Any]:
        return lambda _res, _req, data=None: [*(data or []), name]

    def build(app: App) -> None:
        api = app.router("/api", tag("api"))
        for verb in VERBS:

            @getattr(api, verb)("/verb")
            def handler(res: Response, _req: Request, data: Any, verb: str = verb) -> None:
                res.end([*data, verb])

        nested = api.router("/v1/", tag("v1"))

        @nested.get("/x/:id")
        async def x(res: Response, req: Request, data: Any) -> None:
            res.end([*data, req.get_parameter("id")])

        @app.router().any("/any")
        def anything(res: Response, req: Request) -> None:
            res.end(req.get_method())

        @api.get("")
        def root(res: Response, _req: Request) -> None:
            res.end("root")

        behind = MiddlewareRouter(app, tag("m1"), tag("m2"))
        for verb in VERBS:
            getattr(behind, verb)("/behind", lambda res, _req, data: res.end(data))

    url = serve(build).url
    for verb in VERBS:
        assert httpx.request(verb.upper(), url + "/api/verb").json() == ["api", verb]
        assert httpx.request(verb.upper(), url + "/behind").json() == ["m1", "m2"]
    assert httpx.get(url + "/api/v1/x/7").json() == ["api", "v1", "7"]
    assert httpx.request("PURGE", url + "/any").text == "PURGE"
    assert httpx.get(url + "/api").text == "root"
    with pytest.raises(ValueError, match="prefix"):
        App().router("api")


def test_domains(serve: Callable[..., Any]) -> None:
    def build(app: App) -> None:
        app.get("/", lambda res, _: res.end("any"))
        app.get("/shared", lambda res, _: res.end("shared"))
        app.add_server_name("a.example.org").domain("a.example.org").get("/", lambda res, _: res.end("a"))
        app.domain("*.example.org").get("/", lambda res, _: res.end("wild"))
        app.domain("gone.test").get("/", lambda res, _: res.end("gone"))
        app.remove_server_name("gone.test")

    url = serve(build).url
    for host, text in (
        ("a.example.org", "a"),
        ("A.Example.org:80", "a"),
        ("b.example.org", "wild"),
        ("c.b.example.org", "wild"),
        ("example.org", "any"),
        ("gone.test", "any"),
    ):
        assert httpx.get(url, headers={"host": host}).text == text, host
    assert httpx.get(url + "/shared", headers={"host": "a.example.org"}).text == "shared"
    for wrong in ("", "a b", "a..b", "*", "http://a"):
        with pytest.raises(ValueError, match="hostname"):
            App().domain(wrong)
