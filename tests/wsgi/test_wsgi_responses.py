"""Responses of the WSGI server: lengths, streams, files, heads."""

from __future__ import annotations

import http.client
import io
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest
from app_servers import HTTP_2
from wsgi_server import TEXT, both, served


@both
def test_length_of_one_block_is_counted(threads: int) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 Fine", TEXT)
        return {"/list": [b"abc"], "/tuple": (b"abc",), "/set": {b"abc"}, "/two": [b"ab", b"c"]}[environ["PATH_INFO"]]

    with served(app, threads=threads) as one:
        for target in ("/list", "/tuple", "/set", "/two"):
            got = one.ask(target)
            assert (got.headers.get("content-length"), got.body) == ("3", b"abc")
        status = b"HTTP/1.1 200 OK\r\n" if HTTP_2 else b"HTTP/1.1 200 Fine\r\n"
        assert one.raw(b"GET /list HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").startswith(status)


@both
def test_generator_is_streamed(threads: int) -> None:
    go_on = threading.Event()

    def app(_environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        yield b""
        yield b"first"
        if threads > 1:
            assert go_on.wait(10)
        yield b"second"

    with served(app, threads=threads) as one:
        connection = http.client.HTTPConnection("127.0.0.1", one.port, timeout=10)
        connection.request("GET", "/")
        response = connection.getresponse()
        assert response.getheader("transfer-encoding") == "chunked"
        assert response.read(5) == b"first"
        go_on.set()
        assert response.read() == b"second"
        connection.close()
        old = one.raw(b"GET / HTTP/1.0\r\n\r\n")
        assert old.endswith(b"\r\n\r\nfirstsecond")
        assert b"chunked" not in old


@both
def test_client_slower_than_the_generator(threads: int) -> None:
    made: list[int] = []
    closed = threading.Event()

    class Blocks:
        def __iter__(self) -> Any:
            for number in range(2000):
                made.append(number)
                yield b"x" * 100_000

        def close(self) -> None:
            closed.set()

    def app(_environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        return Blocks()

    with served(app, threads=threads) as one:
        with one.connect() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            connection.recv(1000)
            time.sleep(0.3)
            # The kernel's buffers and no more.
            assert len(made) < 1000
            assert not closed.is_set()
        assert closed.wait(10)
        assert len(made) < 1000


@both
def test_large_bodies_arrive_whole(threads: int) -> None:
    data = bytes(range(256)) * 40_000

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        return {"/one": [data], "/two": (data, data), "/each": iter([data, b"!"])}[environ["PATH_INFO"]]

    with served(app, threads=threads) as one:
        assert one.ask("/one").headers["content-length"] == str(len(data))
        assert one.ask("/one").body == data
        assert one.ask("/two").body == data + data
        assert one.ask("/each").body == data + b"!"


@both
def test_write(threads: int) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        write = start_response("200 OK", TEXT if environ["PATH_INFO"] == "/" else [*TEXT, ("Content-Length", "4")])
        write(b"ab")
        write(b"")
        try:
            write(b"cdef")
        except ValueError as error:
            return [str(error).encode()]
        return [b"gh"]

    with served(app, threads=threads) as one:
        assert one.ask("/").body == b"abcdefgh"
        assert one.ask("/sized").body == b"abcd"


@both
@pytest.mark.parametrize(
    ("declared", "blocks", "body"),
    [(3, [b"abc"], b"abc"), (3, [b"abcdef"], b"abc"), (3, [b"ab", b"cd"], b"abc"), (0, [b"ab"], b""), (0, [], b"")],
)
def test_content_length_is_kept(threads: int, declared: int, blocks: list[bytes], body: bytes) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [*TEXT, ("content-length", str(declared))])
        return blocks if environ["PATH_INFO"] == "/" else iter(blocks)

    with served(app, threads=threads) as one:
        for target in ("/", "/iterator"):
            got = one.ask(target)
            assert (got.headers["content-length"], got.body) == (str(declared), body)
            got = one.ask(target, "HEAD")
            assert (got.headers["content-length"], got.body) == (str(declared), b"")


@both
@pytest.mark.parametrize("target", ["/", "/iterator"])
def test_body_that_is_too_short_cuts_the_connection(threads: int, target: str) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [*TEXT, ("Content-Length", "10")])
        return [b"abc"] if environ["PATH_INFO"] == "/" else iter([b"abc"])

    with served(app, threads=threads) as one:
        with pytest.raises(http.client.HTTPException):
            one.ask(target)
        assert one.ask(target, "HEAD").headers["content-length"] == "10"


@both
def test_head(threads: int) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        return {"/list": [b"abc"], "/empty": [], "/iterator": iter([b"abc"])}[environ["PATH_INFO"]]

    with served(app, threads=threads) as one:
        assert one.ask("/list", "HEAD").headers["content-length"] == "3"
        assert "content-length" not in one.ask("/iterator", "HEAD").headers
        assert one.ask("/empty", "HEAD").body == b""
        assert one.ask("/empty").headers["content-length"] == "0"


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_statuses_without_a_body(status: str) -> None:
    def app(_environ: dict[str, Any], start_response: Any) -> Any:
        start_response(status, [("ETag", '"x"')])
        return []

    with served(validator(app)) as one:
        got = one.ask()
        assert (got.status, got.body, got.headers.get("content-length")) == (int(status[:3]), b"", None)


def test_server_and_date() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        own = [("Server", "mine"), ("Date", "Thu, 01 Jan 1970 00:00:00 GMT")]
        start_response("200 OK", TEXT if environ["PATH_INFO"] == "/" else TEXT + own)
        return [b"x"]

    with served(app) as one:
        got = one.ask("/").headers
        assert got["server"] == "socketify"
        assert got["date"].endswith(" GMT")
        raw = one.raw(b"GET /own HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert raw.count(b"Server: ") == raw.count(b"Date: ") == 1
        assert b"Server: mine\r\n" in raw
    with served(app, server_header=None, date_header=False) as one:
        got = one.ask("/").headers
        assert "server" not in got
        assert "date" not in got


@both
def test_file_wrapper(threads: int, tmp_path: Path) -> None:
    data = bytes(range(256)) * 8000
    (tmp_path / "f").write_bytes(data)
    closed: list[str] = []

    class File(io.BytesIO):
        def close(self) -> None:
            closed.append("memory")
            super().close()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        wrap = environ["wsgi.file_wrapper"]
        target = environ["PATH_INFO"]
        start_response("200 OK", [*TEXT, ("Content-Length", "1000")] if target == "/part" else TEXT)
        if target == "/memory":
            return wrap(File(data), 1000)
        file = (tmp_path / "f").open("rb")
        file.seek(100)
        return wrap(file)

    with served(validator(app), threads=threads) as one:
        # The validator hides the wrapper: the file is read as any other iterable.
        assert one.ask("/").body == data[100:]
    with served(app, threads=threads) as one:
        got = one.ask("/")
        assert (got.body, got.headers["content-length"]) == (data[100:], str(len(data) - 100))
        assert one.ask("/", "HEAD").headers["content-length"] == str(len(data) - 100)
        assert one.ask("/part").body == data[100:1100]
        assert one.ask("/memory").body == data
        assert closed


@both
def test_client_that_leaves_during_a_file(threads: int) -> None:
    closed = threading.Event()

    class File:
        def __init__(self, file: Any) -> None:
            self.fileno, self.tell, self.read = file.fileno, file.tell, file.read
            self.file = file

        def close(self) -> None:
            self.file.close()
            closed.set()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the server closes it
        file.truncate(100_000_000)
        start_response("200 OK", TEXT)
        return environ["wsgi.file_wrapper"](File(file))

    with served(app, threads=threads) as one:
        with one.connect() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            connection.recv(1000)
            time.sleep(0.1)
            # A thread of the pool waits for no client: the server has a descriptor of its own.
            assert closed.is_set() == (threads > 1)
        assert closed.wait(10)
