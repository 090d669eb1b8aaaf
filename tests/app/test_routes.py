"""Which handler a request gets: methods, patterns, hosts, and passing on."""

from __future__ import annotations

import httpx
import pytest

from socketify import App


def text(app: App, method: str, path: str, answer: str) -> None:
    getattr(app, method)(path, lambda res, _req: res.end(answer))


def test_routes_match_by_specificity_not_by_order(serve) -> None:
    def build(app: App) -> None:
        app.any("/*", lambda res, req: res.end("wildcard " + req.get_url()))
        app.get("/users/:id", lambda res, req: res.end(f"user {req.get_parameter(0)} {req.get_parameter('id')}"))
        text(app, "any", "/users/me", "any me")
        text(app, "get", "/users/me", "me")

    url = serve(build).url
    assert httpx.get(url + "/users/me").text == "me"
    assert httpx.post(url + "/users/me").text == "any me"
    assert httpx.get(url + "/users/7").text == "user 7 7"
    assert httpx.get(url + "/else/where").text == "wildcard /else/where"
    assert httpx.request("PURGE", url + "/x").text == "wildcard /x"


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options", "trace"])
def test_every_verb(serve, method: str) -> None:
    server = serve(lambda app: getattr(app, method)("/", lambda res, req: res.end(req.get_method())))
    assert httpx.request(method.upper(), server.url).text == method.upper()
    other = "GET" if method != "get" else "POST"
    assert httpx.request(other, server.url).status_code == 405


def test_head_has_the_fields_of_get_and_no_body(serve) -> None:
    server = serve(lambda app: text(app, "get", "/", "12345"))
    answer = httpx.head(server.url)
    assert answer.status_code == 200
    assert answer.headers["content-length"] == "5"
    assert answer.content == b""


def test_connect_is_routed(serve) -> None:
    server = serve(lambda app: app.connect("/*", lambda res, req: res.end(req.get_url(), end_connection=True)))
    answer = server.exchange(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n")
    assert answer.endswith(b"example.org:443")


def test_yield_asks_the_next_route(serve) -> None:
    def build(app: App) -> None:
        app.get("/a", lambda _res, req: req.set_yield(1))
        app.get("/a", lambda res, _req: res.end("second"))
        app.get("/b", lambda _res, req: req.set_yield(1))

    url = serve(build).url
    assert httpx.get(url + "/a").text == "second"
    assert httpx.get(url + "/b").status_code == 404


def test_a_route_can_be_added_by_a_handler(serve) -> None:
    def add(res, _req) -> None:
        server.app.get("/new", lambda res, _req: res.end("new"))
        res.end("added")

    server = serve(lambda app: app.get("/add", add))
    assert httpx.get(server.url + "/new").status_code == 404
    assert httpx.get(server.url + "/add").text == "added"
    assert httpx.get(server.url + "/new").text == "new"


def test_wrong_routes_are_refused() -> None:
    app = App()
    with pytest.raises(ValueError, match="path"):
        app.get("no-slash", lambda res, req: None)
    with pytest.raises(ValueError, match="last part"):
        app.get("/a/*/b", lambda res, req: None)
    with pytest.raises(TypeError, match="handler"):
        app.get("/", None)  # type: ignore[arg-type]
    app.close()


def test_the_request_tells_everything(serve) -> None:
    seen = {}

    def handler(res, req) -> None:
        seen.update(
            method=req.get_method(),
            url=req.get_url(),
            full=req.get_full_url(),
            header=req.get_header("x-one"),
            missing=req.get_header("x-none"),
            headers=req.get_headers(),
            query=req.get_query("a"),
            none=req.get_query("z"),
            queries=req.get_queries(),
            parameters=req.get_parameters(),
            beyond=req.get_parameter(9),
            old=req.is_ancient(),
        )
        req.for_each_header(lambda name, value: seen.setdefault("each", []).append((name, value)))
        res.end("")

    server = serve(lambda app: app.get("/:x/:y", handler))
    httpx.get(server.url + "/p%20q/r?a=%C3%A9+b&c=&a=2", headers=[("X-One", "1"), ("X-Two", "2"), ("X-Two", "3")])
    assert seen["method"] == "GET"
    assert seen["url"] == "/p%20q/r"
    assert seen["full"] == "/p%20q/r?a=%C3%A9+b&c=&a=2"
    assert (seen["header"], seen["missing"]) == ("1", None)
    assert seen["headers"]["x-two"] == "2, 3"
    assert ("x-two", "3") in seen["each"]
    assert (seen["query"], seen["none"]) == ("é b", None)
    assert seen["queries"] == {"a": ["é b", "2"], "c": [""]}
    assert seen["parameters"] == ["p q", "r"]
    assert (seen["beyond"], seen["old"]) == (None, False)


def test_a_preserved_request_outlives_its_handler_and_another_does_not(serve) -> None:
    kept = []

    def handler(res, req) -> None:
        if req.get_query("keep"):
            req.preserve()
        kept.append(req)
        res.end("")

    server = serve(lambda app: app.get("/:x", handler))
    httpx.get(server.url + "/a?keep=1", headers={"x": "first"})
    httpx.get(server.url + "/b", headers={"x": "second"})
    assert kept[0].get_url() == "/a"
    assert kept[0].get_header("x") == "first"
    assert kept[0].get_parameter(0) == "a"
    with pytest.raises(RuntimeError, match="preserve"):
        kept[1].get_url()
