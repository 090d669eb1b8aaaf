"""What clients have sent when their server stops is answered, though nobody has read it yet."""

from __future__ import annotations

import contextlib
import signal
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Optional

import pytest
from backends import environment, needs_io_uring
from http2_client import Client
from server_programs import GET, Program
from tls_files import Files

#: Before each look at what can be closed it says so, and waits for a line. Nothing is read meanwhile.
PROGRAM = """
import sys
import socketify.core.drain as drain
from socketify import App, AppOptions, Limits

class Native:
    def __init__(self, library):
        self.library = library

    def __getattr__(self, name):
        return getattr(self.library, name)

    def sk_app_accept_waiting(self, app, shared):
        self.pause(0)
        self.library.sk_app_accept_waiting(app, shared)

    def sk_app_drain(self, app, stage):
        if stage:
            self.pause(stage)
        return self.library.sk_app_drain(app, stage)

    def pause(self, stage):
        print("drain", min(stage, 1), flush=True)
        sys.stdin.readline()

drain.lib = Native(drain.lib)
app = App(OPTIONS)
app.get("/", lambda res, req: res.end("Hello"))
ports = []
app.listen(0, lambda config: ports.append(config.port)).on_start(lambda: print(ports[0], flush=True))
app.run()
"""
PATIENT, REQUESTS = 0, 1
NO_ERROR = 0

each_backend = pytest.mark.parametrize("backend", ["epoll", pytest.param("io_uring", marks=needs_io_uring)])


class Stopping(Program):
    """A program that stops step by step."""

    def __init__(self, backend: str, files: Optional[Files] = None, limit: int = 0) -> None:
        options = "" if files is None else f"AppOptions(**{files.issue('server')!r})"
        if limit:
            options = f"limits=Limits(max_connections={limit})"
        super().__init__(PROGRAM.replace("OPTIONS", options), env=environment(backend), stdin=subprocess.PIPE)

    def stop_at(self, stage: int) -> None:
        """Stop it, and wait until it is about to look so hard at what can be closed."""
        self.send_signal()
        for each in range(stage + 1):
            assert self.stdout.readline() == f"drain {each}\n", self.errors
            if each < stage:
                self.look()

    def look(self, then: Optional[int] = None) -> None:
        """Let it look once; wait until it is about to look so hard again."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        if then is not None:
            assert self.stdout.readline() == f"drain {then}\n", self.errors

    def go_on(self) -> None:
        """Let it look whenever it wants to."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def __exit__(self, *details: object) -> None:
        self.go_on()
        super().__exit__(*details)


def read_all(connection: socket.socket) -> bytes:
    found = b""
    while piece := connection.recv(65536):
        found += piece
    return found


def check_last(answer: bytes) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), answer
    assert b"Connection: close" in head
    assert body == b"Hello"


@each_backend
def test_a_request_that_nobody_has_read_is_answered(backend: str) -> None:
    with Stopping(backend) as program, program.connect() as connection, program.connect() as silent:
        program.stop_at(REQUESTS)
        connection.sendall(GET)
        program.go_on()
        # Who has sent nothing is closed at once.
        assert silent.recv(1) == b""
        check_last(read_all(connection))
        assert program.wait() == -signal.SIGTERM


def check_served(program: Stopping, client: Client) -> None:
    """Ask a program that does not read and is to stop; it answers and ends."""
    stream = client.request("/")
    program.go_on()
    assert client.wait(stream).body == b"Hello"
    client.receive_all()
    assert client.goaway == (stream, NO_ERROR)
    assert program.wait() == -signal.SIGTERM


@each_backend
def test_a_connection_of_http2_that_nobody_has_readcheck_served(backend: str) -> None:
    with Stopping(backend) as program, program.connect() as connection:
        program.stop_at(REQUESTS)
        check_served(program, Client(connection=connection))


@each_backend
def test_a_stream_that_nobody_has_readcheck_served(backend: str) -> None:
    with Stopping(backend) as program, program.connect() as connection:
        client = Client(connection=connection)
        assert client.get("/").body == b"Hello"
        program.stop_at(REQUESTS)
        check_served(program, client)


@each_backend
def test_who_waits_to_be_accepted_is_answered(backend: str) -> None:
    with Stopping(backend) as program:
        program.stop_at(PATIENT)
        connections = [program.connect(GET) for _ in range(300)]
        program.go_on()
        for each in connections:
            with each:
                check_last(read_all(each))
        assert program.wait() == -signal.SIGTERM


@each_backend
def test_a_handshake_is_waited_for_though_no_other_connection_is_open(backend: str, tmp_path: Path) -> None:
    files = Files(tmp_path)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = files.client().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with Stopping(backend, files) as program:
        program.stop_at(PATIENT)
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        with program.connect(outgoing.read()) as connection:
            program.look(then=REQUESTS)
            incoming.write(connection.recv(65536))
            tls.do_handshake()
            tls.write(GET)
            connection.sendall(outgoing.read())
            program.go_on()
            incoming.write(read_all(connection))
            check_last(tls.read())
        assert program.wait() == -signal.SIGTERM


def test_the_bound_of_connections_holds_for_who_waits() -> None:
    """There is no room for them: they are refused, and the others are served."""
    size = 2
    with Stopping("epoll", limit=size) as program:
        program.stop_at(PATIENT)
        connections = [program.connect(GET) for _ in range(size + 1)]
        program.go_on()
        for each in connections[:size]:
            check_last(read_all(each))
        with contextlib.suppress(ConnectionResetError):
            assert connections[size].recv(1) == b""
        for each in connections:
            each.close()
        assert program.wait() == -signal.SIGTERM
