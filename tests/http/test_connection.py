"""What a response knows of its connection, and what API.md lists beside sending."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Callable

import httpx
import pytest
from app_servers import http_1_only

from socketify import App, Loop, Request, Response


def _wait(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def test_addresses_and_handles(serve: Callable[..., Any]) -> None:
    def handler(res: Response, _req: Request) -> None:
        packed = res.get_remote_address_bytes()
        handle = res.get_native_handle()
        assert handle
        assert not res.has_responded()
        res.send([res.get_remote_address(), len(packed), res.get_proxied_remote_address()])
        assert res.has_responded()
        assert res.get_native_handle() == 0
        assert (res.get_remote_address(), res.get_remote_address_bytes()) == ("", b"")

    server = serve(lambda app: app.get("/", handler))
    assert httpx.get(server.url).json() in (["127.0.0.1", 4, None], ["::ffff:127.0.0.1", 16, None])
    assert server.app.get_native_handle()


def test_close_cuts_and_calls_abort_handlers(serve: Callable[..., Any]) -> None:
    seen: list[Any] = []

    def handler(res: Response, _req: Request) -> None:
        res.grab_aborted_handler().on_aborted(lambda res: seen.append(res.aborted))
        res.close()

    server = serve(lambda app: app.get("/", handler))
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(server.url)
    _wait(lambda: seen == [True])


def test_pause_and_resume(serve: Callable[..., Any]) -> None:
    pieces: list[float] = []

    async def handler(res: Response, _req: Request) -> None:
        def on_data(res: Response, _chunk: bytes, is_end: bool) -> None:
            pieces.append(time.monotonic())
            if is_end:
                res.end("done")

        res.on_data(on_data)
        res.pause()
        await asyncio.sleep(0.2)
        pieces.append(-1)
        res.resume()

    server = serve(lambda app: app.post("/", handler))
    assert httpx.post(server.url, content=b"x" * 3_000_000).text == "done"
    assert -1 in pieces[:3]


def test_pause_ends_with_the_response(serve: Callable[..., Any]) -> None:
    server = serve(lambda app: app.get("/", lambda res, _: res.pause().end("ok")))
    with httpx.Client(base_url=server.url) as client:
        assert [client.get("/").text for _ in range(3)] == ["ok"] * 3


def test_cork_packs_and_refuses_coroutines(serve: Callable[..., Any]) -> None:
    async def handler(res: Response, _req: Request) -> None:
        await asyncio.sleep(0)

        async def wrong(_res: Response) -> None:
            await asyncio.sleep(0)

        with pytest.raises(TypeError, match="cork"):
            res.cork(wrong)
        res.cork(lambda res: res.write_status(201).write("a").write("b").end("c"))

    got = httpx.get(serve(lambda app: app.get("/", handler)).url)
    assert (got.status_code, got.text) == (201, "abc")


def test_write_continue(serve: Callable[..., Any]) -> None:
    async def handler(res: Response, _req: Request) -> None:
        res.write_continue()
        res.end(await res.get_text())

    server = serve(lambda app: app.post("/", handler))
    with server.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"ok")
        assert connection.recv(1000).endswith(b"\r\n\r\nok")


@http_1_only("HTTP/1.0")
def test_ancient_clients_and_yielding(serve: Callable[..., Any]) -> None:
    def first(_res: Response, req: Request) -> None:
        assert not req.get_yield()
        assert req.set_yield(1).get_yield()

    server = serve(lambda app: app.get("/:x", first).any("/*", lambda res, req: res.end(str(req.is_ancient()))))
    assert server.exchange(b"GET /a HTTP/1.0\r\n\r\n").endswith(b"True")
    assert server.exchange(b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").endswith(b"False")


@pytest.mark.parametrize("method", ["TRACE", "OPTIONS", "PATCH", "DELETE", "PUT"])
def test_verbs(serve: Callable[..., Any], method: str) -> None:
    server = serve(lambda app: getattr(app, method.lower())("/", lambda res, req: res.end(req.get_method())))
    assert httpx.request(method, server.url).text == method
    assert httpx.get(server.url).status_code == 405


def test_connect_names_an_authority(serve: Callable[..., Any]) -> None:
    server = serve(lambda app: app.connect("/*", lambda res, req: res.send(req.get_method(), end_connection=True)))
    answer = server.exchange(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 "), answer


def test_own_fields_can_be_turned_off_or_replaced(serve: Callable[..., Any]) -> None:
    def ok(app: App) -> Any:
        return app.get("/", lambda res, _: res.end("ok"))

    got = httpx.get(serve(ok).url).headers
    assert (got["server"], got["date"][-3:]) == ("socketify", "GMT")
    got = httpx.get(serve(ok, server_header=None, date_header=False).url).headers
    assert ("server" in got, "date" in got) == (False, False)
    got = httpx.get(serve(ok, server_header="mine").url).headers
    assert got.get_list("server") == ["mine"]


def test_tasks_of_the_app(serve: Callable[..., Any]) -> None:
    def build(app: App) -> None:
        async def answer(res: Response) -> None:
            await asyncio.sleep(0.001)
            res.end("from a task")

        app.get("/app", lambda res, _: app.run_async(answer(res), res))
        app.get("/res", lambda res, _: res.run_async(answer(res)))
        app.get("/loop", lambda res, _: app.loop.run_async(answer(res), res))
        assert isinstance(app.loop, Loop)
        assert (app.loop.started, app.loop.is_running()) == (False, False)

    server = serve(build)
    for path in ("/app", "/res", "/loop"):
        assert httpx.get(server.url + path).text == "from a task"
    assert server.app.loop.is_running()
    with pytest.raises(TypeError, match="run_async"):
        server.app.run_async(5)
