"""A process that may have no more memory: what asks for more fails, and the server goes on."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
MIB = 1024 * 1024
#: Serves, from /limit on with so many MiB more than it has then.
PROGRAM = """
import resource, sys
from socketify import App

app = App()
kept = []

def large(res, req):
    res.end(bytes(12 << 20))

async def pieces(res, req):
    for _ in range(8):
        res.write(bytes(4 << 20))
        await res.drain()
    res.end(b"")

async def late(res, req):
    kept.append(res)

app.get("/", lambda res, req: res.end("fine"))
app.get("/large", large)
app.get("/pieces", pieces)
app.post("/late", late)
app.ws("/ws", {"max_payload_length": 1 << 30, "message": lambda ws, message, opcode: ws.send(message[:2])})

def limit(res, req):
    with open("/proc/self/statm") as statm:
        pages = int(statm.read().split()[0])
    most = pages * resource.getpagesize() + (int(sys.argv[1]) << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    res.end("limited")

# Asked for first: what a first connection needs, there is.
app.get("/limit", limit)
app.listen(0, lambda config: print(config.port, flush=True))
app.run()
"""


@contextlib.contextmanager
def limited(mebibytes: int) -> Iterator[int]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PROGRAM, str(mebibytes)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        assert line, process.stderr.read()
        try:
            port = int(line)
            assert httpx.get(f"http://127.0.0.1:{port}/limit").text == "limited"
            yield port
            assert process.poll() is None, process.stderr.read()
        finally:
            # Not what stopping does is looked at here: clients that do not read hold it.
            process.kill()
            process.communicate()


def opened(port: int) -> socket.socket:
    connection = socket.socket()
    # Small, so that what is not read stays with the server.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    connection.settimeout(10)
    connection.connect(("127.0.0.1", port))
    return connection


def send_what_is_taken(connection: socket.socket, data: bytes) -> None:
    # The server closes where it has no memory.
    with contextlib.suppress(ConnectionError, TimeoutError):
        connection.sendall(data)


@pytest.mark.parametrize("path", ["/large", "/pieces"])
def test_large_answers_to_clients_that_do_not_read(path: str) -> None:
    with limited(60) as port, contextlib.ExitStack() as stack:
        for _ in range(12):
            connection = stack.enter_context(opened(port))
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        for _ in range(3):
            assert httpx.get(f"http://127.0.0.1:{port}/").text == "fine"


def test_large_messages_in_pieces() -> None:
    handshake = b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    handshake += b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    with limited(60) as port, contextlib.ExitStack() as stack:
        for _ in range(6):
            connection = stack.enter_context(opened(port))
            connection.sendall(handshake)
            assert b" 101 " in connection.recv(4096)
            # A message of 64 MiB, of which 24 come.
            send_what_is_taken(connection, b"\x82\xff" + struct.pack(">Q", 64 * MIB) + bytes(4))
            send_what_is_taken(connection, bytes(24 * MIB))
        for _ in range(3):
            assert httpx.get(f"http://127.0.0.1:{port}/").text == "fine"
        with opened(port) as connection:
            connection.sendall(handshake)
            assert b" 101 " in connection.recv(4096)
            connection.sendall(b"\x82\x82\x00\x00\x00\x00ok")
            assert connection.recv(4096) == b"\x82\x02ok"


def test_uploads_that_nobody_reads_yet() -> None:
    with limited(30) as port, contextlib.ExitStack() as stack:
        for _ in range(200):
            connection = stack.enter_context(opened(port))
            connection.setblocking(False)
            with contextlib.suppress(OSError):
                connection.sendall(b"POST /late HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + bytes(600_000))
        for _ in range(3):
            assert httpx.get(f"http://127.0.0.1:{port}/", timeout=10).text == "fine"
