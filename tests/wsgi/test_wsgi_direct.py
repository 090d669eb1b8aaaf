"""WSGI without Python between: what is shared stays whole, nothing is lost, and nothing an application keeps breaks."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
import threading
from typing import Any

import pytest
from capabilities import FREE_THREADED, counts_references
from websockets.sync.client import connect
from wsgi_server import Served, served

from socketify.wsgi.file import FileWrapper
from socketify.wsgi.input import NO_INPUT

REQUESTS = 5000
BATCH = 100


def load(one: Served, requests: int) -> int:
    """Send requests that resemble each other in different ways, some at once; give how many were answered."""
    answered = 0
    with one.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, requests, BATCH):
            batch = b"".join(
                b"GET /%d?%d HTTP/1.1\r\nHost: x\r\nCookie: a\r\nCookie: b\r\nX-%d: %d\r\n\r\n"
                % (number % 3, number % 5, start // BATCH % 4, start // BATCH % 2)
                for number in range(BATCH)
            )
            connection.sendall(batch)
            received = b""
            while received.count(b"HTTP/1.1 ") < BATCH or not received.endswith(b"$"):
                part = connection.recv(1 << 20)
                assert part
                received += part
            answered += received.count(b"HTTP/1.1 ")
    return answered


def plain(_environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"$"]


def computed(environ: Any, start_response: Any) -> list[bytes]:
    start_response("".join(["200", " OK"]), [("X-Path", environ["PATH_INFO"] + "!"), ("Content-Length", str(len("$")))])
    return [b"$"]


def wrong(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("X-A", "a\nb")] if environ["QUERY_STRING"] == "1" else [("X-A", "\u00e9")])
    return [b"$"]


def written(_environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Length", "2")])(b"$")
    return [b"$"]


def raising(_environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    raise LookupError("$")


def cyclic(environ: Any, start_response: Any) -> list[bytes]:
    environ["own"] = environ
    environ["start"] = start_response
    environ["write"] = start_response("200 OK", [])
    return [b"$"]


def generated(_environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("Content-Length", "1")])
    yield b"$"


@counts_references
@pytest.mark.parametrize("app", [plain, computed, written, cyclic, generated])
def test_references_stay_as_many_as_they_were(app: Any) -> None:
    shared: list[Any] = [NO_INPUT, FileWrapper, app, sys.stderr, "$", LookupError, asyncio._set_running_loop]
    shared += [sys.intern(key) for key in ("HTTP_COOKIE", "PATH_INFO", "REQUEST_METHOD", "HTTP_X_1", "wsgi.input", "GET")]
    with served(app) as one:

        def loaded() -> int:
            # Each second time free-threaded CPython gives back more than the time before. Elsewhere once will do: where Python
            # serves, what each new connection says is kept, up to a number.
            for _ in range(2 if FREE_THREADED else 1):
                assert load(one, REQUESTS) == REQUESTS
                gc.collect()
            return sys.getallocatedblocks()

        blocks = loaded()
        before = [sys.getrefcount(each) for each in shared]
        grown = loaded() - blocks
        after = [sys.getrefcount(each) for each in shared]
    # The server's thread may be in the middle of something.
    assert all(abs(new - old) <= 5 for old, new in zip(before, after)), list(zip(before, after))
    assert grown < REQUESTS / 20


@pytest.mark.skipif(not hasattr(sys, "getallocatedblocks"), reason="the interpreter does not tell how much it has in use")
@pytest.mark.parametrize("app", [wrong, raising])
def test_errors_leave_nothing(app: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")

    def tail(environ: Any, start_response: Any) -> Any:
        try:
            return app(environ, start_response)
        except (LookupError, ValueError):
            start_response("500 Wrong", [], sys.exc_info())
            return [b"$"]

    with served(tail) as one:
        load(one, 1000)
        gc.collect()
        blocks = sys.getallocatedblocks()
        assert load(one, REQUESTS) == REQUESTS
        gc.collect()
        assert sys.getallocatedblocks() - blocks < REQUESTS / 20


def test_functions_that_are_kept_know_that_their_request_is_over() -> None:
    kept: list[Any] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/keep":
            kept.append((start_response, start_response("200 OK", [])))
            return [b"kept"]
        start, write = kept[0]
        told = []
        try:
            start("200 OK", [])
        except AssertionError as error:
            told.append(str(error))
        try:
            start("500 Wrong", [], (LookupError, LookupError("mine"), None))
        except LookupError as error:
            told.append(str(error))
        write(b"too late")
        start_response("200 OK", [])
        return ["\n".join(told).encode()]

    with served(app) as one:
        assert one.ask("/keep").body == b"kept"
        lines = one.ask("/").body.decode().split("\n")
        assert lines == ["start_response was called before: only with exc_info can it be called again", "mine"]
        assert one.ask("/keep").body == b"kept"
    assert kept[0][0] is not kept[1][0]


def test_functions_of_requests_that_follow_each_other_work() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/lazy":

            def blocks() -> Any:
                yield str(start_response("201 Created", []) is not None).encode()

            return blocks()
        start_response(status="202 Accepted", headers=[("X-A", "b")], exc_info=None) if environ[
            "PATH_INFO"
        ] == "/named" else start_response("200 OK", [], None)
        return [b"now"]

    with served(app) as one:
        for _ in range(3):
            assert one.ask("/lazy")[::2] == (201, b"True")
            assert one.ask("/named").status == 202
            assert one.ask("/")[::2] == (200, b"now")


@pytest.mark.skipif(FREE_THREADED, reason="without the interpreter's lock it belongs to its thread")
def test_start_response_from_another_thread() -> None:
    def app(_environ: Any, start_response: Any) -> list[bytes]:
        thread = threading.Thread(target=start_response, args=("200 OK", [("X-Thread", "another")]))
        thread.start()
        thread.join()
        return [b"done"]

    with served(app) as one:
        for _ in range(3):
            answer = one.ask()
            assert (answer.status, answer.headers["x-thread"], answer.body) == (200, "another", b"done")


@pytest.mark.parametrize("spoiled", [[], [None] * 2, [1, 2, 3], ["a"] * 9])
def test_an_application_that_reaches_inside_harms_only_itself(spoiled: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")

    def app(environ: Any, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/spoil":
            start_response.__self__[:] = spoiled
        start_response("200 OK", [])
        return [b"fine"]

    with served(app) as one:
        for _ in range(2):
            assert one.ask("/spoil").status in (200, 500)
            assert one.ask("/").body == b"fine"


def test_a_loop_runs_for_websockets_but_not_for_the_application() -> None:
    def app(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return [b"hidden$"]
        return [b"running$"]

    async def sockets(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] == "websocket.receive":
            await asyncio.sleep(0)
            await send({"type": "websocket.send", "text": str(asyncio.get_running_loop().is_running())})

    with (
        served(app, websocket=sockets, lifespan=False) as one,
        connect(f"ws://127.0.0.1:{one.port}/") as websocket,
        one.connect() as http,
    ):
        for _ in range(200):
            http.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
            websocket.send("?")
            received = b""
            while received.count(b"hidden$") < 3:
                received += http.recv(65536)
                assert b"running$" not in received
            assert websocket.recv() == "True"
