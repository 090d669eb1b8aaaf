"""Streams of server-sent events: res.sse()."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any, Callable

import httpx
import pytest

from socketify import App, EventStream, Request, Response


class Seen:
    """What a handler notes, for a test in another thread."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._changed = threading.Condition()

    def note(self, text: str) -> None:
        with self._changed:
            self.notes.append(text)
            self._changed.notify_all()

    def wait_for(self, text: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: text in self.notes, 20), self.notes


@pytest.fixture
def seen() -> Seen:
    return Seen()


def next_events(received: Iterator[str], count: int) -> list[list[str]]:
    """Return the lines of events; comments are dropped. The response is closed with the iterator."""
    events: list[list[str]] = []
    lines: list[str] = []
    for line in received:
        if line and not line.startswith(":"):
            lines.append(line)
        elif lines:
            events.append(lines)
            lines = []
            if len(events) == count:
                break
    return events


def test_events(serve: Callable[..., Any]) -> None:
    async def handler(res: Response, _req: Request) -> None:
        res.write_header("X-Own", "1")
        async with res.sse(retry=500) as events:
            assert isinstance(events, EventStream)
            assert not events.closed
            await events.send("one\ntwo", event="tick", id="1")
            await events.send({"a": [1]})
            await events.send(id="2", retry=100)
        assert events.closed
        assert res.has_responded()

    got = httpx.get(serve(lambda app: app.get("/", handler)).url)
    assert got.text == ('retry: 500\n\nevent: tick\nid: 1\ndata: one\ndata: two\n\ndata: {"a": [1]}\n\nid: 2\nretry: 100\n\n')
    assert got.headers["content-type"] == "text/event-stream"
    assert (got.headers["cache-control"], got.headers["x-own"]) == ("no-cache", "1")


def test_own_cache_control_is_kept(serve: Callable[..., Any]) -> None:
    async def handler(res: Response, _req: Request) -> None:
        res.write_header("Cache-Control", "no-store")
        async with res.sse() as events:
            await events.send("a")

    got = httpx.get(serve(lambda app: app.get("/", handler)).url)
    assert got.headers.get_list("cache-control") == ["no-store"]


def test_last_event_id(serve: Callable[..., Any]) -> None:
    async def early(res: Response, _req: Request) -> None:
        async with res.sse() as events:
            await events.send(str(events.last_event_id))

    async def late(res: Response, _req: Request) -> None:
        await asyncio.sleep(0)
        async with res.sse() as events:
            await events.send(str(events.last_event_id))

    server = serve(lambda app: app.get("/early", early).get("/late", late))
    for path in ("/early", "/late"):
        assert httpx.get(server.url + path).text == ":\n\ndata: None\n\n"
        got = httpx.get(server.url + path, headers={"Last-Event-ID": "é7".encode()})
        assert got.text == ":\n\ndata: é7\n\n"


def test_a_client_that_leaves_ends_the_block(serve: Callable[..., Any], seen: Seen) -> None:
    async def handler(res: Response, _req: Request) -> None:
        async with res.sse() as events:
            try:
                await events.send("first")
                await asyncio.Event().wait()
            finally:
                seen.note("finally")
        assert events.closed
        await asyncio.sleep(0)
        seen.note("behind")

    server = serve(lambda app: app.get("/", handler))
    with httpx.stream("GET", server.url) as response:
        received = response.iter_lines()
        assert next_events(received, 1) == [["data: first"]]
    seen.wait_for("behind")
    assert seen.notes == ["finally", "behind"]


def test_a_block_that_only_sends_ends_too(serve: Callable[..., Any], seen: Seen) -> None:
    async def handler(res: Response, _req: Request) -> None:
        async with res.sse() as events:
            while True:
                await events.send("again")
        seen.note("behind")

    server = serve(lambda app: app.get("/", handler).get("/other", lambda res, req: res.end("other")))
    with httpx.stream("GET", server.url) as response:
        received = response.iter_lines()
        next_events(received, 3)
        assert httpx.get(server.url + "/other").text == "other"
    seen.wait_for("behind")


def test_a_stop_ends_the_block(serve: Callable[..., Any], seen: Seen) -> None:
    async def handler(res: Response, _req: Request) -> None:
        async with res.sse() as events:
            await events.send("first")
            await asyncio.Event().wait()
        seen.note("behind")

    server = serve(lambda app: app.get("/", handler), shutdown_timeout=20)
    with httpx.stream("GET", server.url) as response:
        received = response.iter_lines()
        assert next_events(received, 1) == [["data: first"]]
        server.app.close()
        assert next_events(received, 1) == []
    seen.wait_for("behind")


def test_somebody_elses_cancellation_is_not_taken_back(serve: Callable[..., Any], seen: Seen) -> None:
    tasks: list[Any] = []

    async def stream(res: Response) -> None:
        try:
            async with res.sse() as events:
                await events.send("first")
                await asyncio.Event().wait()
            seen.note("behind")
        except asyncio.CancelledError:
            seen.note("cancelled")
            raise

    async def handler(res: Response, _req: Request) -> None:
        tasks.append(asyncio.ensure_future(stream(res)))
        await asyncio.wait(tasks)
        res.close()

    server = serve(lambda app: app.get("/", handler).get("/cancel", lambda res, req: res.end(str(tasks[0].cancel()))))
    with httpx.stream("GET", server.url) as response:
        received = response.iter_lines()
        assert next_events(received, 1) == [["data: first"]]
        assert httpx.get(server.url + "/cancel").text == "True"
        with pytest.raises(httpx.RemoteProtocolError):
            next_events(received, 1)
    seen.wait_for("cancelled")
    assert seen.notes == ["cancelled"]


def test_heartbeat(serve: Callable[..., Any]) -> None:
    async def handler(res: Response, _req: Request) -> None:
        async with res.sse(0.01):
            await asyncio.Event().wait()

    with httpx.stream("GET", serve(lambda app: app.get("/", handler)).url) as response:
        text = ""
        for part in response.iter_text():
            text += part
            if text.count(":\n\n") >= 4:
                break
    assert set(text.splitlines()) == {":", ""}


def test_a_slow_client_bounds_what_waits(serve: Callable[..., Any], seen: Seen) -> None:
    async def handler(res: Response, _req: Request) -> None:
        sent = 0
        async with res.sse(max_buffered=100_000) as events:
            while events.try_send("x" * 50_000) and sent < 10_000:
                sent += 1
            seen.note(f"{sent < 10_000}")
            await events.send("last")
            seen.note("taken")

    server = serve(lambda app: app.get("/", handler))
    with server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        seen.wait_for("True")
        connection.settimeout(20)
        received = b""
        while part := connection.recv(1 << 20):
            received = (received + part)[-100:]
        assert b"data: last" in received
    seen.wait_for("taken")


def test_try_send_from_elsewhere(serve: Callable[..., Any], seen: Seen) -> None:
    streams: list[EventStream] = []

    async def handler(res: Response, _req: Request) -> None:
        async with res.sse() as events:
            streams.append(events)
            await asyncio.Event().wait()
        assert not events.try_send("too late")
        seen.note("behind")

    def publish(res: Response, req: Request) -> None:
        res.send([each.try_send(req.get_query("text") or "") for each in streams])

    server = serve(lambda app: app.get("/", handler).get("/publish", publish))
    with httpx.stream("GET", server.url) as response:
        parts = response.iter_lines()
        assert next(parts) == ":"
        assert httpx.get(server.url + "/publish?text=a").json() == [True]
        assert [line for line in (next(parts) for _ in range(2)) if line] == ["data: a"]
        with pytest.raises(RuntimeError, match="another thread"):
            streams[0].try_send("a")
    seen.wait_for("behind")
    assert httpx.get(server.url + "/publish?text=b").json() == [False]


def test_head_gets_no_events(serve: Callable[..., Any], seen: Seen) -> None:
    async def handler(res: Response, _req: Request) -> None:
        async with res.sse() as events:
            while True:
                await events.send("a")
        seen.note("behind")

    server = serve(lambda app: app.get("/", handler))
    got = httpx.head(server.url)
    assert (got.status_code, got.headers["content-type"]) == (200, "text/event-stream")
    seen.wait_for("behind")


def test_an_error_cuts_the_stream(serve: Callable[..., Any]) -> None:
    async def handler(res: Response, _req: Request) -> None:
        async with res.sse() as events:
            await events.send("a")
            message = "in the middle"
            raise LookupError(message)

    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(serve(lambda app: app.get("/", handler)).url)


def test_mistakes(serve: Callable[..., Any]) -> None:
    async def handler(res: Response, _req: Request) -> None:
        for wrong in ({"heartbeat": 0}, {"retry": -1}, {"max_buffered": 0}):
            with pytest.raises(ValueError, match=next(iter(wrong))):
                res.sse(**wrong)  # type: ignore[arg-type]
        stream = res.sse()
        with pytest.raises(RuntimeError, match="async with"):
            await stream.send("a")
        async with stream as events:
            with pytest.raises(ValueError, match="one line"):
                await events.send("a", event="b\nc")
            with pytest.raises(TypeError):
                await events.send(b"bytes are no JSON")
        with pytest.raises(RuntimeError, match="once"):
            async with stream:
                pass

    def plain(res: Response, _req: Request) -> None:
        res.end("answered")
        assert res.sse().closed

    server = serve(lambda app: app.get("/", handler).get("/plain", plain))
    assert httpx.get(server.url).text == ":\n\n"
    assert httpx.get(server.url + "/plain").text == "answered"


def test_by_http_2(serve: Callable[..., Any], seen: Seen) -> None:
    async def handler(res: Response, _req: Request) -> None:
        async with res.sse() as events:
            await events.send("first")
            await asyncio.Event().wait()
        seen.note("behind")

    server = serve(lambda app: app.get("/", handler))
    url = server.url.replace(str(server.port), str(server.own_port))
    with httpx.Client(http1=False, http2=True) as client, client.stream("GET", url) as response:
        received = response.iter_lines()
        assert response.http_version == "HTTP/2"
        assert next_events(received, 1) == [["data: first"]]
    seen.wait_for("behind")


def test_a_connection_that_is_cut(serve: Callable[..., Any], seen: Seen) -> None:
    async def handler(res: Response, _req: Request) -> None:
        async with res.sse(0.02):
            await asyncio.Event().wait()
        seen.note("behind")

    def build(app: App) -> None:
        app.get("/", handler)

    server = serve(build)
    with server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.recv(1000)
        connection.shutdown(socket.SHUT_RDWR)
    seen.wait_for("behind")
