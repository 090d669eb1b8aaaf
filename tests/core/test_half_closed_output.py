"""Clients that end their half, or whose connection ends while more of theirs arrives, on both backends."""

from __future__ import annotations

import pytest
from backends import environment, needs_io_uring
from server_programs import Program

PROGRAM = """
import asyncio, random
from socketify import App, Limits

CONTENT = random.Random(1).randbytes(1 << 20)
ended = []

async def unread(res, req):
    # An Event of CPython 3.9 would belong to the loop of the moment in which it is made.
    while not ended:
        await asyncio.sleep(0.01)
    res.end("unread", end_connection=True)

def end_unread(res, req):
    ended.append(True)
    res.end("ends")

async def pieces(res, req):
    res.write_header("Content-Type", "text/plain")
    for _ in range(4):
        res.write(CONTENT)
    res.end(b"last")

def tried(res, req):
    def go_on(res, offset):
        return res.try_end(CONTENT[offset:], len(CONTENT))[0]

    res.write_header("Content-Type", "text/plain").on_aborted(lambda res: None)
    if not res.try_end(CONTENT, len(CONTENT))[1]:
        res.on_writable(go_on)

app = App(compress_responses=True, limits=Limits(response_timeout=5))
app.post("/unread", unread).get("/end", end_unread).get("/pieces", pieces).get("/tried", tried)
app.listen(0, lambda config: print(config.port, flush=True)).run()
"""

each_backend = pytest.mark.parametrize("backend", ["epoll", pytest.param("io_uring", marks=needs_io_uring)])


def read_to_end(connection: object) -> bytes:
    return b"".join(iter(lambda: connection.recv(1 << 18), b""))  # type: ignore[attr-defined]


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n".encode()


@each_backend
def test_input_that_was_kept_goes_with_its_connection(backend: str) -> None:
    """Of a body that nobody reads, more has arrived than is kept for the handler when its answer ends the connection."""
    head = b"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n"
    with Program(PROGRAM, env=environment(backend)) as program:
        waiting = [program.connect(head) for _ in range(20)]
        for connection in waiting:
            for _ in range(50):
                connection.sendall(bytes(3000))
        with program.connect(get("/end")) as other:
            assert other.recv(1000).endswith(b"ends")
        for connection in waiting:
            with connection:
                assert connection.recv(1000).endswith(b"unread")
        with program.connect(get("/end")) as other:
            assert other.recv(1000).endswith(b"ends")


@each_backend
@pytest.mark.parametrize("paths", [("/pieces", "/tried"), ("/tried", "/tried"), ("/tried", "/pieces", "/end")])
def test_who_ends_their_half_gets_all_that_is_compressed_meanwhile(backend: str, paths: tuple[str, ...]) -> None:
    with Program(PROGRAM, env=environment(backend)) as program, program.connect(b"".join(map(get, paths))) as connection:
        connection.shutdown(1)
        received = read_to_end(connection)
        assert received.count(b"HTTP/1.1 200 OK\r\n") == len(paths)
        assert received.endswith(b"ends" if paths[-1] == "/end" else b"\r\n0\r\n\r\n")
