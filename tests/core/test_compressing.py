"""Coders of responses in progress: whose turn it is, what they hold, and when they go."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import time
import weakref
from typing import Any, Callable, ClassVar

import httpx
import pytest
from app_servers import http_1_only
from content_codings import decoded
from resident import QUARANTINE, resident_bytes

import socketify.core.compressing as compressing_module
from socketify import App, Limits, Request, Response
from socketify.core.coders import new_coder
from socketify.native import abi

LARGE = b"A line of text, as it is found in many places.\n" * 100_000


class Watched:
    """A coder whose life and work a test sees."""

    living: ClassVar[weakref.WeakSet[Any]] = weakref.WeakSet()
    #: Bytes that all of them were given.
    given = 0
    fails_after = 2**63

    def __init__(self, level: int) -> None:
        self._coder = new_coder("gzip")(level)
        Watched.living.add(self)

    def code(self, data: bytes, operation: int) -> bytes:
        Watched.given += len(data)
        if Watched.given > Watched.fails_after:
            message = "this coder is broken"
            raise ValueError(message)
        return self._coder.code(data, operation)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> type[Watched]:
    monkeypatch.setattr(compressing_module, "new_coder", lambda _coding: Watched)
    monkeypatch.setattr(Watched, "given", 0)
    Watched.living.clear()
    return Watched


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        gc.collect()
        time.sleep(0.01)


async def stream(res: Response, _req: Request) -> None:
    left = asyncio.Event()
    res.on_aborted(lambda _res: left.set())
    res.write_header("Content-Type", "text/plain").write(b"x" * 2000)
    await left.wait()


@http_1_only("the log has one line in the order in which streams end, too, which the face may change")
def test_others_have_their_turn_while_large_content_is_compressed(serve: Callable[..., Any]) -> None:
    """The access log has a line when a response ends."""
    ended: list[str] = []
    waiting: list[Response] = []

    def large(res: Response, _req: Request) -> None:
        res.send(LARGE)
        asyncio.get_running_loop().call_soon(waiting.pop().end, "short")

    def build(app: App) -> None:
        app.get("/large", large).get("/short", lambda res, _req: (waiting.append(res), res.on_aborted(lambda _res: None)))
        app.get("/ended", lambda res, _req: res.end(ended))

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            ended.append(record.getMessage())

    logger = logging.Logger("lines")
    logger.addHandler(Lines())
    server = serve(build, compress_responses=True, access_log="%(U)s", access_log_file=logger)
    with server.connect() as short:
        short.sendall(b"GET /short HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: bool(waiting))
        got = httpx.get(server.url + "/large", headers={"accept-encoding": "gzip"})
        assert got.content == LARGE
        assert short.recv(65536).endswith(b"short")
        wait_for(lambda: len(ended) == 2)
    assert ended == ["/short", "/large"]


def test_a_client_that_leaves_frees_the_coder(serve: Callable[..., Any], watched: type[Watched]) -> None:
    def build(app: App) -> None:
        app.get("/stream", stream).get("/large", lambda res, _req: res.send(os.urandom(30_000_000).hex()))

    server = serve(build, compress_responses=True)
    for path in ("/stream", "/large"):
        with server.connect() as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n".encode())
            assert connection.recv(1)
            assert len(watched.living) == 1
        wait_for(lambda: not watched.living)


def test_complete_responses_leave_no_coder(serve: Callable[..., Any], watched: type[Watched]) -> None:
    def build(app: App) -> None:
        app.get("/whole", lambda res, _req: res.send(LARGE[:9000])).get("/large", lambda res, _req: res.send(LARGE))

    server = serve(build, compress_responses=True)
    for path in ("/whole", "/large"):
        assert httpx.get(server.url + path, headers={"accept-encoding": "gzip"}).content.startswith(LARGE[:9000])
        wait_for(lambda: not watched.living)


def test_what_a_client_does_not_read_is_not_compressed(serve: Callable[..., Any], watched: type[Watched]) -> None:
    content = os.urandom(50_000_000).hex()
    server = serve(
        lambda app: app.get("/", lambda res, _req: res.send(content)).get("/ask", lambda res, _req: res.end("asked")),
        compress_responses=True,
    )
    with server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")
        assert connection.recv(1)
        given, same = -1, 0
        with httpx.Client() as client:
            while same < 5:
                assert client.get(server.url + "/ask").text == "asked"
                same = same + 1 if watched.given == given else 0
                given = watched.given
        # What the buffers of both kernels hold.
        assert 0 < given < len(content) / 2


def test_a_client_that_reads_nothing_is_cut(serve: Callable[..., Any], watched: type[Watched]) -> None:
    """Also where the kernel took the last piece as a whole, so that nothing coded waits."""
    content = os.urandom(20_000_000).hex()
    server = serve(
        lambda app: app.get("/", lambda res, _req: res.send(content)), compress_responses=True, limits=Limits(write_timeout=1)
    )
    with server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")
        assert connection.recv(1)
        wait_for(lambda: not watched.living)
        assert watched.given < len(content)


@pytest.mark.parametrize("path", ["/whole", "/large", "/stream"])
def test_a_coder_that_fails_ends_the_response(
    serve: Callable[..., Any],
    watched: type[Watched],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    path: str,
) -> None:
    monkeypatch.setattr(watched, "fails_after", 1000)

    def build(app: App) -> None:
        app.get("/whole", lambda res, _req: res.send(LARGE[:9000])).get("/large", lambda res, _req: res.send(LARGE))
        app.get("/stream", stream).get("/small", lambda res, _req: res.end("works"))

    server = serve(build, compress_responses=True)
    with pytest.raises(httpx.HTTPError):
        httpx.get(server.url + path, headers={"accept-encoding": "gzip"})
    assert httpx.get(server.url + "/small").text == "works"
    wait_for(lambda: "compressing a response failed" in caplog.text and "this coder is broken" in caplog.text)


WEBSOCKET = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {'A' * 22}==\r\n"


@http_1_only("HTTP/2 bounds what a request may say of it")
@pytest.mark.skipif(QUARANTINE > 0, reason="AddressSanitizer keeps what is freed")
@pytest.mark.parametrize(
    ("path", "fields", "status"), [("/ws", WEBSOCKET, b"101"), ("/text", "", b"200"), ("/nowhere", "", b"404")]
)
def test_a_connection_that_has_its_answer_keeps_nothing_of_what_was_accepted(
    serve: Callable[..., Any], path: str, fields: str, status: bytes
) -> None:
    size, count = 500_000, 40
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\n{fields}Accept-Encoding: gzip, {'x' * size}\r\n\r\n".encode()

    def build(app: Any) -> None:
        app.ws("/ws", {"message": lambda *_: None}).get("/text", lambda res, req: res.end("a" * 2000))

    server = serve(build, compress_responses=True, limits=Limits(max_header_bytes=2 * size))
    with contextlib.ExitStack() as opened:
        for number in range(count):
            connection = opened.enter_context(server.connect())
            connection.sendall(head)
            assert connection.recv(4000).startswith(b"HTTP/1.1 " + status)
            if number == 0:
                before = resident_bytes()
        assert resident_bytes() - before < count * size / 2


def test_coders_that_work_piece_by_piece() -> None:
    for coding, level in (("gzip", 1), ("br", 1), ("zstd", 1)):
        coder = new_coder(coding)(level)
        pieces = [coder.code(b"one", abi.CODE_MORE), coder.code(b"", abi.CODE_FLUSH), coder.code(b"two", abi.CODE_END)]
        assert decoded(coding, b"".join(pieces)) == b"onetwo"
