"""WSGI without Python between: bodies that came with their head, results in blocks, and the points where Python goes on."""

from __future__ import annotations

import gc
import io
import itertools
import logging
import sys
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from app_servers import http_1_only
from receiving import receive_until
from waiting import wait_until
from wsgi_server import TEXT, both, served

LARGE_BLOCK = b"y" * 300_000
POST = b"POST /%b HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b"


def echo(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [*TEXT, ("X-Length", environ.get("CONTENT_LENGTH", "none"))])
    return [environ["wsgi.input"].read() + b"$"]


@both
def test_bodies_that_come_with_their_head_are_those_that_come_later(threads: int) -> None:
    with served(echo, threads=threads) as one, one.connect() as connection:
        for body in (b"a", b"b" * 28, b"c" * 5000):
            request = POST % (b"", len(body), body)
            for at in (len(request), request.index(b"\r\n\r\n") + 4, len(request) - 1):
                connection.sendall(request[:at])
                if at < len(request):
                    # It is sent when the server has seen the rest.
                    one.ask()
                    connection.sendall(request[at:])
                head, _, received = receive_until(connection, b"$").partition(b"\r\n\r\n")
                assert received == body + b"$"
                assert b"x-length: %d\r\n" % len(body) in head.lower() + b"\r\n"


@both
def test_requests_behind_a_body_are_served(threads: int) -> None:
    with served(echo, threads=threads) as one, one.connect() as connection:
        connection.sendall(POST % (b"", 3, b"abc") + b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" + POST % (b"", 4, b"defg"))
        received = receive_until(connection, b"defg$")
        assert received.count(b"HTTP/1.1 200 OK") == 3
        assert received.index(b"abc$") < received.index(b"\r\n\r\n$") < received.index(b"defg$")


def test_bodies_that_nobody_reads_harm_no_other_request() -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        yield from (b"a", b"b" if environ["PATH_INFO"] == "/first" else b"last")

    with served(app) as one, one.connect() as connection:
        for _ in range(3):
            connection.sendall(POST % (b"first", 3, b"abc") + POST % (b"", 3, b"abc"))
            assert receive_until(connection, b"last\r\n0\r\n\r\n").count(b"HTTP/1.1 200 OK") == 2


def test_input_is_a_file_in_memory() -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        given = environ["wsgi.input"]
        told = [given.readline(), given.read(2), given.tell(), given.seek(0), list(given), given.read()]
        start_response("200 OK", TEXT)
        return [repr((type(given) is io.BytesIO, told)).encode()]

    with served(app) as one:
        told = [b"ab\n", b"cd", 5, 0, [b"ab\n", b"cde"], b""]
        assert one.ask(method="POST", body=b"ab\ncde").body.decode() == repr((True, told))


@pytest.mark.parametrize("shape", ["list", "generator", "suspended", "error"])
def test_input_that_is_kept_is_closed_after_the_response(shape: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    kept: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        kept.append(environ["wsgi.input"])
        start_response("200 OK", TEXT)
        if shape == "error":
            raise LookupError
        return [kept[-1].read()] if shape == "list" else blocks()

    def blocks() -> Iterator[bytes]:
        yield kept[-1].read()
        if shape == "suspended":
            # The client takes some of it at a time.
            yield from itertools.repeat(LARGE_BLOCK, 20)
        assert not kept[-1].closed
        yield b"$"

    with served(app) as one, one.connect() as connection:
        connection.sendall(POST % (b"", 3, b"abc"))
        receive_until(connection, b"Error" if shape == "error" else b"abc" if shape == "list" else b"$\r\n0\r\n\r\n")
        assert one.ask().status in (200, 500)
        assert [each.closed for each in kept[:1]] == [True]


@pytest.mark.skipif(
    sys.implementation.name == "pypy", reason="PyPy closes files in memory that have views, which are empty then"
)
def test_input_that_cannot_be_closed_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    kept: list[Any] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        kept.append(environ["wsgi.input"].getbuffer())
        start_response("200 OK", TEXT)
        return [b"fine"]

    with served(app) as one:
        assert one.ask(method="POST", body=b"abc").body == b"fine"
        assert one.ask(method="POST", body=b"abc").body == b"fine"
    # What is still exported when it is collected is reported at that time, in the middle of another test.
    for view in kept:
        assert bytes(view) == b"abc"
        view.release()
    assert "BufferError" in caplog.text


@http_1_only("counts what the whole process allocates")
def test_bodies_are_released() -> None:
    kept: list[weakref.ref[Any]] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        kept.append(weakref.ref(environ["wsgi.input"]))
        start_response("200 OK", TEXT)
        return [environ["wsgi.input"].read() or b"none"]

    def all_gone() -> bool:
        gc.collect()
        return not any(each() for each in kept)

    # Where nothing counts them, they are known to be gone once they were collected, and that is all.
    counted = hasattr(sys, "getallocatedblocks")
    with served(app) as one, one.connect() as connection:
        blocks = 0
        for number in range(3000):
            connection.sendall(POST % (b"", 28, b"x" * 27 + b"$"))
            receive_until(connection, b"$")
            if number == 1000:
                kept.clear()
                gc.collect()
                blocks = sys.getallocatedblocks() if counted else 0
        if counted:
            gone = [each() for each in kept]
            assert gone == [None] * len(gone)
        else:
            # The last one is there until the server's thread has left what served it, and was collected after.
            wait_until(all_gone)
        kept.clear()
        gc.collect()
        assert not counted or sys.getallocatedblocks() - blocks < 200


class Stream:
    """Blocks that are no generator."""

    def __init__(self, blocks: Iterator[Any], journal: list[str]) -> None:
        self.blocks, self.journal = blocks, journal

    def __iter__(self) -> Iterator[Any]:
        return self.blocks

    def close(self) -> None:
        self.journal.append("closed")


@both
@pytest.mark.parametrize("odd", [LARGE_BLOCK, type("Bytes", (bytes,), {})(b"derived"), b""])
@pytest.mark.parametrize("at", [0, 1, 3])
def test_odd_blocks_are_in_their_place(threads: int, odd: bytes, at: int) -> None:
    journal: list[str] = []

    def app(_environ: Any, start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        blocks = [b"one,", b"two,", b"three,"]
        blocks.insert(at, odd)
        return Stream(iter(blocks), journal)

    with served(app, threads=threads) as one:
        parts = [b"one,", b"two,", b"three,"]
        parts.insert(at, odd)
        assert one.ask().body == b"".join(parts)
        assert one.ask().body == b"".join(parts)
    assert journal == ["closed"] * 2


@both
@pytest.mark.parametrize("wrong", ["text", None, 7, bytearray(b"x"), LookupError])
@pytest.mark.parametrize("at", [0, 2])
def test_wrong_blocks_end_it(threads: int, wrong: Any, at: int, caplog: pytest.LogCaptureFixture) -> None:
    journal: list[str] = []

    def blocks() -> Iterator[Any]:
        yield from [b"fine"] * at
        if wrong is LookupError:
            raise LookupError
        yield wrong
        journal.append("asked for more")

    def app(_environ: Any, start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        return Stream(blocks(), journal)

    with served(app, threads=threads) as one:
        if at:
            with one.connect() as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
                received = b"".join(iter(lambda: connection.recv(65536), b""))
            assert received.count(b"fine") == at
            assert not received.endswith(b"0\r\n\r\n")
        else:
            assert one.ask().status == 500
    assert journal == ["closed"]
    assert ("LookupError" if wrong is LookupError else "must yield bytes") in caplog.text


@both
def test_start_response_between_blocks(threads: int, caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        if environ["PATH_INFO"] == "/late":
            yield b"sent"
        try:
            raise LookupError("mine")
        except LookupError:
            start_response("503 Later", TEXT, sys.exc_info())
        yield b"sorry"

    with served(app, threads=threads) as one:
        for _ in range(2):
            answer = one.ask("/early")
            assert (answer.status, answer.body) == (503, b"sorry")
        with one.connect() as connection:
            connection.sendall(b"GET /late HTTP/1.1\r\nHost: h\r\n\r\n")
            received = b"".join(iter(lambda: connection.recv(65536), b""))
        assert received.endswith(b"4\r\nsent\r\n")
    assert "LookupError: mine" in caplog.text


@both
def test_write_and_blocks_share_a_length(threads: int, caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []

    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [*TEXT, ("Content-Length", "6")])
        write(b"")
        write(b"ab")
        if environ["PATH_INFO"] == "/write":
            try:
                write(b"cdefgh")
            except ValueError as error:
                told.append(str(error))
            return []
        return (each for each in (b"", b"cd", b"efgh"))

    with served(app, threads=threads) as one:
        for target in ("/write", "/yield"):
            assert one.ask(target).body == b"abcdef"
    assert told == ["write: the body goes beyond its Content-Length"]
    assert "goes beyond its Content-Length" in caplog.text


@both
def test_short_streams_are_cut(threads: int, caplog: pytest.LogCaptureFixture) -> None:
    def app(_environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [*TEXT, ("Content-Length", "6")])
        yield from (b"ab", b"c")

    with served(app, threads=threads) as one:
        with one.connect() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            received = b"".join(iter(lambda: connection.recv(65536), b""))
        assert received.endswith(b"\r\n\r\nabc")
    assert "3 bytes short of its Content-Length" in caplog.text


def test_functions_that_are_kept_after_a_stream_know_that_it_is_over() -> None:
    kept: list[Any] = []

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        write = start_response("200 OK", TEXT)
        if environ["PATH_INFO"] == "/keep":
            kept.append((start_response, write))
            yield from (b"a", b"b")
            return
        with pytest.raises(AssertionError):
            kept[0][0]("200 OK", [])
        kept[0][1](b"too late")
        yield b"fine"

    with served(app) as one:
        assert one.ask("/keep").body == b"ab"
        for _ in range(2):
            assert one.ask().body == b"fine"


@pytest.mark.parametrize("spoiled", [[], [None] * 2, [1, 2, 3]])
def test_a_stream_that_reaches_inside_harms_only_itself(spoiled: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        write = start_response("200 OK", TEXT)
        yield b"one,"
        if environ["PATH_INFO"] == "/spoil":
            start_response.__self__[:] = spoiled
            write(b"written")
        yield b"two"

    with served(app) as one:
        for _ in range(2):
            with one.connect() as connection:
                connection.sendall(b"GET /spoil HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
                assert b"one," in b"".join(iter(lambda: connection.recv(65536), b""))
            assert one.ask().body == b"one,two"


def test_long_streams_are_whole() -> None:
    def app(_environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        for number in range(20_000):
            yield b"%d," % number

    with served(app) as one:
        assert one.ask().body == b"".join(b"%d," % number for number in range(20_000))


def test_results_whose_close_fails_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Stream):
        def close(self) -> None:
            raise LookupError("of close")

    class Without:
        """Has no close, or one that cannot be looked up."""

        def __init__(self, error: type[Exception]) -> None:
            self.error = error

        def __iter__(self) -> Iterator[bytes]:
            return iter((b"a", b"b"))

        def __getattr__(self, name: str) -> Any:
            raise self.error(f"no {name}")

    class Closed(Without):
        close = None

    results = {
        "/none": lambda: Closed(AttributeError),
        "/": lambda: Without(AttributeError),
        "/derived": lambda: Without(type("Derived", (AttributeError,), {})),
        "/failing": lambda: Failing(iter((b"a", b"b")), []),
        "/wrong": lambda: Without(OSError),
    }

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        return results[environ["PATH_INFO"]]()

    with served(app) as one:
        for target in results:
            assert one.ask(target).body == b"ab"
    errors = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert [str(error) for error in errors] == ["of close", "no close"]
