"""The WSGI server over a real socket: PEP 3333, in the loop's thread and in a pool of threads."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import logging
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import httpx
import pytest
from tls_files import Files
from websockets.sync.client import connect
from wsgi_server import served

from socketify import WSGI, Limits

TEXT = [("Content-Type", "text/plain")]
both = pytest.mark.parametrize("threads", [1, 3])


def show_environ(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    shown = {key: value for key, value in environ.items() if isinstance(value, (str, bool, tuple))}
    start_response("200 OK", TEXT)
    return [json.dumps(shown).encode()]


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    size = int(environ.get("CONTENT_LENGTH") or 0)
    data = environ["wsgi.input"].read(size)
    start_response("200 OK", TEXT)
    return [data]


@both
def test_environ(threads: int) -> None:
    with served(show_environ, threads=threads) as one:
        got = json.loads(one.ask("/a%20b/%C3%A9%2Fx?q=1&r=%20", headers={"X-A": "1", "Content-Type": "a/b"}).body)
    assert got["PATH_INFO"] == "/a b/\xc3\xa9/x"
    assert got["QUERY_STRING"] == "q=1&r=%20"
    assert got["REQUEST_URI"] == "/a%20b/%C3%A9%2Fx?q=1&r=%20"
    assert (got["REQUEST_METHOD"], got["SCRIPT_NAME"], got["SERVER_PROTOCOL"]) == ("GET", "", "HTTP/1.1")
    assert (got["HTTP_X_A"], got["CONTENT_TYPE"]) == ("1", "a/b")
    assert (got["REMOTE_ADDR"], got["SERVER_NAME"]) == ("127.0.0.1", "127.0.0.1")
    assert got["SERVER_PORT"] == str(one.port) == got["HTTP_HOST"].partition(":")[2]
    assert 0 < int(got["REMOTE_PORT"]) < 65536
    assert got["wsgi.url_scheme"] == "http"
    assert got["wsgi.version"] == [1, 0]
    assert (got["wsgi.multithread"], got["wsgi.multiprocess"], got["wsgi.run_once"]) == (threads > 1, False, False)
    assert got["wsgi.input_terminated"] is True
    assert "HTTP_CONTENT_TYPE" not in got
    assert "CONTENT_LENGTH" not in got


def test_repeated_and_dangerous_fields() -> None:
    with served(show_environ) as one:
        got = one.raw(
            b"GET / HTTP/1.0\r\nHost: h\r\nX-A: 1\r\nx-a: 2\r\nCookie: a=1\r\nCookie: b=2\r\nX_A: 3\r\nProxy: evil\r\n\r\n"
        )
    shown = json.loads(got.partition(b"\r\n\r\n")[2])
    assert shown["HTTP_X_A"] == "1,2"
    assert shown["HTTP_COOKIE"] == "a=1; b=2"
    assert "HTTP_PROXY" not in shown
    assert shown["SERVER_PROTOCOL"] == "HTTP/1.0"


def test_mount() -> None:
    with served(show_environ, root_path="/api") as one:
        for target, path in (("/api/x", "/x"), ("/api", ""), ("/x", "/x"), ("/apix", "/apix"), ("/api/", "/")):
            got = json.loads(one.ask(target).body)
            assert (got["SCRIPT_NAME"], got["PATH_INFO"]) == ("/api", path)


def test_unix_socket(tmp_path: Path) -> None:
    with served(validator(show_environ), unix=str(tmp_path / "s")) as one:
        got = json.loads(one.ask("/x").body)
    assert (got["REMOTE_ADDR"], got["SERVER_NAME"], got["SERVER_PORT"]) == ("", "localhost", "80")


@both
def test_tls(threads: int, tmp_path: Path) -> None:
    files = Files(tmp_path)
    data = bytes(range(256)) * 8000

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        body = environ["wsgi.input"].read()
        start_response("200 OK", [*TEXT, ("X-Scheme", environ["wsgi.url_scheme"])])
        return iter([body, data])

    with served(app, options=files.options(), threads=threads) as one:
        url = f"https://localhost:{one.port}/"
        with httpx.Client(verify=files.client()) as client:
            got = client.post(url, content=data)
    assert got.content == data * 2
    assert got.headers["x-scheme"] == "https"


def test_requests_do_not_share_an_environ() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen = "mark" in environ
        environ["mark"] = True
        environ.pop("wsgi.errors")
        start_response("200 OK", TEXT)
        return [str(seen).encode()]

    with served(app) as one:
        assert [one.ask().body for _ in range(3)] == [b"False"] * 3


@both
@pytest.mark.parametrize("size", [0, 1, 1000, 300_000, 3_000_000])
def test_input(threads: int, size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    with served(validator(echo), threads=threads) as one:
        assert one.ask(method="POST", body=data[:size]).body == data[:size]
        # Chunked, of a length that nobody knew: CONTENT_LENGTH says it all the same.
        got = one.ask(
            method="POST", body=iter([data[:size], b"!"]), encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
        )
        assert got.body == data[:size] + b"!"


@pytest.mark.parametrize("repeats", [1, 200_000])
def test_input_by_lines(repeats: int) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        given = environ["wsgi.input"]
        seen = [given.readline(), given.readline(1), given.read(2), given.readlines(1)[0], *given]
        start_response("200 OK", TEXT)
        return [str((seen[:4], len(seen), given.read())).encode()]

    with served(app) as one:
        got = one.ask(method="POST", body=b"first\nsecond\nthird\n" + b"more\n" * repeats)
    assert got.body.decode() == str(([b"first\n", b"s", b"ec", b"ond\n"], 5 + repeats, b""))


def test_input_without_a_body() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        given = environ["wsgi.input"]
        seen = (given.read(), given.read(5), given.readline(), given.readlines(), list(given))
        start_response("200 OK", TEXT)
        return [str(seen).encode(), io.TextIOWrapper(io.BufferedReader(given)).read().encode()]

    with served(app) as one:
        assert one.ask().body == b"(b'', b'', b'', [], [])"
        assert one.ask().body == b"(b'', b'', b'', [], [])"


@both
def test_client_that_leaves_during_its_body_is_never_seen(threads: int) -> None:
    calls: list[str] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        calls.append(environ["REQUEST_METHOD"])
        start_response("200 OK", TEXT)
        return [b"ok"]

    with served(app, threads=threads) as one:
        with one.connect() as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
        assert one.ask().body == b"ok"
    assert calls == ["GET"]


def test_expect_continue() -> None:
    with served(echo) as one, one.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"abc")
        assert connection.recv(1000).endswith(b"\r\n\r\nabc")


def test_body_beyond_the_limit() -> None:
    with served(echo, limits=Limits(max_body_size=10)) as one:
        assert one.ask(method="POST", body=b"x" * 11).status == 413


# ---- responses


@both
def test_length_of_one_block_is_counted(threads: int) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 Fine", TEXT)
        return {"/list": [b"abc"], "/tuple": (b"abc",), "/set": {b"abc"}, "/two": [b"ab", b"c"]}[environ["PATH_INFO"]]

    with served(app, threads=threads) as one:
        for target in ("/list", "/tuple", "/set", "/two"):
            got = one.ask(target)
            assert (got.headers.get("content-length"), got.body) == ("3", b"abc")
        assert one.raw(b"GET /list HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 200 Fine\r\n")


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
            assert not closed.is_set()
        assert closed.wait(10)


# ---- what goes wrong


@both
def test_errors(threads: int, caplog: pytest.LogCaptureFixture) -> None:
    closes: list[str] = []

    class Result:
        def __init__(self, name: str, blocks: Any) -> None:
            self.name, self.blocks = name, blocks

        def __iter__(self) -> Any:
            yield from self.blocks
            message = self.name
            raise LookupError(message)

        def close(self) -> None:
            closes.append(self.name)

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        name = environ["PATH_INFO"]
        if name == "/app":
            raise LookupError(name)
        if name == "/no-start":
            return [b"x"]
        start_response("200 OK", TEXT)
        if name == "/twice":
            start_response("200 OK", TEXT)
        wrong: dict[str, Any] = {"/text": ["text"], "/late-text": iter([b"x", "text"]), "/none": None}
        return wrong[name] if name in wrong else Result(name, [] if name == "/first" else [b"x"])

    with caplog.at_level(logging.ERROR, "socketify"), served(app, threads=threads) as one:
        for name in ("/app", "/no-start", "/twice", "/text", "/none", "/first"):
            got = one.ask(name)
            assert (got.status, got.body) == (500, b"Internal Server Error"), name
        for name in ("/late-text", "/later"):
            with pytest.raises(http.client.HTTPException):
                one.ask(name)
    assert closes == ["/first", "/later"]
    assert len(caplog.records) == 8


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        ("200", "X"),
        (b"200 OK", []),
        ("2000", []),
        ("100 Continue", []),
        ("abc", []),
        ("200 OK\r\nX: y", []),
        ("200 OK", (("A", "b"),)),
        ("200 OK", [["A", "b"]]),
        ("200 OK", [("A", "b", "c")]),
        ("200 OK", [("A", b"b")]),
        ("200 OK", [("A", 1)]),
        ("200 OK", [("A b", "c")]),
        ("200 OK", [("A", "b\r\nC: d")]),
        ("200 OK", [("A", "b\nC\nd")]),
        ("200 OK", [("A", "\u20ac")]),
        ("200 OK", [("Content-Length", "x")]),
        ("200 OK", [("Content-Length", "1"), ("Content-Length", "2")]),
    ],
)
def test_start_response_refuses(status: Any, headers: Any) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        # What looks the same when it is joined was used before.
        if environ["PATH_INFO"] == "/good":
            start_response("200 OK", [("A", "b"), ("C", "d")])
            return [b"good"]
        with pytest.raises((TypeError, ValueError)):
            start_response(status, headers)
        start_response("200 OK", TEXT)
        return [b"refused"]

    with served(app) as one:
        assert one.ask("/good").body == b"good"
        assert one.ask().body == b"refused"


@both
def test_exc_info(threads: int) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [*TEXT, ("X-Old", "1")])
        if environ["PATH_INFO"] == "/late":
            yield b"begun"
        try:
            raise LookupError("x")
        except LookupError:
            start_response("503 Down", [*TEXT, ("X-New", "1")], sys.exc_info())
        yield b"replaced"

    with served(app, threads=threads) as one:
        got = one.ask()
        assert (got.status, got.body, "x-old" in got.headers, "x-new" in got.headers) == (503, b"replaced", False, True)
        with pytest.raises(http.client.IncompleteRead):
            one.ask("/late")


def test_hop_by_hop_fields_are_the_servers_own() -> None:
    def app(_environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [*TEXT, ("Keep-Alive", "x"), ("Transfer-Encoding", "chunked"), ("Connection", "close")])
        return [b"x"]

    with served(app) as one:
        got = one.raw(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert b"Keep-Alive" not in got
        assert b"chunked" not in got
        assert got.count(b"Connection: close") == 1


def test_error_handler_and_debug() -> None:
    def app(_environ: dict[str, Any], _start_response: Any) -> Any:
        raise LookupError("told")

    server = WSGI(app)
    with pytest.raises(ValueError, match="threads"):
        WSGI(app, threads=0)
    with pytest.raises(ValueError, match="websocket=True"):
        WSGI(app, websocket=True)
    with pytest.raises(TypeError, match="app must be callable"):
        WSGI(None)
    server.close()
    with served(app, debug=True) as one:
        assert b"LookupError: told" in one.ask().body


# ---- threads


def test_blocking_application_stops_no_other() -> None:
    release = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/wait":
            assert release.wait(10)
        start_response("200 OK", TEXT)
        return [threading.current_thread().name.encode()]

    with served(app, threads=2) as one:
        waiting = threading.Thread(target=one.ask, args=("/wait",))
        waiting.start()
        for _ in range(20):
            assert one.ask().body.startswith(b"socketify-wsgi-")
        release.set()
        waiting.join(10)
        assert not waiting.is_alive()


@both
def test_application_may_run_a_loop_of_its_own(threads: int) -> None:
    async def answer() -> bytes:
        await asyncio.sleep(0.001)
        return b"async"

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        if environ["PATH_INFO"] == "/":
            return [asyncio.run(answer())]
        return (asyncio.run(answer()) for _ in range(100))

    with served(app, threads=threads) as one:
        assert one.ask().body == b"async"
        assert one.ask("/each").body == b"async" * 100
        assert one.ask().body == b"async"


@both
def test_pipelined_requests_keep_their_order(threads: int) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        return [environ["PATH_INFO"].encode()] if environ["PATH_INFO"] < "/5" else iter([environ["PATH_INFO"].encode()])

    with served(app, threads=threads) as one:
        requests = [b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number for number in range(9)]
        got = one.raw(b"".join(requests) + b"GET /9 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert [got.find(b"/%d" % number, got.find(b"\r\n\r\n")) for number in range(10)] == sorted(
        got.find(b"/%d" % number, got.find(b"\r\n\r\n")) for number in range(10)
    )
    assert got.count(b"HTTP/1.1 200") == 10


@both
def test_stop_lets_responses_finish(threads: int) -> None:
    begun = threading.Event()

    def app(_environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        begun.set()
        for _ in range(5):
            time.sleep(0.02)
            yield b"x"

    answers: list[bytes] = []
    with served(app, threads=threads) as one:
        client = threading.Thread(target=lambda: answers.append(one.ask().body))
        client.start()
        assert begun.wait(10)
    client.join(10)
    assert answers == [b"xxxxx"]


def test_websockets_beside_wsgi() -> None:
    with served(show_environ, websocket={"message": lambda ws, message, opcode: ws.send(message, opcode)}) as one:
        assert one.ask().status == 200
        with connect(f"ws://127.0.0.1:{one.port}/") as ws:
            ws.send("hello")
            assert ws.recv() == "hello"
