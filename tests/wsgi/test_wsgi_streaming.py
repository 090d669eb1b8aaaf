"""Streams of the WSGI server: each block leaves before the next is asked for, and nobody waits for another's stream."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from receiving import receive_until
from tls_files import Files
from wsgi_server import LARGE, TEXT, both, large_result, served

REQUEST = b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n"


class Blocks:
    """An iterable that says when it was closed."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self.blocks = blocks
        self.closes = 0
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        return self.blocks

    def close(self) -> None:
        self.closes += 1
        self.closed.set()


@both
@pytest.mark.parametrize("way", ["yield", "write"])
@pytest.mark.parametrize("secure", [False, True])
def test_block_leaves_before_the_next_is_asked_for(threads: int, way: str, secure: bool, tmp_path: Path) -> None:
    got_first, got_second = threading.Event(), threading.Event()

    def app(_environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", TEXT)
        if way == "write":
            write(b"<first>")
            assert got_first.wait(10)
            write(b"<second>")
            assert got_second.wait(10)
            return [b"<third>"]
        return blocks()

    def blocks() -> Any:
        yield b"<first>"
        assert got_first.wait(10)
        yield b"<second>"
        assert got_second.wait(10)
        yield b"<third>"

    files = Files(tmp_path) if secure else None
    with served(app, threads=threads, options=files.options() if files else None) as one, one.connect() as plain:
        connection = files.client().wrap_socket(plain, server_hostname="localhost") if files else plain
        connection.sendall(REQUEST % b"/")
        receive_until(connection, b"<first>")
        got_first.set()
        receive_until(connection, b"<second>")
        got_second.set()
        receive_until(connection, b"<third>")
        connection.close()


def test_others_are_served_between_blocks() -> None:
    stream = Blocks(b"data: %d\n\n" % number for number in itertools.count() if time.sleep(0.02) is None)

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        return stream if environ["PATH_INFO"] == "/events" else [b"other"]

    with served(app) as one, one.connect() as listener:
        listener.sendall(REQUEST % b"/events")
        receive_until(listener, b"data: 1\n")
        for _ in range(3):
            assert one.ask().body == b"other"
        receive_until(listener, b"data: 9\n")
        assert not stream.closes
        listener.close()
        assert stream.closed.wait(10)
        assert one.ask().body == b"other"
    assert stream.closes == 1


def test_two_endless_streams_take_turns() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        return itertools.repeat(environ["PATH_INFO"].encode())

    with served(app) as one, one.connect() as first, one.connect() as second:
        first.sendall(REQUEST % b"/first")
        receive_until(first, b"/first")
        second.sendall(REQUEST % b"/second")
        receive_until(second, b"/second")
        receive_until(first, b"/first")


@both
@pytest.mark.parametrize("way", ["yield", "write"])
def test_leaving_ends_an_endless_response(threads: int, way: str, caplog: pytest.LogCaptureFixture) -> None:
    ended = threading.Event()

    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", TEXT)
        if environ["PATH_INFO"] == "/":
            return [b"other"]
        if way == "yield":
            return blocks()
        try:
            while True:
                write(b"x" * 100)
                time.sleep(0.001)
        finally:
            ended.set()

    def blocks() -> Any:
        try:
            while True:
                yield b"x" * 100
                time.sleep(0.001)
        finally:
            ended.set()

    with caplog.at_level(logging.WARNING, "socketify"), served(app, threads=threads) as one:
        with one.connect() as connection:
            connection.sendall(REQUEST % b"/endless")
            receive_until(connection, b"xxx")
        assert ended.wait(10)
        assert one.ask().body == b"other"
    # That a client leaves is no error of the application.
    assert not caplog.records


@both
def test_code_behind_the_last_block_runs(threads: int) -> None:
    ran: list[str] = []

    def app(environ: Any, start_response: Any) -> Any:
        length = environ["PATH_INFO"][1:]
        start_response("200 OK", [*TEXT, ("Content-Length", length)] if length else TEXT)

        def blocks() -> Any:
            yield b"abc"
            yield b""
            ran.append("behind")

        stream = Blocks(blocks())
        closing, stream.close = stream.close, lambda: (ran.append("closed"), closing())  # type: ignore[method-assign,assignment]
        return stream

    with served(app, threads=threads) as one, one.connect() as connection:
        for target in (b"/3", b"/"):
            ran.clear()
            connection.sendall(REQUEST % target)
            receive_until(connection, b"abc" if target == b"/3" else b"0\r\n\r\n")
            deadline = time.monotonic() + 10
            while len(ran) < 2 and time.monotonic() < deadline:
                time.sleep(0.005)
            assert ran == ["behind", "closed"], target
        ran.clear()
        assert one.ask("/3", "HEAD").headers["content-length"] == "3"
        assert one.ask("/3").body == b"abc"
        assert ran[:2] == ["behind", "closed"]


@both
def test_response_is_complete_with_its_length(threads: int) -> None:
    """Whatever the application still does, the client need not wait for it."""
    go_on = threading.Event()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [*TEXT, ("Content-Length", "3")])
        yield b"abc"
        assert go_on.wait(10)

    with served(app, threads=threads) as one:
        assert one.ask().body == b"abc"
        go_on.set()
        assert one.ask().body == b"abc"


@both
def test_answer_to_head_ends_an_endless_generator(threads: int) -> None:
    stream = Blocks(itertools.repeat(b"x"))

    def app(_environ: Any, start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        return stream

    with served(app, threads=threads) as one:
        assert one.ask(method="HEAD").status == 200
        assert stream.closed.wait(10)


@pytest.mark.parametrize("way", ["list", "two", "generator", "write", "file"])
def test_slow_readers_of_finished_applications_hold_no_thread(way: str, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"x" * LARGE)

    def app(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/":
            start_response("200 OK", TEXT)
            return [b"other"]
        return large_result(environ, start_response, path)

    with served(app, threads=2) as one, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(one.connect()) for _ in range(4)]
        for connection in slow:
            connection.sendall(REQUEST % f"/{way}".encode())
        for connection in slow:
            assert connection.recv(1)
        for _ in range(4):
            assert one.ask().body == b"other"
        # Nothing is lost of what waits.
        response = http.client.HTTPResponse(slow[0])
        rest = slow[0].makefile("rb")
        response.fp = _Behind(b"H", rest)
        response.begin()
        assert response.read() == b"x" * LARGE


class _Behind:
    """A stream of which the first bytes were read already."""

    def __init__(self, first: bytes, rest: Any) -> None:
        self.first, self.rest = first, rest

    def readline(self, limit: int = -1) -> bytes:
        first, self.first = self.first, b""
        return first + bytes(self.rest.readline(limit))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rest, name)


def test_generator_waits_for_its_client_in_a_thread() -> None:
    made: list[int] = []
    stream = Blocks(b"x" * 1_000_000 for number in range(1000) if made.append(number) is None)  # type: ignore[func-returns-value]

    def app(_environ: Any, start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        return stream

    def asked_for() -> int:
        count = -1
        while count != len(made):
            count = len(made)
            time.sleep(0.2)
        return count

    with served(app, threads=2) as one, one.connect() as connection:
        connection.sendall(REQUEST % b"/")
        receive_until(connection, b"x")
        assert asked_for() < 100
        connection.close()
        assert stream.closed.wait(10)
    assert stream.closes == 1
