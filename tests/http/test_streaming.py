"""Bodies in pieces: try_end, send_chunk, on_writable, drain, and clients that do not read."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Callable

import httpx
import pytest
from waiting import wait_until

from socketify import App, Request, Response

SIZE = 8 * 1024 * 1024
BODY = bytes(range(256)) * (SIZE // 256)


def _slow_read(server: Any, begins_after: Callable[[], Any]) -> bytes:
    with server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        wait_until(begins_after)
        time.sleep(0.1)
        parts = []
        while part := connection.recv(1 << 20):
            parts.append(part)
    return b"".join(parts).partition(b"\r\n\r\n")[2]


def test_try_end_and_on_writable(serve: Callable[..., Any]) -> None:
    calls: list[int] = []
    told: list[tuple[bool, bool]] = []

    def handler(res: Response, _req: Request) -> None:
        ok, done = res.try_end(BODY, SIZE)
        told.append((ok, done))

        def writable(res: Response, offset: int) -> None:
            calls.append(offset)
            res.try_end(BODY[offset:], SIZE)

        if not ok:
            res.on_writable(writable)

    assert _slow_read(serve(lambda app: app.get("/", handler)), lambda: told) == BODY
    assert told == [(False, False)]
    assert calls
    assert calls == sorted(calls)


def test_send_chunk_waits_for_room(serve: Callable[..., Any]) -> None:
    begun: list[bool] = []
    results: list[tuple[bool, bool]] = []

    async def handler(res: Response, _req: Request) -> None:
        begun.append(True)
        for start in range(0, SIZE, 1 << 20):
            results.append(await res.send_chunk(BODY[start : start + (1 << 20)], SIZE))

    assert _slow_read(serve(lambda app: app.get("/", handler)), lambda: begun) == BODY
    # The client may have the last piece before the handler goes on.
    wait_until(lambda: len(results) == 8)
    assert results == [(True, False)] * 7 + [(True, True)]


def test_drain_bounds_what_is_buffered(serve: Callable[..., Any]) -> None:
    async def handler(res: Response, _req: Request) -> None:
        for start in range(0, SIZE, 1 << 18):
            res.write(BODY[start : start + (1 << 18)])
            await res.drain()
        res.end()

    assert httpx.get(serve(lambda app: app.get("/", handler)).url).content == BODY


def test_a_client_that_leaves_ends_the_waiting(serve: Callable[..., Any]) -> None:
    results: list[Any] = []

    async def handler(res: Response, _req: Request) -> None:
        results.append(await res.send_chunk(BODY * 4, SIZE * 4))
        results.append(res.aborted)
        results.append(await res.send_chunk(b"late", SIZE * 4))

    server = serve(lambda app: app.get("/", handler))
    with server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        connection.recv(1000)
    deadline = time.monotonic() + 5
    while len(results) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert results == [(False, True), True, (False, True)]


def test_wrong_sizes_say_so(serve: Callable[..., Any]) -> None:
    def handler(res: Response, _req: Request) -> None:
        with pytest.raises(ValueError, match="total_size"):
            res.try_end(b"12345", 4)
        with pytest.raises(ValueError, match="total_size"):
            res.try_end(b"", -1)
        assert res.try_end(b"12", 4) == (True, False)
        assert res.get_write_offset() == 2
        with pytest.raises(ValueError, match="beyond"):
            res.try_end(b"345", 4)
        assert res.try_end(b"34", 4) == (True, True)

    assert httpx.get(serve(lambda app: app.get("/", handler)).url).text == "1234"


def test_pieces_of_both_kinds_do_not_mix(serve: Callable[..., Any]) -> None:
    def sized(res: Response, _req: Request) -> None:
        res.try_end(b"12", 4)
        with pytest.raises(RuntimeError, match="write"):
            res.write(b"x")
        res.write_offset(100)
        assert res.get_write_offset() == 100
        res.try_end(b"34", 4)

    def chunked(res: Response, _req: Request) -> None:
        res.write(b"12")
        with pytest.raises(RuntimeError, match="try_end"):
            res.try_end(b"x", 4)
        res.end(b"34")

    url = serve(lambda app: app.get("/sized", sized).get("/chunked", chunked)).url
    assert httpx.get(url + "/sized").text == "1234"
    assert httpx.get(url + "/chunked").text == "1234"


def test_head_with_try_end_has_the_length_and_no_body(serve: Callable[..., Any]) -> None:
    got = httpx.head(serve(lambda app: app.get("/", lambda res, _: res.try_end(b"x", 1000))).url)
    assert (got.headers["content-length"], got.content) == ("1000", b"")


def test_run_async_errors_carry_the_response(serve: Callable[..., Any]) -> None:
    async def fail() -> None:
        await asyncio.sleep(0.001)
        message = "late"
        raise ValueError(message)

    def build(app: App) -> None:
        app.get("/", lambda res, _: res.run_async(fail()))
        app.on_error(lambda error, res, _req: res.send(repr(error), status=502))

    got = httpx.get(serve(build).url)
    assert (got.status_code, got.text) == (502, "ValueError('late')")


def test_debug_shows_the_error_and_otherwise_nothing_leaks(serve: Callable[..., Any]) -> None:
    def handler(_res: Response, _req: Request) -> None:
        message = "secret"
        raise ValueError(message)

    assert "secret" in httpx.get(serve(lambda app: app.get("/", handler), debug=True).url).text
    assert httpx.get(serve(lambda app: app.get("/", handler)).url).text == "Internal Server Error"
