"""What handlers send: bodies, status lines, headers, and what goes wrong with them."""

from __future__ import annotations

import asyncio
import contextvars
import json
import threading
import time
from typing import Any

import httpx
import pytest

from socketify import App, Limits


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("é", "é".encode()),
        (b"b", b"b"),
        (bytearray(b"a"), b"a"),
        (memoryview(b"v"), b"v"),
        (None, b""),
        ({"a": [1]}, b'{"a": [1]}'),
    ],
)
def test_end_takes_text_bytes_and_json(serve, message: object, expected: bytes) -> None:
    answer = httpx.get(serve(lambda app: app.get("/", lambda res, _req: res.end(message))).url)
    assert answer.content == expected
    assert answer.headers["server"] == "socketify"
    assert answer.headers["date"].endswith("GMT")
    assert ("application/json" in answer.headers.get("content-type", "")) is isinstance(message, dict)


def test_status_and_headers_chain(serve) -> None:
    def handler(res, _req) -> None:
        res.write_status(201).write_header("X-A", 1).write_header(b"X-B", "b").write_header("Set-Cookie", "a=1")
        res.write_header("Set-Cookie", "b=2").write_header("Content-Length", 99).write_header("Transfer-Encoding", "x").end(
            "ok"
        )

    answer = httpx.get(serve(lambda app: app.get("/", handler)).url)
    assert (answer.status_code, answer.reason_phrase, answer.text) == (201, "Created", "ok")
    assert answer.headers["content-length"] == "2"
    assert "transfer-encoding" not in answer.headers
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("X\r\n", "a", ValueError),
        ("X", "a\r\nB: c", ValueError),
        ("X", "a\0", ValueError),
        ("", "a", ValueError),
        ("X", "☃", ValueError),
        (3, "a", TypeError),
        ("X", None, TypeError),
        ("X Y", "a", ValueError),
    ],
)
def test_bad_headers_are_refused_and_the_answer_is_still_possible(serve, name, value, error) -> None:
    def handler(res, _req) -> None:
        with pytest.raises(error):
            res.write_header(name, value)
        res.end("fine")

    assert httpx.get(serve(lambda app: app.get("/", handler)).url).text == "fine"


@pytest.mark.parametrize("status", [99, 100, 1000, "abc", "200\r\nX: y", b"2", None, "20"])
def test_bad_statuses_are_refused(serve, status) -> None:
    def handler(res, _req) -> None:
        with pytest.raises((ValueError, TypeError)):
            res.write_status(status)
        res.write_status(299).end("fine")

    answer = httpx.get(serve(lambda app: app.get("/", handler)).url)
    assert (answer.status_code, answer.text) == (299, "fine")


def test_pieces_are_chunked_and_in_http10_closed(serve) -> None:
    server = serve(lambda app: app.get("/", lambda res, _req: res.write("a").write(b"bc").write({"d": 1}).end("e")))
    answer = httpx.get(server.url)
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.text == 'abc{"d": 1}e'
    old = server.exchange(b"GET / HTTP/1.0\r\n\r\n")
    assert b"chunked" not in old
    assert old.endswith(b'\r\n\r\nabc{"d": 1}e')


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_content_have_none(serve, status: int) -> None:
    server = serve(lambda app: app.get("/", lambda res, _req: res.write_status(status).end("never")))
    answer = server.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert b"never" not in answer
    assert b"Content-Length" not in answer


def test_end_without_body_keeps_the_length(serve) -> None:
    server = serve(lambda app: app.head("/", lambda res, _req: res.write_header("Content-Length", 1234).end_without_body()))
    assert httpx.head(server.url).headers["content-length"] == "1234"


def test_cork_sends_one_packet(serve) -> None:
    async def handler(res, _req) -> None:
        await asyncio.sleep(0)
        res.cork(lambda res: res.write_header("a", "b").write("x" * 100).end("y"))

    assert httpx.get(serve(lambda app: app.get("/", handler)).url).text == "x" * 100 + "y"


def test_a_large_body_arrives_whole(serve) -> None:
    body = bytes(range(256)) * 65536
    server = serve(lambda app: app.get("/", lambda res, _req: res.end(body)))
    assert httpx.get(server.url).content == body


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
@pytest.mark.parametrize("wait", [False, True])
def test_bodies_are_read_also_after_a_wait(serve, size: int, wait: bool) -> None:
    async def handler(res, _req) -> None:
        if wait:
            await asyncio.sleep(0.05)
        res.end(await res.get_data())

    async def reading(res, _req) -> None:
        if wait:
            await asyncio.sleep(0.05)
        res.end((await res.get_data()).getvalue())

    server = serve(lambda app: app.post("/", reading))
    body = b"x" * size
    assert httpx.post(server.url, content=body).content == body
    assert httpx.post(server.url, content=iter([body[:10], body[10:]])).content == body


def test_text_json_and_pieces(serve) -> None:
    async def text(res, _req) -> None:
        res.end((await res.get_text()).upper())

    async def parsed(res, _req) -> None:
        res.end((await res.get_json())["a"])

    def pieces(res, _req) -> None:
        lengths: list[int] = []

        def on_data(res, chunk: bytes, is_end: bool) -> None:
            lengths.append(len(chunk))
            if is_end:
                res.end(str(sum(lengths)))

        res.on_data(on_data)

    server = serve(lambda app: app.post("/text", text).post("/json", parsed).post("/pieces", pieces))
    assert httpx.post(server.url + "/text", content="é").text == "É"
    assert httpx.post(server.url + "/json", content=json.dumps({"a": "b"})).text == "b"
    assert httpx.post(server.url + "/pieces", content=b"x" * 1_000_000).text == "1000000"
    assert httpx.post(server.url + "/json", content=b"{").status_code == 400


def test_expect_continue_is_answered_when_the_body_is_read(serve) -> None:
    async def handler(res, _req) -> None:
        res.end(await res.get_text())

    server = serve(lambda app: app.post("/", handler))
    with server.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"ok")
        assert connection.recv(1000).endswith(b"ok")


def test_too_large_bodies_get_413_before_the_handler(serve) -> None:
    calls: list[int] = []
    server = serve(lambda app: app.post("/", lambda res, _req: calls.append(1)), limits=Limits(max_body_size=10))
    answer = server.exchange(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert calls == []


def test_remote_address(serve) -> None:
    server = serve(lambda app: app.get("/", lambda res, _req: res.end(res.get_remote_address())))
    assert httpx.get(server.url).text == "127.0.0.1"


def test_tasks_and_context_variables_work_from_the_first_line(serve) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    async def handler(res, req) -> None:
        task = asyncio.current_task()
        before = variable.get()
        variable.set(req.get_url())
        if req.get_query("wait"):
            await asyncio.sleep(0.01)
        assert asyncio.current_task() is task is not None
        try:
            await asyncio.wait_for(asyncio.sleep(10 if req.get_query("slow") else 0), 0.05)
        except asyncio.TimeoutError:
            before += " timeout"
        res.end(f"{before} {variable.get()}")

    url = serve(lambda app: app.get("/*", handler)).url
    assert httpx.get(url + "/a").text == "unset /a"
    assert httpx.get(url + "/b?wait=1").text == "unset /b"
    assert httpx.get(url + "/c?slow=1").text == "unset timeout /c"


def test_headers_can_be_turned_off(serve) -> None:
    server = serve(lambda app: app.get("/", lambda res, _req: res.end("")), server_header=None, date_header=False)
    assert set(httpx.get(server.url).headers) == {"content-length"}


def test_handlers_run_in_the_servers_thread_and_start_handlers_before(serve) -> None:
    events: list[str] = []

    def build(app: App) -> None:
        app.on_start(lambda: events.append("start"))

        async def stopping() -> None:
            await asyncio.sleep(0)
            events.append("stop")

        app.on_shutdown(stopping)
        app.get("/", lambda res, _req: res.end(str(threading.get_ident())))

    server = serve(build)
    assert httpx.get(server.url).text != str(threading.get_ident())
    server.stop()
    assert events == ["start", "stop"]
    server.stop = lambda: None  # type: ignore[method-assign]


def test_a_coroutine_handler_may_go_on_after_its_response(serve) -> None:
    seen: list[Any] = []

    async def handler(res, req) -> None:
        res.end("answered")
        seen.append(req.get_url())
        await asyncio.sleep(0.001)
        seen.append(req.get_header("x"))

    server = serve(lambda app: app.get("/path", handler))
    assert httpx.get(server.url + "/path", headers={"x": "y"}).text == "answered"
    deadline = time.monotonic() + 5
    while len(seen) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert seen == ["/path", "y"]


def test_end_without_body_is_a_whole_message(serve) -> None:
    def handler(res, _req) -> None:
        res.write_header("Content-Length", "5").end_without_body()

    server = serve(lambda app: app.get("/", handler))
    got = httpx.get(server.url)
    assert (got.content, got.headers["content-length"]) == (b"", "0")
    assert httpx.head(server.url).headers["content-length"] == "5"
