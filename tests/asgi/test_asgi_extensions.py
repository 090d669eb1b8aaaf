"""HTTP over ASGI: early hints, trailers and files."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from pathlib import Path
from typing import Any, Callable

import httpx
import pytest
from app_servers import http_1_only
from asgi_apps import BODY, START, answering
from waiting import wait_until

from socketify.interfaces import ClientDisconnectedError

# ---- extensions


@http_1_only("HTTP/1.0")
def test_early_hints(serve_asgi: Callable[..., Any]) -> None:
    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        hint = {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload", b"</b.js>; rel=preload"]}
        await send(hint)
        await send({**hint, "links": [b"</c.js>; rel=preload"]})
        await send(START)
        for message in ({**BODY, "more_body": True}, BODY):
            with pytest.raises(RuntimeError, match=r"body', not 'http.response.early_hint'"):
                await send(hint)
            await send(message)

    server = serve_asgi(answering(answer))
    text = server.request("GET / HTTP/1.1")
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nLink: </b.js>; rel=preload\r\n\r\n"
    hints += b"HTTP/1.1 103 Early Hints\r\nLink: </c.js>; rel=preload\r\n\r\n"
    assert text.startswith(hints + b"HTTP/1.1 200 OK\r\n")
    assert text.count(b"103 Early Hints") == 2
    assert server.request("GET / HTTP/1.0").startswith(b"HTTP/1.1 200 OK\r\n")


def test_early_hints_leave_before_the_response_is_known(serve_asgi: Callable[..., Any]) -> None:
    seen = threading.Event()

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]})
        await asyncio.get_running_loop().run_in_executor(None, seen.wait, 10)
        await send(START)
        await send(BODY)

    with serve_asgi(answering(answer)).connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(1000) == b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
        seen.set()
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("link", ["</a.css>", b"</a.css>\nX: y", b"</a.css>\r\n\r\n"])
def test_early_hints_that_are_no_field(serve_asgi: Callable[..., Any], link: Any) -> None:
    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        with pytest.raises((TypeError, ValueError)):
            await send({"type": "http.response.early_hint", "links": [link]})
        await send(START)
        await send(BODY)

    assert serve_asgi(answering(answer)).request("GET / HTTP/1.1").startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("body", [b"x", b"x" * 600000])
def test_trailers(serve_asgi: Callable[..., Any], wanted: bool, body: bytes) -> None:
    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({**START, "trailers": True})
        await send({**BODY, "body": body})
        await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"1")], "more_trailers": True})
        await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"2")]})

    text = serve_asgi(answering(answer)).request("GET / HTTP/1.1", *(["TE: trailers"] if wanted else []))
    assert text.endswith(b"\r\n0\r\nx-sum: 1\r\nx-sum: 2\r\n\r\n" if wanted else b"\r\n0\r\n\r\n")
    assert text.count(b"x") >= len(body)


def test_application_that_owes_its_trailers_is_cut(serve_asgi: Callable[..., Any]) -> None:
    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({**START, "trailers": True})
        await send(BODY)
        await send({"type": "http.response.body"})

    assert not serve_asgi(answering(answer)).request("GET / HTTP/1.1").endswith(b"0\r\n\r\n")


# ---- files


@pytest.mark.parametrize("size", [0, 10, 300_000, 40_000_000])
@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_pathsend(serve_asgi: Callable[..., Any], tmp_path: Path, size: int, announced: bool, method: str) -> None:
    path = tmp_path / "file"
    content = (bytes(range(251)) * (size // 251 + 1))[:size]
    path.write_bytes(content)

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({**START, "headers": [(b"content-length", b"%d" % size)] if announced else []})
        await send({"type": "http.response.pathsend", "path": str(path)})

    server = serve_asgi(answering(answer))
    with httpx.Client() as client:
        for _ in range(2):
            response = client.request(method, server.url)
            assert response.headers["content-length"] == str(size)
            assert response.content == (content if method == "GET" else b"")


def test_pathsend_to_a_slow_client(serve_asgi: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "file"
    content = bytes(range(256)) * 200_000
    path.write_bytes(content)

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send(START)
        await send({"type": "http.response.pathsend", "path": str(path)})

    server = serve_asgi(answering(answer))
    with server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = b""
        while len(received) < 2_000_000:
            time.sleep(0.01)
            received += connection.recv(100_000)
        while data := connection.recv(1 << 20):
            received += data
    assert received.endswith(b"\r\n\r\n" + content)


def test_client_that_leaves_during_pathsend(serve_asgi: Callable[..., Any], tmp_path: Path, caplog: Any) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(50_000_000))
    errors: list[BaseException] = []

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send(START)
        try:
            await send({"type": "http.response.pathsend", "path": str(path)})
        except OSError as error:
            errors.append(error)
            raise

    server = serve_asgi(answering(answer))
    with caplog.at_level(logging.INFO, "socketify"):
        with server.connect() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            connection.recv(1000)
        server.server.close()
    wait_until(lambda: errors)
    assert isinstance(errors[0], ClientDisconnectedError)
    assert not caplog.records


def test_pathsend_of_what_is_not_there(serve_asgi: Callable[..., Any], tmp_path: Path) -> None:
    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send(START)
        with pytest.raises(TypeError, match="'path'"):
            await send({"type": "http.response.pathsend"})
        with pytest.raises(ValueError, match="no regular file"):
            await send({"type": "http.response.pathsend", "path": str(tmp_path)})
        await send({"type": "http.response.pathsend", "path": str(tmp_path / "missing")})

    assert serve_asgi(answering(answer)).request("GET / HTTP/1.1").startswith(b"HTTP/1.1 500 ")


@pytest.mark.parametrize("announced", [True, False])
def test_zerocopysend(serve_asgi: Callable[..., Any], tmp_path: Path, announced: bool) -> None:
    path = tmp_path / "file"
    content = bytes(range(256)) * 20_000
    path.write_bytes(content)
    whole = b"before" + content[100:5000] + content[7:] + b"after"

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({**START, "headers": [(b"content-length", b"%d" % len(whole))] if announced else []})
        await send({**BODY, "body": b"before", "more_body": True})
        with path.open("rb") as file:
            message = {"type": "http.response.zerocopysend", "file": file, "more_body": True}
            await send({**message, "offset": 100, "count": 4900})
            file.seek(7)
            await send(message)
            assert file.tell() == len(content)
        await send({**BODY, "body": b"after"})

    with httpx.Client() as client:
        assert client.get(serve_asgi(answering(answer)).url).content == whole
