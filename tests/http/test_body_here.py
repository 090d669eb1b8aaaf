"""Bodies that come in one packet with their head: they are there without waiting, and what follows them stays in order."""

from __future__ import annotations

import asyncio
from typing import Any, Callable

import pytest

from socketify import App


def post(body: bytes, path: str = "/", *lines: str) -> bytes:
    head = "\r\n".join((f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *lines, "", ""))
    return head.encode() + body


def routes() -> Callable[[App], None]:
    async def echo(res: Any, req: Any) -> None:
        res.end((await res.get_data()).getvalue())

    async def twice(res: Any, req: Any) -> None:
        await res.get_data()
        with pytest.raises(RuntimeError, match="being read already"):
            await res.get_data()
        with pytest.raises(RuntimeError, match="being read already"):
            res.on_data(lambda *_: None)
        res.end("once")

    async def later(res: Any, req: Any) -> None:
        await asyncio.sleep(0.01)
        res.end((await res.get_data()).getvalue())

    def pieces(res: Any, req: Any) -> None:
        res.on_data(lambda res, chunk, last: res.end(chunk))

    def unread(res: Any, req: Any) -> None:
        res.end("unread")

    def build(app: App) -> None:
        app.post("/", echo).post("/twice", twice).post("/later", later).post("/unread", unread).post("/pieces", pieces)

    return build


def test_bodies_and_what_follows_them(serve: Callable[..., Any]) -> None:
    server = serve(routes())
    requests = [
        post(b"first"),
        post(b"second", "/later"),
        post(b"", "/later"),
        post(b"POST / HTTP/1.1\r\n\r\n", "/unread"),
        post(b"once", "/twice"),
        post(b"x" * 20_000),
        post(b"last", "/", "Connection: close"),
    ]
    answer = server.exchange(b"".join(requests))
    bodies = [part.partition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert bodies == [b"first", b"second", b"", b"unread", b"once", b"x" * 20_000, b"last"]


def test_a_body_in_pieces_is_the_same(serve: Callable[..., Any]) -> None:
    server = serve(routes())
    data = post(b"body in pieces", "/", "Connection: close")
    with server.connect() as connection:
        for position in range(len(data)):
            connection.sendall(data[position : position + 1])
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert answer.endswith(b"\r\n\r\nbody in pieces")


def test_who_expects_100_is_told_once_when_the_body_was_not_sent(serve: Callable[..., Any]) -> None:
    server = serve(routes())
    data = post(b"expected", "/", "Expect: 100-continue", "Connection: close")
    head, body = data[: -len(b"expected")], data[-len(b"expected") :]
    with server.connect() as connection:
        connection.sendall(head)
        assert connection.recv(1000).startswith(b"HTTP/1.1 100")
        connection.sendall(body)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"expected")
    assert server.exchange(data).endswith(b"expected")


@pytest.mark.parametrize("path", ["/", "/pieces", "/later"])
def test_who_sent_the_body_without_waiting_is_told_nothing(serve: Callable[..., Any], path: str) -> None:
    whole = post(b"expected", path, "Expect: 100-continue", "Connection: close")
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    server = serve(routes())
    for data in (whole, head.encode() + b"8\r\nexpected\r\n0\r\n\r\n"):
        answer = server.exchange(data)
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.endswith(b"expected")


def test_who_sent_the_body_without_waiting_is_kept_though_nobody_reads_it(serve: Callable[..., Any]) -> None:
    server = serve(routes())
    data = post(b"expected", "/unread", "Expect: 100-continue") + post(b"next", "/", "Connection: close")
    assert server.exchange(data).endswith(b"\r\n\r\nnext")


def test_asgi_receives_a_body_that_is_here(serve_asgi: Callable[..., Any]) -> None:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise ValueError("no lifespan here")
        message = await receive()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": message["body"] + b" " + str(message["more_body"]).encode()})

    server = serve_asgi(app)
    answer = server.exchange(post(b"one") + post(b"two", "/", "Connection: close"))
    assert [part.partition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 200 OK\r\n")[1:]] == [b"one False", b"two False"]
