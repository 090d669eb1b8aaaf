"""Clients that end their half of a TLS connection after a request (RFC 8446 section 6.1), which may still read."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union

import pytest
from app_servers import ASGIServer, Server
from capabilities import search_takes
from test_half_closed import GET, asgi, asgi_later, asgi_streams, async_app, body_of, streaming_app, sync_app
from tls_files import Files, Raw

from socketify import Limits

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
APPS = {"app": sync_app, "app waits": async_app, "app streams": streaming_app}
ASGI = {"asgi": asgi, "asgi waits": asgi_later, "asgi streams": asgi_streams}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("tls"))


class Client(Raw):
    """A client that says what it does to its half, and goes on reading."""

    def ask(self, request: bytes) -> None:
        """Send a request."""
        self.tls.write(request)
        self.send()

    def end(self, ends_tcp: bool) -> None:
        """Send close_notify, and end the half of TCP, too, where that is said."""
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.unwrap()
        self.send()
        if ends_tcp:
            self.connection.shutdown(socket.SHUT_WR)

    def read_until(self, end: bytes) -> None:
        """Read an answer that ends so."""
        received = b""
        while not received.endswith(end):
            try:
                received += self.tls.read(1 << 20)
            except ssl.SSLWantReadError:
                self.incoming.write(self.connection.recv(1 << 20))

    def read_all(self) -> bytes:
        """Read until the server has said that it sends no more, and closes."""
        parts = []
        while True:
            try:
                while True:
                    parts.append(self.tls.read(1 << 20))
            except ssl.SSLZeroReturnError:
                break
            except ssl.SSLWantReadError:
                pass
            received = self.connection.recv(1 << 20)
            assert received, "no close_notify came"
            self.incoming.write(received)
        assert self.connection.recv(1) == b""
        return b"".join(parts)


@contextlib.contextmanager
def server_of(name: str, files: Files) -> Iterator[Union[Server, ASGIServer]]:
    options = files.options()
    if name in APPS:
        server = Server(lambda app: app.get("/*", APPS[name]), options=options)
        try:
            yield server
        finally:
            server.stop()
    else:
        asgi_server = ASGIServer(ASGI[name], options=options, lifespan=False)
        try:
            yield asgi_server
        finally:
            asgi_server.server.close()


def check(answer: bytes, path: str) -> None:
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    if b"\r\nTransfer-Encoding" in answer[:1000]:
        assert answer.endswith((b"\r\n0\r\n\r\n", b"\r\n00\r\n\r\n"))
    else:
        assert answer.partition(b"\r\n\r\n")[2] == body_of(path)


@pytest.mark.parametrize("version", VERSIONS, ids=["TLS 1.2", "TLS 1.3"])
@pytest.mark.parametrize("ends_tcp", [False, True])
@pytest.mark.parametrize("name", [*APPS, *ASGI])
def test_a_client_that_only_sends_no_more_gets_its_whole_answer(
    files: Files, name: str, ends_tcp: bool, version: ssl.TLSVersion
) -> None:
    context = files.client()
    context.minimum_version = context.maximum_version = version
    with server_of(name, files) as server:
        for path in ("small", "large"):
            with Client(server, context) as client:
                client.ask(GET % path.encode())
                client.end(ends_tcp)
                if path == "large":
                    # The rest waits for the client.
                    time.sleep(0.1)
                check(client.read_all(), path)


@pytest.mark.parametrize("ends_tcp", [False, True])
def test_pipelined_requests_are_all_answered(files: Files, ends_tcp: bool) -> None:
    with server_of("app waits", files) as server, Client(server, files.client()) as client:
        client.ask(GET % b"small" * 5)
        client.end(ends_tcp)
        answer = client.read_all()
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == answer.count(b"\r\n\r\nhello") == 5


@pytest.mark.parametrize("ends_tcp", [False, True])
@pytest.mark.parametrize("request_", [b"", GET[:9], b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"])
def test_less_than_a_request_ends_the_connection(files: Files, ends_tcp: bool, request_: bytes) -> None:
    async def read(res: Any, _: Any) -> None:
        await res.get_data()

    server = Server(lambda app: app.any("/", read), options=files.options())
    try:
        with Client(server, files.client()) as client:
            if request_:
                client.ask(request_)
            client.end(ends_tcp)
            assert client.read_all() == b""
    finally:
        server.stop()


@pytest.mark.parametrize("ends_tcp", [False, True])
@pytest.mark.parametrize("before", ["small", "large"])
def test_the_last_of_pipelined_requests_lacks_its_end(files: Files, ends_tcp: bool, before: str) -> None:
    async def read(res: Any, _: Any) -> None:
        await res.get_data()

    server = Server(lambda app: app.get("/*", async_app).post("/body", read), options=files.options())
    try:
        with Client(server, files.client()) as client:
            client.ask(GET % before.encode() + b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
            client.end(ends_tcp)
            if before == "large":
                # The rest waits for the client.
                time.sleep(0.1)
            check(client.read_all(), before)
    finally:
        server.stop()


def is_writing_watched() -> bool:
    """Whether a loop of this process waits until one of its connections takes more."""
    watched = []
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if "[eventpoll]" in str(each.readlink()):
                watched += (Path("/proc/self/fdinfo") / each.name).read_text().splitlines()
    return any(int(line.split()[3], 16) & select.EPOLLOUT for line in watched if line.startswith("tfd:"))


@pytest.mark.skipif(os.environ.get("SOCKETIFY_BACKEND") == "io_uring", reason="asks what epoll watches")
@pytest.mark.parametrize("ends_tcp", [False, True])
def test_the_last_record_waits_for_the_client(files: Files, ends_tcp: bool) -> None:
    """The kernel took all but that, which nobody but TLS keeps: when it has left the connection ends."""
    size = 16_000

    def build(app: Any) -> None:
        app.get("/", lambda res, req: res.end(bytes(size))).get("/ping", lambda res, req: res.end("pong"))

    server = Server(build, options=files.options(), limits=Limits(keep_alive_timeout=60))
    try:
        with Client(server, files.client()) as other, Client(server, files.client()) as client:

            def waits() -> bool:
                # All is answered that was asked before.
                other.ask(GET % b"ping")
                other.read_until(b"pong")
                return is_writing_watched()

            count = 0
            # What it says leaves at once, though what it said before may not be acknowledged yet.
            client.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # The kernel takes more for a while, as what it has arrives.
            while not all(waits() and not time.sleep(0.01) for _ in range(20)):
                client.ask(GET % b"")
                count += 1
            client.end(ends_tcp)
            assert waits()
            answers = client.read_all()
        assert answers.count(b"HTTP/1.1 200 OK\r\n") == count
        assert answers.count(bytes(size)) == count
    finally:
        server.stop()


@pytest.mark.parametrize("ends_tcp", [False, True])
@pytest.mark.parametrize("begins", [False, True])
def test_the_half_ends_while_the_handler_waits(files: Files, ends_tcp: bool, begins: bool) -> None:
    waits, go = threading.Event(), threading.Event()

    async def handler(res: Any, _: Any) -> None:
        if begins:
            res.write("early")
        waits.set()
        await asyncio.get_running_loop().run_in_executor(None, go.wait, 10)
        res.end("late")

    server = Server(lambda app: app.get("/", handler), options=files.options())
    try:
        with Client(server, files.client()) as client:
            client.ask(GET % b"" * 2)
            assert waits.wait(5)
            client.end(ends_tcp)
            time.sleep(0.1)
            before = time.process_time()
            time.sleep(0.3)
            # It costs nothing meanwhile.
            assert time.process_time() - before < 0.1 + search_takes()
            go.set()
            assert client.read_all().count(b"late") == 2
    finally:
        server.stop()


@pytest.mark.parametrize("says_so", [False, True])
def test_a_client_that_leaves_is_noticed(files: Files, says_so: bool) -> None:
    waits, left = threading.Event(), threading.Event()

    async def handler(res: Any, _: Any) -> None:
        res.on_aborted(lambda _: left.set())
        waits.set()
        await asyncio.get_running_loop().run_in_executor(None, left.wait, 10)

    server = Server(lambda app: app.get("/", handler), options=files.options())
    try:
        with Client(server, files.client()) as client:
            client.ask(GET % b"")
            assert waits.wait(5)
            if says_so:
                client.end(False)
        assert left.wait(5)
    finally:
        server.stop()
