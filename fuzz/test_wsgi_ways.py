"""One application by the C API, by Python on the loop's thread, and in threads: the same answer, calls and log."""

from __future__ import annotations

import contextlib
import http.client
import logging
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsgi_inputs import ODD_PAIRS
from wsgi_reference_server import Reference, Seen
from wsgi_server import Served, served

from socketify.native import Capabilities
from socketify.wsgi import mount as wsgi_mount

PAIRS: list[Any] = [
    ("X-A", "b"),
    ("x-a", " \u00e9\t"),
    ("Connection", "x"),
    ("TE", "x"),
    *ODD_PAIRS,
]
HEADERS = st.one_of(st.lists(st.sampled_from(PAIRS[:4]), max_size=2), st.lists(st.sampled_from(PAIRS), max_size=3))
STATUS = st.sampled_from(["200 OK", "200 OK", "204 No", "304 Not", "99 X", "100 Go", "200 \u20ac", b"200 OK", None, "2000"])
LARGE = b"y" * 300_000
BLOCKS = st.lists(
    st.one_of(st.sampled_from([b"", b"abc", b"a", b"abcd", ...]), st.sampled_from([b"abc", "abc", bytearray(b"a"), None])),
    max_size=4,
)
ERRORS = [LookupError, SystemExit, GeneratorExit]


class Plan(NamedTuple):
    """What an application does."""

    starts: list[tuple[Any, Any, str]]
    writes: int
    shape: str
    blocks: list[Any]
    raises: str
    error: type[BaseException]


PLANS = st.builds(
    Plan,
    st.lists(st.tuples(STATUS, HEADERS, st.sampled_from(["list", "list", "tuple", "again"])), min_size=1, max_size=2),
    st.integers(0, 1),
    st.sampled_from(["list", "tuple", "iterator", "lazy", "closing"]),
    BLOCKS,
    st.sampled_from(["", "", "", "app", "first", "last", "close"]),
    st.sampled_from(ERRORS),
)


class Application:
    """Does what the plan says, and remembers what was done with it."""

    def __init__(self) -> None:
        self.plan = Plan([], 0, "list", [], "", LookupError)
        self.calls: list[str] = []
        self.done = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        plan = self.plan
        if plan.raises == "app":
            raise plan.error
        if plan.shape == "lazy":
            return Closing(self, self.lazily(start_response))
        self.start(start_response)
        rest = plan.blocks[plan.writes :]
        if plan.shape in ("list", "tuple"):
            return rest if plan.shape == "list" else tuple(rest)
        return Closing(self, self.each(rest)) if plan.shape == "closing" else self.each(rest)

    def lazily(self, start_response: Any) -> Iterator[Any]:
        self.start(start_response)
        yield from self.each(self.plan.blocks[self.plan.writes :])

    def each(self, blocks: list[Any]) -> Iterator[Any]:
        if self.plan.raises == "first":
            raise self.plan.error
        yield from blocks
        self.calls.append("behind the last block")
        if self.plan.raises == "last":
            raise self.plan.error

    def start(self, start_response: Any) -> None:
        for status, headers, how in self.plan.starts:
            given = tuple(headers) if how == "tuple" else list(headers)
            try:
                if how == "again":
                    try:
                        raise OverflowError
                    except OverflowError as error:
                        write = start_response(status, given, (OverflowError, error, None))
                else:
                    write = start_response(status, given)
            except (TypeError, ValueError):
                # Of several faults any may be told.
                self.calls.append("refused")
                continue
            except (AssertionError, OverflowError) as error:
                self.calls.append(type(error).__name__)
                continue
            for block in self.plan.blocks[: self.plan.writes]:
                try:
                    write(block)
                except (TypeError, ValueError) as error:
                    self.calls.append(type(error).__name__)


class Closing:
    def __init__(self, app: Application, blocks: Iterator[Any]) -> None:
        self.app, self.blocks = app, blocks

    def __iter__(self) -> Iterator[Any]:
        return self.blocks

    def close(self) -> None:
        self.app.calls.append("closed")
        if self.app.plan.raises == "close":
            raise self.app.plan.error


@pytest.fixture(scope="module", params=["by the C API", "by Python", "in threads"])
def one(request: pytest.FixtureRequest) -> Iterator[tuple[Served, Application]]:
    app = Application()
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "by Python":
            patch.setattr(wsgi_mount, "capabilities", Capabilities(c_api=False, members=False, iterator_send=False))
        with served(app, threads=3 if request.param == "in threads" else 1) as server:
            yield server, app


class Errors(logging.Handler):
    """Counts what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record.getMessage())


def ask(server: Served, method: str) -> tuple[int, list[tuple[str, str]], bytes, bool]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    with contextlib.closing(connection):
        connection.request(method, "/")
        response = connection.getresponse()
        try:
            body, complete = response.read(), True
        except http.client.IncompleteRead as error:
            body, complete = error.partial, False
        own = ("date", "server", "transfer-encoding", "connection")
        headers = [(name.lower(), value.strip()) for name, value in response.getheaders() if name.lower() not in own]
        # Where it stands among the others is the server's choice.
        headers.sort(key=lambda field: field[0] == "content-length")
        return response.status, headers, body, complete


@given(PLANS, st.sampled_from(["GET", "GET", "HEAD"]))
def test_ways(one: tuple[Served, Application], plan: Plan, method: str) -> None:
    server, app = one
    # A large block is not worth printing.
    app.plan, app.calls = plan._replace(blocks=[LARGE if block is ... else block for block in plan.blocks]), []
    expected = Reference(method).serve(app, {})
    calls, app.calls = app.calls, []
    handler = Errors()
    logger = logging.getLogger("socketify")
    logger.addHandler(handler)
    try:
        status, headers, body, complete = ask(server, method)
        deadline = time.monotonic() + 5
        while (len(app.calls), len(handler.records)) != (len(calls), expected.errors) and time.monotonic() < deadline:
            time.sleep(0.001)
    finally:
        logger.removeHandler(handler)
    if status == 500 == expected.status:
        headers = []
    assert Seen(status, headers, body, complete, len(handler.records)) == expected
    assert app.calls == calls
