"""A request that has arrived whole is answered, and nobody is told to stop sending it (RFC 9113 section 8.1)."""

from __future__ import annotations

from typing import Any, Callable

import pytest
from http2_client import Client
from http2_frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    POST,
    RST_STREAM,
    Frame,
    block,
    data,
    frame,
    frames,
)

from socketify import App, Request, Response


def routes(app: App) -> None:
    app.post("/read", read)
    app.post("/unread", lambda res, _req: res.end("answer"))


async def read(res: Response, _req: Request) -> None:
    res.end((await res.get_data()).getvalue())


def head(stream: int, path: str, *fields: tuple[str, str]) -> bytes:
    return frame(HEADERS, END_HEADERS, stream, block(*POST[:3], (":path", path), *fields))


def received(client: Client, last: bytes, answer: bytes = b"") -> list[Frame]:
    """All frames until an answer, and then that to a ping, without the beginning of the connection."""
    got = b""
    while answer not in got:
        got += client.socket.recv(65536)
    client.socket.sendall(frame(PING, 0, 0, last))
    while last not in got:
        part = client.socket.recv(65536)
        assert part
        got += part
    return [each for each in frames(got) if each.stream]


@pytest.mark.parametrize("path", ["/read", "/unread"])
@pytest.mark.parametrize("fields", [(), (("content-length", "4"),)], ids=["undeclared", "declared"])
def test_no_reset_follows_the_answer(serve: Callable[..., Any], path: str, fields: Any) -> None:
    with Client(serve(routes).port) as client:
        client.wait_for(lambda: client.h2.remote_settings.enable_connect_protocol)
        client.socket.sendall(head(1, path, *fields) + data(1, b"body", end=True))
        got = received(client, b"the last", b"body" if path == "/read" else b"answer")
        assert [each.type for each in got] == [HEADERS, DATA]
        assert got[-1].flags & END_STREAM


def test_a_declared_body_that_has_arrived_may_end_later(serve: Callable[..., Any]) -> None:
    with Client(serve(routes).port) as client:
        client.wait_for(lambda: client.h2.remote_settings.enable_connect_protocol)
        client.socket.sendall(head(1, "/unread", ("content-length", "0")))
        got = received(client, b"answered")
        client.socket.sendall(data(1, b"", end=True))
        got += received(client, b"the last")
        assert [each.type for each in got] == [HEADERS, DATA]


def test_one_that_is_not_wanted_any_more_is_told_so(serve: Callable[..., Any]) -> None:
    with Client(serve(routes).port) as client:
        client.wait_for(lambda: client.h2.remote_settings.enable_connect_protocol)
        client.socket.sendall(head(1, "/unread") + data(1, b"some"))
        got = received(client, b"the last")
        assert [each.type for each in got] == [HEADERS, DATA, RST_STREAM]
        assert got[-1].number == 0
