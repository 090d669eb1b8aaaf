"""Cookies over real sockets, against http.cookies."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from http.cookies import SimpleCookie
from typing import Any, Callable

import httpx
import pytest

from socketify import Request, Response
from socketify.wire.cookies import set_cookie_field


def test_reading(serve: Callable[..., Any]) -> None:
    def handler(res: Response, req: Request) -> None:
        res.send({"all": req.get_cookies(), "a": req.get_cookie("a"), "none": req.get_cookie("none")})

    url = serve(lambda app: app.get("/", handler)).url
    field = 'a=1; b="x y"; broken; =nameless; a=2; c=; json={"k":1}; d=a=b'
    got = httpx.get(url, headers={"cookie": field}).json()
    assert got["all"] == {"a": "1", "b": "x y", "c": "", "json": '{"k":1}', "d": "a=b"}
    assert (got["a"], got["none"]) == ("1", None)
    assert httpx.get(url).json()["all"] == {}


def test_two_fields(serve: Callable[..., Any]) -> None:
    async def waiting(res: Response, req: Request) -> None:
        req.preserve()
        await asyncio.sleep(0)
        handler(res, req)

    def handler(res: Response, req: Request) -> None:
        headers = req.get_headers()
        res.send([req.get_cookies(), req.get_cookie("b"), headers["cookie"], headers["x-two"]])

    server = serve(lambda app: app.get("/", handler).get("/waiting", waiting))
    fields = [("Cookie", "a=1"), ("X-Two", "2"), ("cookie", "b=2; a=3"), ("x-two", "3")]
    for path in ("/", "/waiting"):
        got = httpx.get(server.url + path, headers=fields).json()
        assert got == [{"a": "1", "b": "2"}, "2", "a=1; b=2; a=3", "2, 3"]


@pytest.mark.parametrize("value", ["plain", "", "é €", 'quo"te', "semi;colon, comma", "back\\slash", "sp ace"])
def test_what_is_set_comes_back(serve: Callable[..., Any], value: str) -> None:
    def build(app: Any) -> None:
        app.get("/set", lambda res, _req: res.set_cookie("name", value, {"path": "/"}).end())
        app.get("/get", lambda res, req: res.send({"value": req.get_cookie("name")}))

    with httpx.Client(base_url=serve(build).url) as client:
        field = client.get("/set").headers["set-cookie"]
        assert client.get("/get", headers={"cookie": field.rpartition("; Path=/")[0]}).json() == {"value": value}


def test_attributes() -> None:
    soon = datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1)))
    options = {
        "path": "/",
        "domain": "example.org",
        "max-age": 5,
        "secure": True,
        "httponly": True,
        "samesite": "lax",
        "expires": soon,
        "comment": "c",
        "version": 1,
    }
    field = set_cookie_field("n", "v", options)
    parsed = SimpleCookie(field)["n"]
    assert (parsed.value, parsed["path"], parsed["domain"], parsed["max-age"]) == ("v", "/", "example.org", "5")
    assert (parsed["secure"], parsed["httponly"], parsed["samesite"]) == (True, True, "Lax")
    assert parsed["expires"] == "Wed, 02 Jan 2030 02:04:05 GMT"
    assert (parsed["comment"], parsed["version"]) == ("c", "1")
    assert set_cookie_field("n", "v", {"secure": False, "path": None}) == "n=v"
    assert set_cookie_field("n", "v", {"max_age": 0}) == "n=v; Max-Age=0"


@pytest.mark.parametrize(
    ("arguments", "kind", "culprit"),
    [
        (("a b", "v"), ValueError, "a b"),
        (("", "v"), ValueError, "''"),
        (("path", "v"), ValueError, "path"),
        (("n", "v\r\nX: 1"), ValueError, "value"),
        (("n", 5), TypeError, "int"),
        (("n", "v", {"pth": "/"}), ValueError, "pth"),
        (("n", "v", {"path": "/; Secure"}), ValueError, "path"),
        (("n", "v", {"domain": "a\r\nb"}), ValueError, "domain"),
        (("n", "v", {"samesite": "maybe"}), ValueError, "samesite"),
        (("n", "v", {"max-age": "soon"}), ValueError, "max-age"),
    ],
)
def test_mistakes_name_the_culprit(arguments: Any, kind: type, culprit: str) -> None:
    with pytest.raises(kind, match=culprit):
        set_cookie_field(*arguments)
