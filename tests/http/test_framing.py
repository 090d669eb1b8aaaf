"""How messages are delimited, and what of it clients and handlers are told, through every interface."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from typing import Any, Callable

import pytest
from app_servers import http_1_only
from asgi_apps import answering, body_of
from wsgi_server import served

from socketify import Request, Response

CLOSE = b"Host: a\r\nConnection: close\r\n"


def head_of(answer: bytes) -> list[bytes]:
    return answer.partition(b"\r\n\r\n")[0].lower().split(b"\r\n")


def body(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


async def tell_length(res: Response, req: Request) -> None:
    told = req.get_header("content-length")
    fields = [value for name, value in req.get_headers().items() if name == "content-length"]
    data = await res.get_data()
    assert data is not None
    res.end(f"{told} {fields} {data.getvalue().decode()}")


# ---- HTTP/1.0


def test_an_ancient_client_that_asks_is_kept_and_told(serve: Callable[..., Any]) -> None:
    server = serve(lambda app: app.get("/", lambda res, _: res.end("ok")))
    with server.connect() as connection:
        for _ in range(3):
            connection.sendall(b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
            assert b"connection: keep-alive" in head_of(connection.recv(1000))
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert b"connection: close" in head_of(connection.recv(1000))
        assert connection.recv(1000) == b""


def test_an_ancient_client_is_not_kept_when_only_the_end_tells_the_body(serve: Callable[..., Any]) -> None:
    server = serve(lambda app: app.get("/", lambda res, _: res.write("a").write("b").end("c")))
    answer = server.exchange(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert b"connection: close" in head_of(answer)
    assert body(answer) == b"abc"


def test_a_modern_client_is_kept_without_a_word(serve: Callable[..., Any]) -> None:
    server = serve(lambda app: app.get("/", lambda res, _: res.end("ok")))
    with server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
        assert not [line for line in head_of(connection.recv(1000)) if line.startswith(b"connection")]


@pytest.mark.skipif(shutil.which("ab") is None, reason="ApacheBench is not installed")
def test_apache_bench_keeps_its_connection(serve: Callable[..., Any]) -> None:
    server = serve(lambda app: app.get("/", lambda res, _: res.end("ok")))
    if server.app.is_secure:
        pytest.skip("one way of measuring is enough")
    # Where the connection is not kept as ab thinks, each request waits for a time-out.
    command = ["ab", "-k", "-n", "100", "-s", "5", f"http://127.0.0.1:{server.port}/"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    assert "Keep-Alive requests:    100\n" in done.stdout
    assert "Failed requests:        0\n" in done.stdout


def test_an_ancient_request_without_length_has_no_body(serve: Callable[..., Any]) -> None:
    server = serve(lambda app: app.post("/", tell_length))
    assert body(server.exchange(b"POST / HTTP/1.0\r\n\r\n")) == b"None [] "


# ---- Content-Length of a request


LENGTHS = [b"Content-Length: 9, 9\r\n", b"Content-Length: 9\r\nX: y\r\nContent-Length: 9\r\n"]


@pytest.mark.parametrize("lengths", LENGTHS)
def test_equal_lengths_are_handed_on_as_one(serve: Callable[..., Any], lengths: bytes) -> None:
    server = serve(lambda app: app.post("/", tell_length))
    answer = server.exchange(b"POST / HTTP/1.1\r\n" + CLOSE + lengths + b"\r\na=b&c=def")
    assert body(answer) == b"9 ['9'] a=b&c=def"


@pytest.mark.parametrize("lengths", LENGTHS)
def test_equal_lengths_are_handed_on_as_one_by_asgi(serve_asgi: Callable[..., Any], lengths: bytes) -> None:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        found = [value for name, value in scope["headers"] if name == b"content-length"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"%r %s" % (found, await body_of(receive))})

    received = serve_asgi(answering(answer)).exchange(b"POST / HTTP/1.1\r\n" + CLOSE + lengths + b"\r\na=b&c=def")
    assert body(received) == b"[b'9'] a=b&c=def"


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_equal_lengths_are_handed_on_as_one_by_wsgi(lengths: bytes, threads: int) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [environ["CONTENT_LENGTH"].encode() + b" " + environ["wsgi.input"].read(9)]

    with served(application, threads=threads) as server:
        for _ in range(3):
            answer = server.raw(b"POST / HTTP/1.1\r\n" + CLOSE + lengths + b"\r\na=b&c=def")
            assert body(answer) == b"9 a=b&c=def"


# ---- CONNECT


@pytest.mark.parametrize("send", [lambda res: res.end("raw"), lambda res: res.write("r").write("a").end("w")])
def test_what_answers_connect_with_success_is_a_tunnel(serve: Callable[..., Any], send: Any) -> None:
    seen = []

    def handle(res: Response, req: Request) -> None:
        seen.append(req.get_url())
        send(res)

    server = serve(lambda app: app.any("/*", handle))
    answer = server.exchange(b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
    head = head_of(answer)
    assert head[0].startswith(b"http/1.1 200 "), answer
    assert not [line for line in head if line.startswith((b"content-length", b"transfer-encoding"))]
    assert body(answer) == b"raw"
    assert len(seen) == 1


def test_nothing_is_added_to_a_tunnel_whose_client_ends_its_half(serve: Callable[..., Any]) -> None:
    async def handle(res: Response, _req: Request) -> None:
        res.write("ra")
        await asyncio.sleep(0.2)
        res.end("w")

    server = serve(lambda app: app.any("/*", handle))
    with server.connect() as connection:
        connection.sendall(b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n")
        answer = connection.recv(1000)
        connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(1000):
            answer += part
    assert body(answer) == b"raw"


@http_1_only("counts chunks")
def test_a_refused_tunnel_is_answered_like_other_requests(serve: Callable[..., Any]) -> None:
    server = serve(lambda app: app.any("/*", lambda res, _: res.write_status(403).write("n").end("o")))
    answer = server.exchange(b"CONNECT a:443 HTTP/1.1\r\n" + CLOSE + b"\r\n")
    assert head_of(answer)[0] == b"http/1.1 403 forbidden", answer
    assert b"transfer-encoding: chunked" in head_of(answer)
    assert body(answer) == b"1\r\nn\r\n1\r\no\r\n0\r\n\r\n"


# ---- 205


@pytest.mark.parametrize("send", [lambda res: res.end("body"), lambda res: res.write("bo").end("dy")])
def test_reset_content_has_no_body(serve: Callable[..., Any], send: Any) -> None:
    server = serve(lambda app: app.get("/", lambda res, _: send(res.write_status(205))))
    request = b"GET / HTTP/1.1\r\n"
    with server.connect() as connection:
        connection.sendall(request + b"Host: a\r\n\r\n")
        answer = connection.recv(1000)
        assert answer.endswith(b"\r\n\r\n")
        assert b"content-length: 0" in head_of(answer)
        connection.sendall(request + CLOSE + b"\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 205 ")


def test_reset_content_has_no_body_in_asgi(serve_asgi: Callable[..., Any]) -> None:
    async def answer(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 205, "headers": []})
        await send({"type": "http.response.body", "body": b"bo", "more_body": True})
        await send({"type": "http.response.body", "body": b"dy"})

    received = serve_asgi(answering(answer)).request("GET / HTTP/1.1")
    assert b"content-length: 0" in head_of(received)
    assert body(received) == b""


@pytest.mark.parametrize("threads", [1, 2])
def test_reset_content_has_no_body_in_wsgi(threads: int) -> None:
    def application(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("205 Reset Content", [("Content-Length", "4")])
        return [b"bo", b"dy"]

    with served(application, threads=threads) as server:
        answer = server.raw(b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n")
        assert b"content-length: 0" in head_of(answer)
        assert body(answer) == b""
