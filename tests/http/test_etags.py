"""Conditional requests for answers that handlers make."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Optional

import httpx
import pytest

from socketify import App, Request, Response, answer_unchanged, send_with_etag
from socketify.wire.conditional import entity_tag, precondition

CHANGED = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
DATE, EARLIER = "Wed, 01 May 2024 12:00:00 GMT", "Wed, 01 May 2024 11:59:59 GMT"


def build(app: App) -> None:
    made: list[str] = []

    def article(res: Response, req: Request) -> None:
        if not answer_unchanged(res, req, "v1", CHANGED):
            made.append(req.get_method())
            res.send("text")

    def weak(res: Response, req: Request) -> None:
        if not answer_unchanged(res, req, "v1", weak=True):
            res.end("text")

    def dated(res: Response, req: Request) -> None:
        if not answer_unchanged(res, req, modified=CHANGED.timestamp()):
            res.end("text")

    app.any("/article", article)
    app.get("/weak", weak)
    app.get("/dated", dated)
    app.get("/made", lambda res, req: res.send(made))
    app.get("/json", lambda res, req: send_with_etag(res, req, {"a": 1}, headers={"Cache-Control": "no-cache", "X-Own": "1"}))
    app.post("/json", lambda res, req: send_with_etag(res, req, {"a": 1}))
    app.get("/missing", lambda res, req: send_with_etag(res.write_status(404), req, "none"))
    app.get("/text", lambda res, req: send_with_etag(res, req, "é", headers=[(b"Vary", b"Accept")]))
    app.get("/html", lambda res, req: send_with_etag(res, req, "<p>", "text/html"))
    app.get("/written", lambda res, req: send_with_etag(res.write_header("Content-Type", "a/b"), req, [1]))


@pytest.fixture
def url(serve: Callable[..., Any]) -> str:
    served: str = serve(build).url
    return served


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {}, 200),
        ("GET", {"If-None-Match": '"v1"'}, 304),
        ("GET", {"If-None-Match": 'W/"v1"'}, 304),
        ("GET", {"If-None-Match": '"v0", "v1"'}, 304),
        ("HEAD", {"If-None-Match": "*"}, 304),
        ("GET", {"If-None-Match": '"v0"', "If-Modified-Since": DATE}, 200),
        ("GET", {"If-Modified-Since": DATE}, 304),
        ("GET", {"If-Modified-Since": EARLIER}, 200),
        ("GET", {"If-Modified-Since": "nonsense"}, 200),
        ("PUT", {"If-Match": '"v1"'}, 200),
        ("PUT", {"If-Match": '"v0"'}, 412),
        ("PUT", {"If-Match": 'W/"v1"'}, 412),
        ("PUT", {"If-Match": "*"}, 200),
        ("PUT", {"If-None-Match": "*"}, 412),
        ("PUT", {"If-Unmodified-Since": EARLIER}, 412),
        ("PUT", {"If-Modified-Since": DATE}, 200),
        ("DELETE", {"If-Unmodified-Since": DATE}, 200),
    ],
)
def test_preconditions(url: str, method: str, headers: dict[str, str], status: int) -> None:
    got = httpx.request(method, url + "/article", headers=headers)
    assert got.status_code == status
    # After a change they would name what was there before (RFC 9110 section 9.3.4).
    fields = (None, None) if status == 200 and method not in ("GET", "HEAD") else ('"v1"', DATE)
    assert (got.headers.get("etag"), got.headers.get("last-modified")) == fields
    assert got.text == {200: "text", 304: "", 412: "Precondition Failed"}[status] or method == "HEAD"
    assert httpx.get(url + "/made").json() == ([method] if status == 200 else [])


def test_weak_and_dated(url: str) -> None:
    got = httpx.get(url + "/weak")
    assert got.headers["etag"] == 'W/"v1"'
    assert httpx.get(url + "/weak", headers={"If-None-Match": got.headers["etag"]}).status_code == 304
    assert httpx.get(url + "/weak", headers={"If-Match": '"v1"'}).status_code == 412
    got = httpx.get(url + "/dated")
    assert "etag" not in got.headers
    assert httpx.get(url + "/dated", headers={"If-Modified-Since": got.headers["last-modified"]}).status_code == 304


@pytest.mark.parametrize("path", ["/json", "/text", "/html", "/written"])
def test_of_the_bytes(url: str, path: str) -> None:
    first = httpx.get(url + path)
    assert first.status_code == 200
    again = httpx.get(url + path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert httpx.get(url + path, headers={"If-None-Match": '"other"'}).status_code == 200
    head = httpx.head(url + path)
    assert (head.status_code, head.headers["etag"]) == (200, first.headers["etag"])


def test_errors_are_no_versions(url: str) -> None:
    got = httpx.get(url + "/missing", headers={"If-None-Match": "*"})
    assert (got.status_code, got.text, got.headers.get("etag")) == (404, "none", None)


def test_fields(url: str) -> None:
    got = httpx.get(url + "/json")
    assert (got.json(), got.headers["content-type"], got.headers["x-own"]) == ({"a": 1}, "application/json", "1")
    again = httpx.get(url + "/json", headers={"If-None-Match": got.headers["etag"]})
    assert again.headers["cache-control"] == "no-cache"
    assert "x-own" not in again.headers
    assert httpx.get(url + "/text", headers={"If-None-Match": "*"}).headers["vary"] == "Accept"
    assert httpx.get(url + "/html").headers["content-type"] == "text/html"
    assert httpx.get(url + "/written").headers.get_list("content-type") == ["a/b"]
    posted = httpx.post(url + "/json", headers={"If-None-Match": "*"})
    assert (posted.status_code, posted.json()) == (200, {"a": 1})
    assert "etag" not in posted.headers


def test_mistakes(serve: Callable[..., Any]) -> None:
    def handler(res: Response, req: Request) -> None:
        with pytest.raises(TypeError, match="needs etag"):
            answer_unchanged(res, req)
        with pytest.raises(TypeError, match="etag must be str"):
            answer_unchanged(res, req, 1)  # type: ignore[arg-type]
        for wrong in ("a b", 'a"b', "a\nb", "\u2028"):
            with pytest.raises(ValueError, match="etag must hold"):
                answer_unchanged(res, req, wrong)
        with pytest.raises(TypeError, match="modified must be"):
            answer_unchanged(res, req, modified="yesterday")  # type: ignore[arg-type]
        res.end("none of them was sent")

    got = httpx.get(serve(lambda app: app.get("/", handler)).url)
    assert got.text == "none of them was sent"
    assert "etag" not in got.headers


def test_tags() -> None:
    assert [entity_tag(each) for each in ("a", '"a"', 'W/"a"')] == ['"a"', '"a"', 'W/"a"']
    assert entity_tag("a", weak=True) == entity_tag('W/"a"', weak=True) == 'W/"a"'


def test_zones(serve: Callable[..., Any]) -> None:
    times = {"/utc": CHANGED.replace(tzinfo=None), "/there": CHANGED.astimezone(timezone(timedelta(hours=5)))}

    def handler(res: Response, req: Request) -> None:
        answer_unchanged(res, req, modified=times[req.get_url()])
        res.end()

    url = serve(lambda app: app.get("/*", handler)).url
    assert [httpx.get(url + path).headers["last-modified"] for path in times] == [DATE, DATE]


@pytest.mark.parametrize(("field", "status"), [("if-match", 412), ("if-none-match", 0)])
def test_without_a_tag(field: str, status: int) -> None:
    def header(name: str) -> Optional[str]:
        return '"a"' if name == field else None

    assert precondition("GET", header, None, None) == status
