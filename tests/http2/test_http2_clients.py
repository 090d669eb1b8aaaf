"""Clients that others wrote, over real sockets, with the state machine behind them: nghttp2's nghttp and h2load, and curl."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator

import pytest
from http2_machine import Event, Machine, library

SIZE = 300_000


class Server:
    """Echoes uploads, sends SIZE bytes for /large, a few otherwise."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.bodies: dict[int, bytes] = {}
        self.pending: dict[int, bytes] = {}

    def handle(self, event: Event) -> None:
        if event.kind == "request":
            short = b"hello" if event.method == b"GET" else b""
            self.bodies[event.stream] = b"x" * SIZE if event.target == b"/large" else short
        elif event.kind == "data":
            self.bodies[event.stream] += event.data
            self.machine.consumed(event.stream, len(event.data))
        elif event.kind == "reset":
            self.pending.pop(event.stream, None)
            self.machine.release(event.stream)
        if event.ends:
            self.machine.head(event.stream, 200, [(b"content-type", b"text/plain"), (b"set-cookie", b"a=b")])
            self.send(event.stream, self.bodies.pop(event.stream))

    def send(self, stream: int, body: bytes) -> None:
        taken = self.machine.data(stream, body, end=True)
        if 0 <= taken < len(body):
            self.pending[stream] = body[taken:]
            return
        self.pending.pop(stream, None)
        self.machine.release(stream)

    def output(self) -> bytes:
        while stream := self.machine.next():
            self.send(stream, self.pending[stream])
        return self.machine.take()


def serve(connection: socket.socket) -> None:
    """Until the client leaves."""
    with connection, Machine(preface=False) as machine:
        server = Server(machine)
        while not machine.finished and (received := connection.recv(1 << 16)):
            for event in machine.steps(received):
                server.handle(event)
            while sent := server.output():
                connection.sendall(sent)


@pytest.fixture
def address() -> Iterator[str]:
    # It is built when it is first asked for, which no client shall wait for.
    library()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads: list[threading.Thread] = []

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threads.append(threading.Thread(target=serve, args=(connection,)))
                threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()


def run(*command: str, given: bytes = b"") -> bytes:
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]}")
    ended = subprocess.run(command, input=given, capture_output=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_curl(address: str) -> None:
    curl = ("curl", "--silent", "--show-error", "--fail", "--http2-prior-knowledge")
    body = bytes(range(256)) * 1000
    assert run(*curl, f"{address}/") == b"hello"
    assert run(*curl, "--data-binary", "@-", f"{address}/", given=body) == body
    # More on the same connection is beyond version 7.88 with prior knowledge, whatever the server.
    assert run(*curl, f"{address}/large") == b"x" * SIZE


def test_nghttp(address: str) -> None:
    said = run("nghttp", "--null-out", "--verbose", *(f"{address}/large" for _ in range(3)), f"{address}/").decode()
    assert said.count("; END_STREAM") == 4
    assert "recv RST_STREAM" not in said
    assert "recv GOAWAY" not in said


def test_h2load(address: str) -> None:
    said = run("h2load", "-n", "400", "-c", "4", "-m", "20", address).decode()
    assert "400 succeeded, 0 failed, 0 errored" in said
    assert "status codes: 400 2xx" in said
    said = run("h2load", "-n", "40", "-c", "2", "-m", "10", f"{address}/large").decode()
    assert "40 succeeded, 0 failed, 0 errored" in said
