"""Answers to HEAD, by every interface: only a length that GET would have (RFC 9110 section 8.6)."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Callable

import httpx
import pytest

from socketify import ASGI, SSGI, WSGI, App, AppListenOptions

PIECES = [b"one", b"two"]


def run(app: App) -> None:
    def stream(res: Any, req: Any) -> None:
        if req.get_method() == "HEAD":
            res.end(b"")
            return
        for piece in PIECES:
            res.write(piece)
        res.end(b"")

    app.any("/stream", stream)
    app.any("/nothing", lambda res, req: res.end_without_body())
    app.any("/whole", lambda res, req: res.end(b"whole"))
    app.any("/announced", lambda res, req: res.write_header("Content-Length", "5").end_without_body())
    app.any("/missing", lambda res, req: res.write_status(404).end(b""))


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    path, is_head = scope["path"], scope["method"] == "HEAD"
    headers = [(b"content-length", b"5")] if path == "/announced" else []
    await send({"type": "http.response.start", "status": 404 if path == "/missing" else 200, "headers": headers})
    if path == "/stream" and not is_head:
        for piece in PIECES:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"whole" if path == "/whole" else b""})


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path, is_head = environ["PATH_INFO"], environ["REQUEST_METHOD"] == "HEAD"
    headers = [("Content-Length", "5")] if path == "/announced" else []
    start_response("404 Not Found" if path == "/missing" else "200 OK", headers)
    if path == "/whole":
        return [b"whole"]
    return iter(PIECES) if path == "/stream" and not is_head else []


def ssgi(kind: str, server: str, remote: str, method: str, path: str, query: str, get_header: Any, res: Any) -> None:
    res.send_status(404 if path == "/missing" else 200)
    res.send_headers([("Content-Length", "5")] if path == "/announced" else [])
    if path == "/stream" and method != "HEAD":
        for piece in PIECES:
            res.send(piece, has_more=True)
    res.send(b"whole" if path == "/whole" else b"")


@pytest.fixture(params=["app", "asgi", "wsgi", "wsgi with threads", "ssgi"])
def exchange(request: Any, serve: Callable[..., Any]) -> Iterator[Callable[[bytes], bytes]]:
    """Send a request and read until the end of the connection."""
    if request.param == "app":
        yield serve(run).exchange
        return
    made: dict[str, Callable[[], Any]] = {
        "asgi": lambda: ASGI(asgi),
        "wsgi": lambda: WSGI(wsgi),
        "wsgi with threads": lambda: WSGI(wsgi, threads=2),
        "ssgi": lambda: SSGI(ssgi),
    }
    ports: list[int] = []
    server = made[request.param]()
    server.listen(AppListenOptions(host="127.0.0.1"), lambda config: ports.append(config.port)).run(block=False)
    yield lambda data: plain_exchange(ports[0], data)
    server.close()


def plain_exchange(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(10)
        connection.sendall(data)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(
    ("path", "length"),
    [("/stream", None), ("/nothing", None), ("/missing", None), ("/whole", b"5"), ("/announced", b"5")],
)
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_length_of_an_answer_to_head(exchange: Any, path: str, length: Any, version: bytes) -> None:
    head = b"HEAD " + path.encode() + b" HTTP/" + version + b"\r\nHost: x\r\nConnection: "
    kept = head + b"keep-alive\r\n\r\n"
    answers = exchange(kept + head + b"close\r\n\r\n").split(b"\r\n\r\n")
    # The connection goes on, as an answer to HEAD ends with its head.
    assert len(answers) == 3
    for answer in answers[:2]:
        assert answer.startswith(b"HTTP/1.1 404 " if path == "/missing" else b"HTTP/1.1 200 ")
        fields = dict(line.split(b": ", 1) for line in answer.lower().split(b"\r\n")[1:])
        assert fields.get(b"content-length") == length
        assert b"transfer-encoding" not in fields
    assert answers[2] == b""


def test_get_still_says_that_it_is_empty(exchange: Any) -> None:
    answer = exchange(b"GET /missing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.lower().endswith(b"\r\ncontent-length: 0\r\n\r\n")


def test_empty_file_has_a_length(serve: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_bytes(b"")
    server = serve(lambda app: app.static("/", str(tmp_path)))
    for method in ("GET", "HEAD"):
        answer = httpx.request(method, f"{server.url}/empty.txt")
        assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "0", b"")
