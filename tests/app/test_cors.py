"""Requests of pages of other origins."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Callable

import httpx
import pytest

from socketify import App, HTTPError, MiddlewareRouter, Request, Response, middleware
from socketify.cors import CORS

HERE, THERE = "https://app.example", "https://other.example"
PREFIX = "access-control-"


def asked(url: str, origin: str = HERE, method: str = "PUT", headers: str = "") -> httpx.Response:
    fields = {"Origin": origin, "Access-Control-Request-Method": method}
    return httpx.options(url, headers={**fields, **({"Access-Control-Request-Headers": headers} if headers else {})})


def cors_fields(response: httpx.Response) -> dict[str, str]:
    return {name[len(PREFIX) :]: value for name, value in response.headers.items() if name.startswith(PREFIX)}


def build(app: App, cors: CORS, folder: Path) -> None:
    (folder / "file.txt").write_text("a file")

    def fail(_res: Response, _req: Request) -> None:
        message = "of the handler"
        raise LookupError(message)

    async def later(_res: Response, _req: Request) -> None:
        await asyncio.sleep(0)
        raise HTTPError(402, "pay")

    async def wait(res: Response, _req: Request) -> None:
        await asyncio.sleep(0)
        res.end("waited")

    def bad(res: Response, _req: Request) -> None:
        res.send("a", headers={"bad name": "b"})

    def pieces(res: Response, _req: Request) -> None:
        res.write("a")
        res.write("b")
        res.end()

    routes = MiddlewareRouter(app, cors)
    routes.get("/", lambda res, req: res.end("Hello")).put("/", lambda res, req: res.send({"a": 1}, status=201))
    routes.get("/fail", fail).get("/later", later).get("/wait", wait).get("/bad", bad).get("/pieces", pieces)
    routes.get("/sized", lambda res, req: res.try_end(b"sized", 5))
    routes.get("/varies", lambda res, req: res.write_header("Vary", "accept, ORIGIN").end("v"))
    routes.get("/own", lambda res, req: res.write_header("Access-Control-Allow-Origin", THERE).end("own"))
    routes.any("/any", lambda res, req: res.end(req.get_method()))
    app.any("/passed-on", lambda res, req: req.set_yield(True))
    routes.options("/options", lambda res, req: res.end("my options"))
    router = app.router("/api", cors)
    router.get("/data")(lambda res, req: res.send([1]))
    app.get("/hand", middleware(cors, lambda res, req: res.end("by hand"))).options("/hand", cors.preflight)
    app.get("/plain", lambda res, req: res.end("none of it"))


@pytest.fixture
def url(serve: Callable[..., Any], tmp_path: Path) -> str:
    cors = CORS([HERE, "http://localhost:3000"], headers=["X-Token"], expose=["X-Total"], credentials=True, max_age=60)
    served: str = serve(lambda app: build(app, cors, tmp_path)).url
    return served


ALLOWED = {"allow-origin": HERE, "allow-credentials": "true", "expose-headers": "X-Total"}
PATHS = [("/", 200), ("/fail", 500), ("/later", 402), ("/wait", 200), ("/bad", 500), ("/pieces", 200), ("/sized", 200)]


@pytest.mark.parametrize(("path", "status"), [*PATHS, ("/any", 200), ("/api/data", 200), ("/hand", 200)])
def test_answers_and_errors_have_the_fields(url: str, path: str, status: int) -> None:
    got = httpx.get(url + path, headers={"Origin": HERE})
    assert got.status_code == status
    assert cors_fields(got) == ALLOWED
    assert got.headers.get_list("vary") == ["Origin"]


@pytest.mark.parametrize("headers", [{}, {"Origin": THERE}, {"Origin": "null"}])
def test_others_get_none(url: str, headers: dict[str, str]) -> None:
    got = httpx.get(url, headers=headers)
    assert (got.text, cors_fields(got), got.headers["vary"]) == ("Hello", {}, "Origin")


def test_what_the_handler_wrote_goes_before(url: str) -> None:
    assert httpx.get(url + "/varies", headers={"Origin": HERE}).headers.get_list("vary") == ["accept, ORIGIN"]
    got = httpx.get(url + "/own", headers={"Origin": HERE})
    assert got.headers.get_list("access-control-allow-origin") == [THERE]
    assert cors_fields(httpx.get(url + "/plain", headers={"Origin": HERE})) == {}


@pytest.mark.parametrize("path", ["/", "/any", "/options", "/api/data", "/hand"])
def test_preflight(url: str, path: str) -> None:
    got = asked(url + path, headers="x-token , X-TOKEN")
    assert (got.status_code, got.content) == (204, b"")
    assert cors_fields(got) == {
        "allow-origin": HERE,
        "allow-credentials": "true",
        "allow-methods": "DELETE, GET, HEAD, PATCH, POST, PUT",
        "allow-headers": "X-Token",
        "max-age": "60",
    }
    assert got.headers["vary"] == "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ({"origin": THERE}, "origin"),
        ({"origin": HERE + ":81"}, "origin"),
        ({"method": "TRACE"}, "method"),
        ({"method": "put"}, "method"),
        ({"headers": "x-token, x-other"}, "x-other"),
    ],
)
def test_preflights_that_are_refused(url: str, question: dict[str, str], reason: str) -> None:
    got = asked(url, **question)
    assert got.status_code == 403
    assert reason in got.text
    assert cors_fields(got) == {}


def test_other_options(url: str) -> None:
    assert httpx.options(url + "/options").text == "my options"
    assert httpx.options(url + "/any", headers={"Origin": HERE}).text == "OPTIONS"
    got = httpx.options(url + "/")
    assert (got.status_code, got.headers["allow"]) == (405, "GET, HEAD, PUT")
    for path in ("/none", "/passed-on"):
        assert httpx.options(url + path).status_code == 404


def test_every_origin(serve: Callable[..., Any], tmp_path: Path) -> None:
    url = serve(lambda app: build(app, CORS("*", headers="*", methods=["PUT", "QUERY"]), tmp_path)).url
    for path, status in PATHS:
        got = httpx.get(url + path)
        assert (got.status_code, cors_fields(got)) == (status, {"allow-origin": "*"})
        assert "vary" not in got.headers
    got = asked(url, THERE, "QUERY", "x-any, X-Other")
    assert cors_fields(got) == {
        "allow-origin": "*",
        "allow-methods": "PUT, QUERY",
        "allow-headers": "x-any, X-Other",
        "max-age": "600",
    }
    assert asked(url, THERE, headers="no token").status_code == 403
    url = serve(lambda app: build(app, CORS("*", headers=["*"]), tmp_path)).url
    assert cors_fields(asked(url, THERE, headers="x-any"))["allow-headers"] == "x-any"


def test_a_function_decides(serve: Callable[..., Any], tmp_path: Path) -> None:
    cors = CORS(lambda origin: origin.endswith(".example"), credentials=True)
    url = serve(lambda app: build(app, cors, tmp_path)).url
    assert cors_fields(httpx.get(url, headers={"Origin": THERE}))["allow-origin"] == THERE
    assert cors_fields(httpx.get(url, headers={"Origin": "https://a.test"})) == {}


async def waits(_origin: str) -> bool:
    return False


def test_who_would_decide_later_lets_nobody(serve: Callable[..., Any], tmp_path: Path, caplog: Any) -> None:
    def decide(origin: str) -> Any:
        return waits(origin)

    cors = CORS(decide, credentials=True)
    url = serve(lambda app: build(app, cors, tmp_path)).url
    for got in (httpx.get(url, headers={"Origin": THERE}), asked(url, THERE)):
        assert (got.status_code, cors_fields(got)) == (500, {})
    assert "a function that does not wait" in caplog.text


def test_what_no_route_takes(serve: Callable[..., Any]) -> None:
    def routes(app: App) -> None:
        api = app.router("/api", CORS(HERE))
        api.get("/data")(lambda res, req: res.send([1]))
        api.any("/*")(lambda res, req: res.send("nothing here", status=404))

    url = serve(routes).url
    for method, path in (("GET", "/api/none"), ("PUT", "/api/data")):
        got = httpx.request(method, url + path, headers={"Origin": HERE})
        assert (got.status_code, cors_fields(got)) == (404, {"allow-origin": HERE})
    assert asked(url + "/api/none").status_code == 204
    assert cors_fields(httpx.get(url + "/none", headers={"Origin": HERE})) == {}


@pytest.mark.parametrize("kind", ["decorators", "verbs"])
def test_a_router_within_another_one_has_its_own_rules(serve: Callable[..., Any], kind: str) -> None:
    """Those of the outer one are neither asked nor added; what else stands before the inner ones runs as it did."""
    seen: list[str] = []

    def guard(res: Response, req: Request) -> bool:
        seen.append(req.get_url())
        if req.get_header("token") != "t":
            res.send("no", status=401)
            return False
        return True

    outer, inner = CORS(HERE, headers=["token"], max_age=1), CORS(THERE, methods=["PUT"], headers=["token"], max_age=2)

    def hello(res: Response, _req: Request) -> None:
        res.end("Hello")

    def build(app: App) -> None:
        if kind == "decorators":
            api = app.router("/api", outer, guard)
            api.put("/a")(hello)
            api.router("/inner", inner).put("/b")(hello)
            api.router("/plain").put("/c")(hello)
        else:
            api_routes = MiddlewareRouter(app, outer, guard)
            api_routes.put("/api/a", hello)
            MiddlewareRouter(api_routes, inner).put("/api/inner/b", hello)
            MiddlewareRouter(api_routes, outer).put("/api/plain/c", hello)

    url = serve(build).url
    for path, allowed, age in (("/api/a", HERE, "1"), ("/api/inner/b", THERE, "2"), ("/api/plain/c", HERE, "1")):
        other = THERE if allowed == HERE else HERE
        answer = asked(url + path, allowed, headers="token")
        assert (answer.status_code, answer.headers["access-control-max-age"]) == (204, age)
        assert asked(url + path, other, headers="token").status_code == 403
        assert seen == []
        for fields, status in (({"token": "t"}, 200), ({}, 401)):
            assert httpx.put(url + path, headers={"Origin": allowed, **fields}).status_code == status
            assert cors_fields(httpx.put(url + path, headers={"Origin": allowed, **fields})) == {"allow-origin": allowed}
            assert cors_fields(httpx.put(url + path, headers={"Origin": other, **fields})) == {}
        assert seen == [path] * 6
        seen.clear()


def test_an_error_handler_answers_with_the_fields(serve: Callable[..., Any], tmp_path: Path) -> None:
    def routes(app: App) -> None:
        build(app, CORS(HERE), tmp_path)
        app.on_error(lambda error, res, req: res.send({"error": str(error)}, status=500))

    got = httpx.get(serve(routes).url + "/fail", headers={"Origin": HERE})
    assert (got.json(), cors_fields(got)) == ({"error": "of the handler"}, {"allow-origin": HERE})


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"origins": "*", "credentials": True}, ValueError, "every page"),
        ({"origins": ["*"], "credentials": True}, ValueError, "every page"),
        ({"origins": ["*", HERE]}, ValueError, "alone"),
        ({"origins": HERE + "/"}, ValueError, "without a path"),
        ({"origins": "app.example"}, ValueError, "as 'https"),
        ({"origins": "https://App.example"}, ValueError, "lower case"),
        ({"origins": [7]}, TypeError, "origins"),
        ({"origins": "https://bücher.example"}, ValueError, "ASCII"),
        ({"origins": "https://*.example"}, ValueError, "a function can"),
        ({"origins": HERE + ":443"}, ValueError, "usual port"),
        ({"origins": "http://localhost:80"}, ValueError, "usual port"),
        ({"origins": waits}, TypeError, "does not wait"),
        ({"origins": HERE, "methods": ["*"]}, ValueError, "must be named"),
        ({"origins": HERE, "headers": ["*", "a"]}, ValueError, "alone"),
        ({"origins": HERE, "methods": ["put"]}, ValueError, "'PUT'"),
        ({"origins": HERE, "methods": "PUT"}, TypeError, "several"),
        ({"origins": HERE, "methods": ["P T"]}, ValueError, "tokens"),
        ({"origins": HERE, "headers": ["a:b"]}, ValueError, "tokens"),
        ({"origins": HERE, "max_age": -1}, ValueError, "max_age"),
    ],
)
def test_mistakes(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        CORS(**arguments)
