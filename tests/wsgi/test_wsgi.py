"""The WSGI server over a real socket: PEP 3333, in the loop's thread and in a pool of threads."""

from __future__ import annotations

import asyncio
import io
import json
import threading
import time
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import httpx
import pytest
from app_servers import HTTP_2
from tls_files import Files
from websockets.sync.client import connect
from wsgi_server import TEXT, both, served

from socketify import Limits


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
    assert (got["REQUEST_METHOD"], got["SCRIPT_NAME"], got["SERVER_PROTOCOL"]) == (
        "GET",
        "",
        "HTTP/2" if HTTP_2 else "HTTP/1.1",
    )
    assert (got["HTTP_X_A"], got["CONTENT_TYPE"]) == ("1", "a/b")
    assert (got["REMOTE_ADDR"], got["SERVER_NAME"]) == ("127.0.0.1", "127.0.0.1")
    assert (got["SERVER_PORT"], got["HTTP_HOST"].partition(":")[2]) == (str(one.own_port), str(one.port))
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
    assert shown["SERVER_PROTOCOL"] == ("HTTP/2" if HTTP_2 else "HTTP/1.0")


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
