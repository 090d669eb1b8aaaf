"""Handlers of an app over HTTP/2: what they answer, and what they see."""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import Any, Callable

import pytest
from h2.settings import SettingCodes
from http2_client import Client

from socketify import App, Limits, Request, Response

INTERNAL_ERROR = 2


def routes(app: App) -> None:
    app.get("/", lambda res, _req: res.write_header("X-Name", "value").end("Hello"))
    app.post("/echo", echo)
    app.get("/facts", facts)
    app.get("/large/:kilobytes", lambda res, req: res.end(b"x" * 1024 * int(req.get_parameter(0))))
    app.get("/chunks", chunks)
    app.get("/empty", lambda res, _req: res.write_status(204).end_without_body())
    app.get("/raises", raises)
    app.get("/waits", waits)
    app.post("/pieces", pieces)
    app.get("/resume", lambda res, _req: (PAUSED[0].resume(), res.end("resumed")))
    app.get("/cut", lambda res, _req: res.write("some").close())


async def echo(res: Response, req: Request) -> None:
    kind = req.get_header("content-type") or "none"
    body = await res.get_data()
    res.write_header("x-kind", kind).end(body.getvalue())


PAUSED: list[Response] = []
PIECES: list[int] = []


def pieces(res: Response, _req: Request) -> None:
    """Takes one piece of the body each time that it is resumed."""
    PIECES.clear()
    PAUSED[:] = [res.pause()]

    def take(res: Response, piece: bytes, last: bool) -> None:
        PIECES.append(len(piece))
        if last:
            res.end(str(sum(PIECES)))
        else:
            res.pause()

    res.on_data(take)


def facts(res: Response, req: Request) -> None:
    res.end(json.dumps({"url": req.get_full_url(), "method": req.get_method(), "headers": req.get_headers()}))


def chunks(res: Response, _req: Request) -> None:
    for index in range(3):
        res.write(f"{index};")
    res.end("end")


def raises(_res: Response, _req: Request) -> None:
    message = "on purpose"
    raise ValueError(message)


async def waits(res: Response, _req: Request) -> None:
    await asyncio.sleep(0.01)
    res.end("waited")


@pytest.fixture
def client(serve: Callable[..., Any]) -> Any:
    server = serve(routes, http="auto")
    with Client(server.port) as client:
        yield client


def test_a_response_has_the_usual_fields_in_lower_case(client: Client) -> None:
    answer = client.get("/")
    assert (answer.status, answer.body) == (200, b"Hello")
    names = [name for name, _ in answer.head]
    assert names == [":status", "x-name", "date", "server", "content-length"]
    assert answer.field("content-length") == "5"


def test_white_space_around_values_is_left_out(serve: Callable[..., Any]) -> None:
    def handler(res: Response, _req: Request) -> None:
        res.write_header("x-a", " b c\t").write_header("x-b", "").write_header("x-c", " \t ").end("Hello")

    # RFC 9113 section 8.2.1: fields that begin or end with it are malformed, and h2 refuses them.
    with Client(serve(lambda app: app.get("/", handler)).port) as client:
        answer = client.get("/")
    assert [answer.field(name) for name in ("x-a", "x-b", "x-c")] == ["b c", "", ""]


def test_requests_of_a_connection_are_answered_together(client: Client) -> None:
    streams = [client.request("/") for _ in range(50)]
    assert {client.wait(stream).body for stream in streams} == {b"Hello"}


def test_a_handler_sees_the_request_as_it_would_see_one_of_http_1_1(client: Client) -> None:
    answer = client.get("/facts?a=1", ("cookie", "a=1"), ("cookie", "b=2"), ("x-more", "yes"))
    seen = json.loads(answer.body)
    assert seen["url"] == "/facts?a=1"
    assert seen["method"].lower() == "get"
    assert seen["headers"] == {"host": "localhost", "cookie": "a=1; b=2", "x-more": "yes"}


@pytest.mark.parametrize("size", [0, 1, 1000, 20_000, 300_000, 2_000_000])
def test_bodies_of_requests_and_responses_arrive_whole(client: Client, size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    answer = client.post("/echo", body, ("content-type", "text/x"))
    assert answer.status == 200
    assert answer.body == body
    assert answer.field("x-kind") == "text/x"


def test_a_body_of_declared_length(client: Client) -> None:
    assert client.post("/echo", b"abc", ("content-length", "3")).body == b"abc"


def test_a_large_response_waits_for_windows(client: Client) -> None:
    streams = [client.request("/large/500") for _ in range(4)]
    assert [len(client.wait(stream).body) for stream in streams] == [500 * 1024] * 4


def test_large_content_leaves_without_a_word_of_the_client(client: Client) -> None:
    client.opens_windows = False
    client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 1 << 24})
    client.h2.increment_flow_control_window(1 << 24)
    assert client.get().body == b"Hello"
    begin = time.monotonic()
    for _ in range(4):
        assert len(client.get("/large/300").body) == 300 * 1024
    # Else a clock, which looks every five seconds, would be what sends the rest of each.
    assert time.monotonic() - begin < 10


def test_a_streamed_response_has_no_coding(client: Client) -> None:
    answer = client.get("/chunks")
    assert answer.body == b"0;1;2;end"
    assert answer.field("transfer-encoding") is None
    assert answer.field("content-length") is None


def test_answers_without_a_body(client: Client) -> None:
    empty = client.get("/empty")
    assert (empty.status, empty.body, empty.field("content-length")) == (204, b"", None)
    head = client.wait(client.request("/", "HEAD"))
    assert (head.status, head.body, head.field("content-length")) == (200, b"", "5")
    assert client.get("/nowhere").status == 404


def test_a_handler_that_raises_is_an_answer_of_this_stream_alone(client: Client) -> None:
    streams = [client.request("/raises"), client.request("/")]
    assert [client.wait(stream).status for stream in streams] == [500, 200]


def test_handlers_that_wait_answer_when_they_are_done(client: Client) -> None:
    streams = [client.request(path) for path in ("/waits", "/", "/waits")]
    assert [client.wait(stream).body for stream in streams] == [b"waited", b"Hello", b"waited"]


def test_a_response_that_is_cut_is_a_reset(client: Client) -> None:
    answer = client.wait(client.request("/cut"))
    assert answer.reset == INTERNAL_ERROR
    assert client.get("/").status == 200


def test_a_connection_whose_requests_are_answered_at_once_is_not_idle(serve: Callable[..., Any]) -> None:
    server = serve(routes, limits=Limits(keep_alive_timeout=1))
    with Client(server.port) as client:
        until = time.monotonic() + 3
        while time.monotonic() < until:
            assert client.get("/").body == b"Hello"
            time.sleep(0.1)
        # Now it is.
        client.receive_all()
    assert client.goaway == (max(client.answers), 0)


def test_the_same_port_speaks_http_1_1(serve: Callable[..., Any]) -> None:
    server = serve(routes, http="auto")
    answer = server.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_handler_that_pauses_again_gets_no_more_than_a_piece(client: Client) -> None:
    stream = client.request("/pieces", "POST", body=b"x" * 60_000)
    # All of it has arrived, and waits.
    assert client.get("/").body == b"Hello"
    assert sum(PIECES) == 0
    for _ in range(4):
        before = len(PIECES)
        client.get("/resume")
        client.get("/")
        assert len(PIECES) == before + 1
        assert PIECES[-1] <= 16_384
    assert client.wait(stream).body == b"60000"


@pytest.mark.skipif("SOCKETIFY_TEST_TLS" in os.environ, reason="the preface tells only in clear")
def test_a_preface_behind_a_request_is_none(serve: Callable[..., Any]) -> None:
    server = serve(routes, http="auto")
    answer = server.exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"HTTP/1.1 505 " in answer


def test_a_preface_in_pieces(serve: Callable[..., Any]) -> None:
    server = serve(routes, http="auto")
    with Client(server.port, in_pieces=True) as client:
        assert client.get("/").body == b"Hello"


@pytest.mark.parametrize("http", [["2"], 2, "h2", None])
def test_a_version_that_nobody_speaks(http: Any) -> None:
    with pytest.raises(ValueError, match="http must be one of 'auto', '1', '2', not "):
        App(http=http)
