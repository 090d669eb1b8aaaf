"""What goes wrong in applications of the WSGI server, and what start_response refuses."""

from __future__ import annotations

import http.client
import logging
import sys
from typing import Any

import pytest
from app_servers import http_1_only
from wsgi_server import TEXT, both, served

from socketify import WSGI


@both
def test_errors(threads: int, caplog: pytest.LogCaptureFixture) -> None:
    closes: list[str] = []

    class Result:
        def __init__(self, name: str, blocks: Any) -> None:
            self.name, self.blocks = name, blocks

        def __iter__(self) -> Any:
            yield from self.blocks
            message = self.name
            raise LookupError(message)

        def close(self) -> None:
            closes.append(self.name)

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        name = environ["PATH_INFO"]
        if name == "/app":
            raise LookupError(name)
        if name == "/no-start":
            return [b"x"]
        start_response("200 OK", TEXT)
        if name == "/twice":
            start_response("200 OK", TEXT)
        wrong: dict[str, Any] = {"/text": ["text"], "/late-text": iter([b"x", "text"]), "/none": None}
        return wrong[name] if name in wrong else Result(name, [] if name == "/first" else [b"x"])

    with caplog.at_level(logging.ERROR, "socketify"), served(app, threads=threads) as one:
        for name in ("/app", "/no-start", "/twice", "/text", "/none", "/first"):
            got = one.ask(name)
            assert (got.status, got.body) == (500, b"Internal Server Error"), name
        for name in ("/late-text", "/later"):
            with pytest.raises(http.client.HTTPException):
                one.ask(name)
    assert closes == ["/first", "/later"]
    assert len(caplog.records) == 8


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        ("200", "X"),
        (b"200 OK", []),
        ("2000", []),
        ("100 Continue", []),
        ("abc", []),
        ("200 OK\r\nX: y", []),
        ("200 OK", (("A", "b"),)),
        ("200 OK", [["A", "b"]]),
        ("200 OK", [("A", "b", "c")]),
        ("200 OK", [("A", b"b")]),
        ("200 OK", [("A", 1)]),
        ("200 OK", [("A b", "c")]),
        ("200 OK", [("A", "b\r\nC: d")]),
        ("200 OK", [("A", "b\nC\nd")]),
        ("200 OK", [("A", "\u20ac")]),
        ("200 OK", [("Content-Length", "x")]),
        ("200 OK", [("Content-Length", "1"), ("Content-Length", "2")]),
    ],
)
def test_start_response_refuses(status: Any, headers: Any) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        # What looks the same when it is joined was used before.
        if environ["PATH_INFO"] == "/good":
            start_response("200 OK", [("A", "b"), ("C", "d")])
            return [b"good"]
        with pytest.raises((TypeError, ValueError)):
            start_response(status, headers)
        start_response("200 OK", TEXT)
        return [b"refused"]

    with served(app) as one:
        assert one.ask("/good").body == b"good"
        assert one.ask().body == b"refused"


@both
def test_exc_info(threads: int) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [*TEXT, ("X-Old", "1")])
        if environ["PATH_INFO"] == "/late":
            yield b"begun"
        try:
            raise LookupError("x")
        except LookupError:
            start_response("503 Down", [*TEXT, ("X-New", "1")], sys.exc_info())
        yield b"replaced"

    with served(app, threads=threads) as one:
        got = one.ask()
        assert (got.status, got.body, "x-old" in got.headers, "x-new" in got.headers) == (503, b"replaced", False, True)
        with pytest.raises(http.client.IncompleteRead):
            one.ask("/late")


@http_1_only("Connection")
def test_hop_by_hop_fields_are_the_servers_own() -> None:
    def app(_environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [*TEXT, ("Keep-Alive", "x"), ("Transfer-Encoding", "chunked"), ("Connection", "close")])
        return [b"x"]

    with served(app) as one:
        got = one.raw(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert b"Keep-Alive" not in got
        assert b"chunked" not in got
        assert got.count(b"Connection: close") == 1


def test_error_handler_and_debug() -> None:
    def app(_environ: dict[str, Any], _start_response: Any) -> Any:
        raise LookupError("told")

    server = WSGI(app)
    with pytest.raises(ValueError, match="threads"):
        WSGI(app, threads=0)
    with pytest.raises(ValueError, match="websocket=True"):
        WSGI(app, websocket=True)
    with pytest.raises(TypeError, match="app must be callable"):
        WSGI(None)
    server.close()
    with served(app, debug=True) as one:
        assert b"LookupError: told" in one.ask().body


class Raising:
    """A result that raises somewhere."""

    def __init__(self, place: str, error: type[BaseException], closes: list[str]) -> None:
        self.place, self.error, self.closes = place, error, closes
        self.blocks = iter([b"ab", b"c"])
        if place == "call":
            raise self.error

    def __iter__(self) -> Any:
        if self.place == "iter":
            raise self.error
        return self

    def __next__(self) -> bytes:
        if self.place == "first":
            raise self.error
        data = next(self.blocks, b"")
        if (self.place, data) in (("later", b"c"), ("last", b"")):
            raise self.error
        if not data:
            raise StopIteration
        return data

    def close(self) -> None:
        self.closes.append(self.place)
        if self.place == "close":
            raise self.error


@both
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, BaseException, StopIteration, MemoryError])
@pytest.mark.parametrize("place", ["call", "iter", "first", "later", "last", "close"])
def test_whatever_is_raised_ends_one_response(
    threads: int, place: str, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    closes: list[str] = []

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        return [b"fine"] if environ["PATH_INFO"] == "/fine" else Raising(place, error, closes)

    # As the end of an iterator it is none.
    is_end = error is StopIteration and place in ("first", "later", "last")
    body = {"close": b"abc", "first": b"", "later": b"ab", "last": b"abc"}.get(place)
    with caplog.at_level(logging.ERROR, "socketify"), served(app, threads=threads) as one:
        for _ in range(4):
            if place in ("later", "last") and not is_end:
                with pytest.raises(http.client.HTTPException):
                    one.ask("/")
            elif place == "close" or is_end:
                assert one.ask("/")[::2] == (200, body)
            else:
                assert one.ask("/")[::2] == (500, b"Internal Server Error")
            # Every thread goes on.
            assert one.ask("/fine").body == b"fine"
    assert len(closes) == (0 if place == "call" else 4)
    assert len(caplog.records) == (0 if is_end else 4)
