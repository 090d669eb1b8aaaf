"""Each limit has its reply, on its stream or on the connection."""

from __future__ import annotations

from typing import Any, Callable

import pytest
from http2_client import Client

from socketify import App, Limits, Request, Response

INTERNAL_ERROR = 2
REFUSED_STREAM = 7
LIMITS = Limits(
    max_streams=5,
    max_header_bytes=2000,
    max_header_count=20,
    max_target_bytes=300,
    max_body_size=100_000,
    body_timeout=1,
    keep_alive_timeout=1,
    response_timeout=1,
)


def routes(app: App) -> None:
    app.get("/*", lambda res, _req: res.end("Hello"))
    app.post("/echo", echo)
    app.post("/begin", begin)
    app.get("/never", never)


def begin(res: Response, _req: Request) -> None:
    res.write("begun ")
    res.on_data(lambda res, data, last: res.end(data) if last else res.write(data))


async def echo(res: Response, _req: Request) -> None:
    body = await res.get_data()
    res.end(body.getvalue())


def never(res: Response, _req: Request) -> None:
    KEPT.append(res)


KEPT: list[Response] = []


@pytest.fixture
def client(serve: Callable[..., Any]) -> Any:
    server = serve(routes, http="auto", limits=LIMITS)
    with Client(server.port) as client:
        yield client
    KEPT.clear()


def test_further_streams_are_refused(client: Client) -> None:
    client.wait_for(lambda: client.h2.remote_settings.max_concurrent_streams == 5)
    streams = [client.begin("/echo", "POST") for _ in range(5)]
    client.h2.remote_settings[3] = 100
    client.h2.remote_settings.acknowledge()
    assert client.wait(client.begin("/echo", "POST")).reset == REFUSED_STREAM
    for stream in streams:
        client.send(stream, b"abc", ends=True)
        assert client.wait(stream).body == b"abc"
    assert client.get("/").status == 200


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/" + "x" * 300, [], 414),
        ("/", [("x-long", "y" * 3000)], 431),
        ("/", [(f"x-{number}", "y") for number in range(20)], 431),
        ("/", [("expect", "something")], 417),
    ],
)
def test_heads_that_are_refused_get_an_answer(client: Client, path: str, fields: list[tuple[str, str]], status: int) -> None:
    answer = client.get(path, *fields)
    assert answer.status == status
    assert answer.body.startswith(str(status).encode())
    assert client.get("/").status == 200


@pytest.mark.parametrize(
    ("path", "field", "status"),
    [
        ("/" + "x" * 300, ("x-usual", "y"), 414),
        ("/", ("x-long", "y" * 3000), 431),
        ("/", ("x-longer", "y" * 6000), 431),
        ("/", ("expect", "something"), 417),
    ],
)
def test_a_refused_head_request_gets_no_content(client: Client, path: str, field: tuple[str, str], status: int) -> None:
    answer = client.wait(client.request(path, "HEAD", field))
    assert (answer.status, answer.body) == (status, b"")
    assert client.get("/").status == 200


@pytest.mark.parametrize("declared", [True, False])
def test_bodies_that_are_too_large_get_413(client: Client, declared: bool) -> None:
    stream = client.begin("/echo", "POST", *([("content-length", "100001")] if declared else []))
    if not declared:
        client.send(stream, b"x" * 100_001)
    answer = client.wait(stream)
    assert answer.status == 413
    assert client.get("/").status == 200


def test_a_body_that_does_not_come_gets_408(client: Client) -> None:
    stream = client.begin("/echo", "POST")
    client.send(stream, b"x")
    answer = client.wait(stream)
    assert answer.status == 408
    assert client.get("/").status == 200


def test_a_handler_that_forgets_its_response_gets_500(client: Client) -> None:
    assert client.get("/never").status == 500


def test_an_idle_connection_is_closed_with_goaway(client: Client) -> None:
    assert client.get("/").status == 200
    client.receive_all()
    assert client.goaway == (1, 0)


def test_a_body_is_asked_for_by_100(client: Client) -> None:
    stream = client.begin("/echo", "POST", ("expect", "100-continue"))
    answer = client.answers[stream]
    client.wait_for(lambda: answer.interim)
    assert answer.interim == [[(":status", "100")]]
    client.send(stream, b"abc", ends=True)
    assert client.wait(stream).body == b"abc"


@pytest.mark.parametrize("size", [10, 110_000])
def test_a_response_that_has_begun_when_its_request_fails_does_not_end_as_a_complete_one(client: Client, size: int) -> None:
    stream = client.begin("/begin", "POST")
    client.wait_for(lambda: client.answers[stream].body == b"begun ")
    # Of the body, which stays without an end or becomes too large.
    for _ in range(max(1, size // 10_000)):
        client.h2.send_data(stream, bytes(min(size, 10_000)))
    client.flush()
    answer = client.wait(stream)
    assert (answer.ended, answer.reset) == (False, INTERNAL_ERROR)
    assert client.get("/").status == 200


def test_requests_beyond_a_limit_that_the_client_cannot_know_are_refused_and_the_connection_stays(client: Client) -> None:
    head = [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", "/never")]
    streams = [client.begin_unsent(head, ends=True) for _ in range(400)]
    client.flush()
    resets = [client.wait(stream).reset for stream in streams]
    assert resets.count(REFUSED_STREAM) == 395
    assert client.get("/").status == 200
