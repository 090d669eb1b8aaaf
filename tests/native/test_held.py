"""What was given to be sent is held, not copied, while clients take their time; and it may be longer than 2 GiB."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable

import pytest
from app_servers import TLS
from capabilities import FREE_THREADED
from resident import QUARANTINE, resident_bytes
from websocket_client import HANDSHAKE, KEY
from wsgi_server import served

from socketify import SSGI, OpCode

READERS = 24
BODY = os.urandom(1 << 16) * 256  # 16 MiB
#: A copy for each reader would be 384 MiB.
GROWTH_MAX = (80 << 20) + QUARANTINE
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def raw(port: int) -> socket.socket:
    """Connect with little room for what is not read."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    connection.settimeout(20)
    connection.connect(("127.0.0.1", port))
    return connection if TLS is None else TLS.client().wrap_socket(connection, server_hostname="localhost")


def content(connection: socket.socket) -> bytes:
    """Read a response to its end and give its body."""
    with connection, connection.makefile("rb") as stream:
        chunked = False
        while (line := stream.readline()) != b"\r\n":
            chunked |= line.lower().startswith(b"transfer-encoding")
        if not chunked:
            return stream.read()
        parts = []
        while size := int(stream.readline(), 16):
            parts.append(stream.read(size))
            stream.readline()
        return b"".join(parts)


@contextmanager
def slow_readers(port: int) -> Iterator[list[socket.socket]]:
    """Have many ask and not read; what that costs in memory is checked."""
    before = resident_bytes()
    readers = [raw(port) for _ in range(READERS)]
    try:
        for reader in readers:
            reader.sendall(REQUEST)
        for reader in readers:
            # The head is here: so the body was given.
            reader.recv(1)
        assert resident_bytes() - before < GROWTH_MAX
        yield readers
    finally:
        for reader in readers:
            reader.close()


def write_and_end(res: Any, _: Any) -> None:
    res.write(BODY).end()


async def write_and_drain(res: Any, _: Any) -> None:
    await res.write(BODY).drain()
    res.end()


def send(res: Any, _: Any) -> None:
    res.send(BODY, "application/octet-stream", 200, [("X-Y", "z")])


APP = {
    "end": lambda res, _: res.end(BODY),
    "end with fields": lambda res, _: res.write_header("X-Y", "z").end(BODY),
    "cork": lambda res, _: res.cork(lambda corked: corked.end(BODY)),
    "send": send,
    "write": write_and_end,
    "drain": write_and_drain,
}


@pytest.mark.parametrize("handler", APP.values(), ids=APP.keys())
def test_what_an_app_sends(serve: Callable[..., Any], handler: Any) -> None:
    server = serve(lambda app: app.get("/", handler))
    with slow_readers(server.port) as readers:
        rest = content(readers[0])
        assert rest == BODY


async def whole(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(BODY))]})
    await send({"type": "http.response.body", "body": BODY})


async def in_pieces(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": BODY, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def after_a_wait(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.sleep(0)
    await whole(scope, receive, send)


@pytest.mark.parametrize("application", [whole, in_pieces, after_a_wait])
def test_what_an_asgi_application_sends(serve_asgi: Callable[..., Any], application: Any) -> None:
    with slow_readers(serve_asgi(application).port) as readers:
        assert content(readers[0]) == BODY


in_clear = pytest.mark.skipif(TLS is not None, reason="these servers do not speak TLS")


@in_clear
def test_what_a_wsgi_application_sends() -> None:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Length", str(len(BODY)))])
        return [BODY]

    with served(application) as server, slow_readers(server.port) as readers:
        assert content(readers[0]) == BODY


@in_clear
def test_what_an_ssgi_application_sends() -> None:
    def application(*arguments: Any) -> None:
        arguments[-1].send(BODY)

    with served(application, SSGI) as server, slow_readers(server.port) as readers:
        assert content(readers[0]) == BODY


@pytest.mark.parametrize("publishes", [False, True])
def test_websocket_messages(serve: Callable[..., Any], publishes: bool) -> None:
    def on_open(ws: Any) -> None:
        ws.subscribe("all")
        if not publishes:
            ws.send(BODY, OpCode.BINARY)

    def build(app: Any) -> None:
        app.ws("/", {"open": on_open, "max_backpressure": 1 << 30})
        app.get("/publish", lambda res, _: res.end(str(app.publish("all", BODY, OpCode.BINARY))))

    server = serve(build)
    before = resident_bytes()
    # Their libraries read on their own: raw ones do not.
    readers = [raw(server.port) for _ in range(READERS)]
    for reader in readers:
        reader.sendall(HANDSHAKE % (b"websocket", b"Upgrade", KEY, b"13"))
        assert reader.recv(1) == b"H"
    if publishes:
        assert server.exchange(REQUEST.replace(b"/ ", b"/publish ")).endswith(b"True")
    with readers[-1].makefile("rb") as stream:
        while stream.readline() != b"\r\n":
            pass
        assert resident_bytes() - before < GROWTH_MAX
        assert stream.read(10) == b"\x82\x7f" + len(BODY).to_bytes(8, "big")
        assert stream.read(len(BODY)) == BODY
    for reader in readers:
        reader.close()


FALLBACK = """
import sys
from socketify.native import capabilities, lending
assert not capabilities.c_api
import pytest
failed = pytest.main(["-q", "-x", "tests/native/test_held.py", "-k", "app_sends or websocket"])
assert not lending._held, lending._held.keys()
sys.exit(failed)
"""


def test_the_same_by_ctypes() -> None:
    environment = {**os.environ, "PYTHONPATH": ".", "SOCKETIFY_CALLS": "ctypes"}
    command = [sys.executable, "-c", FALLBACK]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


SIZE = (2 << 30) + 12345
LARGE = """
import mmap, sys
from socketify import App
zeros = bytes(%d)
app = App()
app.get("/end", lambda res, _: res.end(zeros))
app.get("/write", lambda res, _: res.write(zeros).end())
app.listen(0, lambda config: print(config.port, flush=True))
app.run()
"""


@pytest.mark.parametrize("path", ["end", "write"])
def test_more_than_2_gib(path: str) -> None:
    """What is owed is longer than an int counts, and costs nothing: the bytes are pages of nothing."""
    environment = {**os.environ, "PYTHONPATH": "."}
    server = subprocess.Popen([sys.executable, "-c", LARGE % SIZE], stdout=subprocess.PIPE, text=True, env=environment)
    assert server.stdout is not None
    try:
        port = int(server.stdout.readline())
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.settimeout(20)
            connection.sendall(b"GET /%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % path.encode())
            buffer, got = bytearray(1 << 20), 0
            while count := connection.recv_into(buffer):
                got += count
        assert got > SIZE
        # PyPy fills the bytes, and so does the allocator of free-threaded CPython: they are in memory once.
        fills = sys.implementation.name == "pypy" or FREE_THREADED
        assert resident_bytes(server.pid) < (200 << 20) + (SIZE if fills else 0)
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
