"""The page for a browser about an error, in debug mode."""

from __future__ import annotations

import asyncio
from html.parser import HTMLParser
from typing import Any, Callable

import httpx
import pytest

from socketify import ASGI, App, HTTPError, Request, Response
from socketify.core.error_page import error_page

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


class Reader(HTMLParser):
    """Reads a page as a browser does."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.marked: list[str] = []
        self._is_marked = False

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        self._is_marked = ("class", "here") in attrs

    def handle_endtag(self, tag: str) -> None:
        self._is_marked = False

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._is_marked:
            self.marked.append(data.strip())


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


def inner(text: str) -> None:
    raise LookupError(text)  # the line of the fault


def build(app: App) -> None:
    def fail(_res: Response, req: Request) -> None:
        inner(req.get_query("text") or "secret")

    async def later(_res: Response, _req: Request) -> None:
        await asyncio.sleep(0)
        try:
            inner("first")
        except LookupError as error:
            message = "second"
            raise KeyError(message) from error

    def refuse(_res: Response, _req: Request) -> None:
        raise HTTPError(402, "pay first")

    app.get("/fail", fail).get("/later", later).get("/refuse", refuse)


@pytest.fixture
def url(serve: Callable[..., Any]) -> str:
    served: str = serve(build, debug=True).url
    return served


def test_a_browser_gets_a_page(url: str) -> None:
    got = httpx.get(url + "/fail", headers=BROWSER)
    assert (got.status_code, got.headers["content-type"]) == (500, "text/html; charset=utf-8")
    page = read(got.text)
    assert "LookupError: secret" in page.text
    assert any("raise LookupError(text)  # the line of the fault" in line for line in page.marked)
    assert "test_error_page.py" in page.text
    assert "debug mode" in page.text


def test_after_a_wait_with_what_led_to_it(url: str) -> None:
    page = read(httpx.get(url + "/later", headers=BROWSER).text)
    assert page.text.index("KeyError: 'second'") < page.text.index("It was caused by") < page.text.index("LookupError: first")


def test_an_http_error_keeps_its_status(url: str) -> None:
    got = httpx.get(url + "/refuse", headers=BROWSER)
    assert (got.status_code, "HTTPError: pay first" in read(got.text).text) == (402, True)


def test_nothing_is_taken_for_html(url: str) -> None:
    got = httpx.get(url + "/fail", params={"text": "</pre><script>alert(1)</script>&amp;"}, headers=BROWSER)
    page = read(got.text)
    assert "script" not in page.tags
    assert "</pre><script>alert(1)</script>&amp;" in page.text


def test_others_get_text(url: str) -> None:
    for headers in ({}, {"Accept": "application/json"}):
        got = httpx.get(url + "/fail", headers=headers)
        assert got.headers["content-type"] == "text/plain; charset=utf-8"
        assert got.text.startswith("Traceback")


def test_never_without_debug(serve: Callable[..., Any]) -> None:
    server = serve(build)
    for path in ("/fail", "/later"):
        got = httpx.get(server.url + path, headers=BROWSER)
        assert (got.status_code, got.text) == (500, "Internal Server Error")


def test_applications_of_other_interfaces() -> None:
    async def application(_scope: Any, _receive: Any, _send: Any) -> None:
        inner("of the application")

    server = ASGI(application, lifespan=False, debug=True)
    ports: list[int] = []
    server.listen(0, lambda config: ports.append(config.port))
    server.run(block=False)
    try:
        got = httpx.get(f"http://127.0.0.1:{ports[0]}/", headers=BROWSER)
        assert "LookupError: of the application" in read(got.text).text
    finally:
        server.close()


def raised(function: Callable[[], object]) -> BaseException:
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError


class Mute(Exception):  # noqa: N818
    def __str__(self) -> str:
        raise ValueError


def test_odd_errors() -> None:
    def endless() -> None:
        endless()

    def loop() -> None:
        error = ValueError("a")
        error.__cause__ = error
        raise error

    def without_source() -> None:
        eval(compile("1 / 0", "<nowhere>", "eval"))

    def mute() -> None:
        raise Mute

    assert "calls more" in error_page(raised(endless), "")
    assert "ValueError: a" in error_page(raised(loop), "")
    assert "nowhere" in error_page(raised(without_source), "")
    assert "Mute" in error_page(raised(mute), "")
    assert "SystemExit" in error_page(SystemExit(3), "")
