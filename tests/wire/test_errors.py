"""Errors that have an answer of their own, and bodies that clients got wrong."""

from __future__ import annotations

from typing import Any, Callable

import httpx
import pytest

from socketify import App, BadRequestError, HTTPError, Request, Response


async def _echo_json(res: Response, _req: Request) -> None:
    res.send(await res.get_json())


async def _echo_text(res: Response, _req: Request) -> None:
    res.send(await res.get_text())


@pytest.mark.parametrize("serializer", ["json", "ujson"])
@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[1,]"])
def test_a_body_that_is_no_json_is_the_clients_mistake(serve: Callable[..., Any], serializer: str, body: bytes) -> None:
    # Not every platform has wheels of the second.
    module = pytest.importorskip(serializer)

    def build(app: App) -> None:
        if serializer != "json":
            app.json_serializer(module)
        app.post("/", _echo_json)

    got = httpx.post(serve(build).url, content=body)
    assert got.status_code == 400
    assert got.text.startswith("the body is not JSON")


def test_text_of_another_encoding(serve: Callable[..., Any]) -> None:
    got = httpx.post(serve(lambda app: app.post("/", _echo_text)).url, content=b"a\xff")
    assert (got.status_code, got.text) == (400, "the body is not utf-8: invalid start byte at byte 1")


def test_errors_with_a_status(serve: Callable[..., Any]) -> None:
    def missing(_res: Response, _req: Request) -> None:
        raise HTTPError(404)

    def quota(res: Response, _req: Request) -> None:
        res.write_header("X", "dropped")
        raise HTTPError(429, "slow down")

    def build(app: App) -> None:
        app.get("/missing", missing).get("/quota", quota)

    url = serve(build).url
    assert (httpx.get(url + "/missing").status_code, httpx.get(url + "/missing").text) == (404, "Not Found")
    got = httpx.get(url + "/quota")
    assert (got.status_code, got.text, "x" in got.headers) == (429, "slow down", False)


def test_an_error_handler_comes_first(serve: Callable[..., Any]) -> None:
    def build(app: App) -> None:
        app.post("/", _echo_json)
        app.set_error_handler(lambda error, res, _req: res.send({"error": str(error)}, status=error.status_code))

    got = httpx.post(serve(build).url, content=b"{")
    assert (got.status_code, list(got.json())) == (400, ["error"])


def test_what_is_no_error_status() -> None:
    with pytest.raises(ValueError, match="200"):
        HTTPError(200)
    with pytest.raises(TypeError, match="message of an error must be str"):
        HTTPError(422, {"field": "missing"})  # type: ignore[arg-type]
    assert isinstance(BadRequestError("x"), ValueError)


@pytest.mark.parametrize("debug", [False, True])
def test_surrogates(serve: Callable[..., Any], caplog: Any, debug: bool) -> None:
    async def handler(res: Response, req: Request) -> None:
        accept = req.get_header("accept")
        name = await res.get_json()
        raise HTTPError(409, f"there is a {name} for {accept} already")

    url = serve(lambda app: app.post("/", handler), debug=debug).url
    for accept in ("text/html", "*/*"):
        got = httpx.post(url, content=b'"\\udcff"', headers={"Accept": accept})
        assert got.status_code == 409
        assert "there is a \\udcff for" in got.text
    assert "could not be answered" not in caplog.text
