"""WSGI and SSGI applications, files and the access log over HTTP/2."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Callable

import pytest
from captured import said
from http2_client import Client
from wsgi_server import served

from socketify import App


def application(environ: dict[str, Any], start_response: Any) -> Any:
    path = environ["PATH_INFO"]
    if path == "/facts":
        names = ("SERVER_PROTOCOL", "REQUEST_METHOD", "HTTP_HOST", "HTTP_COOKIE", "QUERY_STRING", "REMOTE_ADDR")
        body = [json.dumps({name: environ.get(name) for name in names}).encode()]
    elif path == "/echo":
        body = [environ["wsgi.input"].read()]
    else:
        body = (b"x" * 50_000 for _ in range(20))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return body


@pytest.mark.parametrize("threads", [1, 4])
def test_a_wsgi_application(threads: int) -> None:
    with served(application, threads=threads, http="auto") as server, Client(server.port) as client:
        seen = json.loads(client.get("/facts?a=1", ("cookie", "a=1"), ("cookie", "b=2")).body)
        assert seen["SERVER_PROTOCOL"] == "HTTP/2"
        assert (seen["HTTP_HOST"], seen["HTTP_COOKIE"], seen["QUERY_STRING"]) == ("localhost", "a=1; b=2", "a=1")
        for size in (0, 10, 100_000, 1_000_000):
            assert client.post("/echo", b"z" * size).body == b"z" * size
        streams = [client.request("/stream") for _ in range(5)]
        assert [len(client.wait(stream).body) for stream in streams] == [1_000_000] * 5


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("told", [False, True])
def test_content_of_any_length_has_one(threads: int, told: bool) -> None:
    def sized(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        # As PEP 3333 has it: who gets no CONTENT_LENGTH has no content.
        return [environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))]

    with served(sized, threads=threads, http="auto") as server, Client(server.port) as client:
        for size in (0, 10, 100_000, 10):
            length = [("content-length", str(size))] if told else []
            # The content in one packet with its head, and behind it.
            for together in (True, False):
                head = [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/"), *length]
                stream = client.begin_unsent(head)
                if not together:
                    client.flush()
                client.send(stream, b"z" * size, ends=True)
                assert client.wait(stream).body == b"z" * size


def test_files(serve: Callable[..., Any], tmp_path: Path) -> None:
    content = os.urandom(700_000)
    (tmp_path / "file.bin").write_bytes(content)

    def routes(app: App) -> None:
        app.static("/files", str(tmp_path))

    server = serve(routes, http="auto")
    with Client(server.port) as client:
        streams = [client.request("/files/file.bin") for _ in range(3)]
        assert all(client.wait(stream).body == content for stream in streams)
        part = client.get("/files/file.bin", ("range", "bytes=10-19"))
        assert (part.status, part.body) == (206, content[10:20])
        tag = client.get("/files/file.bin", ("range", "bytes=0-0")).field("etag")
        assert tag is not None
        assert client.get("/files/file.bin", ("if-none-match", tag)).status == 304


def test_the_access_log_names_the_version(serve: Callable[..., Any], capfd: Any) -> None:
    server = serve(lambda app: app.get("/", lambda res, _req: res.end("Hello")), http="auto", access_log="common")
    with Client(server.port) as client:
        client.get("/")
    assert '"GET / HTTP/2" 200 5' in said(capfd)
