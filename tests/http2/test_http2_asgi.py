"""ASGI applications over HTTP/2."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any, Callable

import pytest
from http2_client import Client

from socketify import Limits


async def application(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    await PATHS[scope["path"]](scope, receive, send)


async def facts(scope: Any, _receive: Any, send: Any) -> None:
    seen = {name: scope[name] for name in ("http_version", "method", "scheme", "path", "client", "server")}
    seen["headers"] = [[name.decode(), value.decode()] for name, value in scope["headers"]]
    seen["query"] = scope["query_string"].decode()
    await answer(send, json.dumps(seen).encode())


async def answer(send: Any, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"Content-Type", b"text/plain"), *headers]})
    await send({"type": "http.response.body", "body": body})


async def echo(_scope: Any, receive: Any, send: Any) -> None:
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message["body"])
        more = message["more_body"]
    await answer(send, b"".join(parts))


async def stream(_scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    more = True
    while more:
        message = await receive()
        more = message["more_body"]
        await send({"type": "http.response.body", "body": message["body"], "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def hints(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]})
    await answer(send, b"hinted")


async def trailers(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"trailer", b"x-sum")], "trailers": True})
    await send({"type": "http.response.body", "body": b"x" * 300_000, "more_body": True})
    await send({"type": "http.response.body", "body": b"end"})
    await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"1234")]})


async def sized_trailers(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")], "trailers": True})
    await send({"type": "http.response.body", "body": b"end"})
    await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"1234")]})


async def short_trailers(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")], "trailers": True})
    await send({"type": "http.response.body", "body": b"end"})
    await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"1234")]})


async def disconnects(_scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass
    DISCONNECTED.set()


async def endless(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    sent = 0
    try:
        while True:
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            sent += 65536
            PROGRESS.append(sent)
            if DISCONNECTED.is_set():
                return
    except OSError:
        DISCONNECTED.set()


async def waits(_scope: Any, _receive: Any, send: Any) -> None:
    await asyncio.sleep(0.01)
    await answer(send, b"waited")


DISCONNECTED = threading.Event()
PROGRESS: list[int] = []
PATHS = {
    "/facts": facts,
    "/echo": echo,
    "/stream": stream,
    "/hints": hints,
    "/trailers": trailers,
    "/sized-trailers": sized_trailers,
    "/short-trailers": short_trailers,
    "/disconnects": disconnects,
    "/endless": endless,
    "/waits": waits,
}


@pytest.fixture
def client(serve_asgi: Callable[..., Any]) -> Any:
    DISCONNECTED.clear()
    PROGRESS.clear()
    server = serve_asgi(application, http="auto", limits=Limits(write_timeout=3))
    with Client(server.port) as client:
        yield client


def test_a_scope_says_http_2(client: Client) -> None:
    seen = json.loads(client.get("/facts?a=1", ("x-one", "1")).body)
    assert (seen["http_version"], seen["method"], seen["path"], seen["query"]) == ("2", "GET", "/facts", "a=1")
    assert seen["scheme"] in {"http", "https"}
    assert seen["headers"] == [["host", "localhost"], ["x-one", "1"]]
    assert seen["client"] == list(client.socket.getsockname())
    assert seen["server"] == list(client.socket.getpeername())


@pytest.mark.parametrize("path", ["/echo", "/stream"])
@pytest.mark.parametrize("size", [0, 3, 100_000, 1_500_000])
def test_bodies(client: Client, path: str, size: int) -> None:
    assert client.post(path, b"y" * size).body == b"y" * size


def test_many_at_a_time(client: Client) -> None:
    streams = [client.request("/waits" if index % 2 else "/facts") for index in range(100)]
    assert all(client.wait(stream).status == 200 for stream in streams)


def test_early_hints_are_an_interim_response(client: Client) -> None:
    answer = client.get("/hints")
    assert answer.interim == [[(":status", "103"), ("link", "</a.css>; rel=preload")]]
    assert answer.body == b"hinted"


def test_trailers_leave_behind_the_body(client: Client) -> None:
    answer = client.get("/trailers", ("te", "trailers"))
    assert len(answer.body) == 300_003
    assert answer.trailers == [("x-sum", "1234")]


def test_trailers_follow_content_of_known_length(client: Client) -> None:
    answer = client.get("/sized-trailers", ("te", "trailers"))
    assert (answer.field("content-length"), answer.body, answer.ended) == ("3", b"end", True)
    assert answer.trailers == [("x-sum", "1234")]


def test_trailers_complete_nothing_that_is_too_short(client: Client) -> None:
    answer = client.get("/short-trailers", ("te", "trailers"))
    assert (answer.body, answer.trailers, answer.ended) == (b"end", [], False)
    assert answer.reset is not None


def test_a_reset_disconnects_this_stream_alone(client: Client) -> None:
    stream = client.request("/disconnects")
    client.wait_for(lambda: client.answers[stream].body)
    client.h2.reset_stream(stream, 8)
    client.flush()
    assert DISCONNECTED.wait(10)
    assert client.get("/facts").status == 200


def test_a_lost_connection_disconnects(client: Client) -> None:
    stream = client.request("/disconnects")
    client.wait_for(lambda: client.answers[stream].body)
    client.close()
    assert DISCONNECTED.wait(10)


def test_a_stream_that_is_not_read_holds_no_other_one_and_little_memory(client: Client) -> None:
    client.opens_windows = False
    stream = client.request("/endless")
    client.wait_for(lambda: client.h2.remote_flow_control_window(stream) == 0)
    # The window of the connection is not the stream's alone.
    client.h2.increment_flow_control_window(1_000_000)
    client.flush()
    assert client.get("/facts").status == 200
    assert sum(PROGRESS[-1:]) < 2_000_000
    # Its client reads nothing: it is cut, and the others go on.
    assert client.wait(stream).reset is not None
    assert client.get("/facts").status == 200
