"""Random WSGI applications and requests, under wsgiref.validate: no violation, and what was sent arrives."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import Any, Optional
from wsgiref.validate import WSGIWarning, validator

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers import Client
from wsgi_server import Served, served

TOKEN = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12)
VALUE = st.text([chr(code) for code in (*range(33, 127), *range(160, 256))], max_size=20)
#: The validator forbids what hop-by-hop fields are, and a Status.
NAME = TOKEN.filter(lambda name: name[-1] not in "-" and name[0] != "-").map(lambda name: "X-" + name)
METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
STATUS = st.sampled_from(
    ["200 OK", "201 Created", "404 Not Found", "500 Broken", "299 Strange", "204 No Content", "304 Not Modified"]
)

#: Bytes, and how often: large ones are not worth printing.
BLOCK = st.tuples(st.binary(max_size=30), st.sampled_from([1, 1, 1, 5_000, 20_000]))


@st.composite
def plans(draw: st.DrawFn) -> dict[str, Any]:
    """What an application does."""
    blocks = draw(st.lists(BLOCK, max_size=5))
    return {
        "reads": draw(st.lists(st.sampled_from(["read", "some", "line", "lines", "iterate"]), max_size=4)),
        "status": draw(STATUS),
        "headers": draw(st.lists(st.tuples(NAME, VALUE), max_size=4)),
        "sized": draw(st.booleans()),
        "blocks": blocks,
        "writes": draw(st.integers(0, len(blocks))),
        "shape": draw(st.sampled_from(["list", "tuple", "iterator", "lazy", "closing", "file"])),
        "replaced": draw(st.booleans()),
        "raises": draw(st.sampled_from([None] * 6 + ["app", "first", "late"])),
    }


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """What a client sends."""
    body = draw(st.one_of(st.none(), st.binary(max_size=100), st.just(20_000)))
    path = draw(st.lists(st.sampled_from(["a", "%20", "%C3%A9", "%", "//", ".", "..", "%00", "*"]), max_size=6).map("".join))
    query = draw(st.sampled_from(["", "?", "?a=b", "?%zz", "?a?b"]))
    return {
        "method": draw(METHODS),
        "target": "/" + path + query,
        "headers": draw(st.lists(st.tuples(NAME, VALUE), max_size=4)),
        "body": body,
        "chunked": draw(st.booleans()),
    }


class Closing:
    """An iterable that must be closed."""

    def __init__(self, app: Application, blocks: Any) -> None:
        self.app, self.blocks = app, blocks
        app.opened += 1

    def __iter__(self) -> Any:
        return iter(self.blocks)

    def close(self) -> None:
        self.app.opened -= 1


class Application:
    """Does what the plan says, and remembers what it saw."""

    def __init__(self) -> None:
        self.plan: dict[str, Any] = {}
        self.body: Optional[bytes] = None
        self.violations: list[BaseException] = []
        self.opened = 0
        self.guarded = validator(self.answer)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        try:
            result = self.guarded(environ, start_response)
        except AssertionError as error:
            self.violations.append(error)
            raise
        return Watched(self, result)

    def answer(self, environ: dict[str, Any], start_response: Any) -> Any:
        plan = self.plan
        self.body = self.read(environ["wsgi.input"], plan["reads"])
        if plan["raises"] == "app":
            raise LookupError("app")
        if plan["shape"] == "lazy":
            return self.lazily(environ, start_response)
        write = self.start(start_response)
        for block in plan["blocks"][: plan["writes"]]:
            write(block)
        rest = plan["blocks"][plan["writes"] :]
        if plan["shape"] == "file":
            return environ["wsgi.file_wrapper"](Reader(self, rest))
        if plan["shape"] in ("list", "tuple"):
            return tuple(rest) if plan["shape"] == "tuple" else rest
        return Closing(self, self.blocks(rest)) if plan["shape"] == "closing" else self.blocks(rest)

    def lazily(self, _environ: Any, start_response: Any) -> Iterator[bytes]:
        self.start(start_response)
        yield from self.blocks(self.plan["blocks"])

    def blocks(self, rest: list[bytes]) -> Iterator[bytes]:
        if self.plan["raises"] == "first":
            raise LookupError("first")
        yield from rest
        if self.plan["raises"] == "late":
            raise LookupError("late")

    def start(self, start_response: Any) -> Any:
        plan = self.plan
        headers = list(plan["headers"])
        if plan["status"][:3] not in ("204", "304"):
            headers.append(("Content-Type", "text/plain"))
        if plan["sized"]:
            headers.append(("Content-Length", str(sum(map(len, plan["blocks"])))))
        if plan["status"].startswith("204"):
            # RFC 9110 section 8.6, and the validator.
            headers = [field for field in headers if field[0] != "Content-Length"]
        write = start_response(plan["status"], headers)
        if plan["replaced"]:
            try:
                raise LookupError
            except LookupError:
                write = start_response(plan["status"], headers, sys.exc_info())
        return write

    @staticmethod
    def read(given: Any, ways: list[str]) -> bytes:
        parts: list[bytes] = []
        for way in ways:
            if way == "read":
                parts.append(given.read(1 << 20))
            elif way == "some":
                parts.append(given.read(7))
            elif way == "line":
                parts.append(given.readline())
            elif way == "lines":
                parts.extend(given.readlines(10))
            else:
                parts.extend(given)
        return b"".join([*parts, given.read(1 << 24)])


class Reader:
    """A file-like object that has no descriptor."""

    def __init__(self, app: Application, blocks: list[bytes]) -> None:
        self.data = b"".join(blocks)
        self.app = app
        app.opened += 1

    def read(self, size: int) -> bytes:
        data, self.data = self.data[:size], self.data[size:]
        return data

    def close(self) -> None:
        self.app.opened -= 1


class Watched:
    """The validator's iterable, whose complaints are remembered."""

    def __init__(self, app: Application, result: Any) -> None:
        self.app, self.result, self.iterator = app, result, None
        app.opened += 1

    def __iter__(self) -> Watched:
        self.iterator = iter(self.result)
        return self

    def __next__(self) -> bytes:
        try:
            return next(self.iterator)  # type: ignore[call-overload,no-any-return]
        except AssertionError as error:
            self.app.violations.append(error)
            raise

    def close(self) -> None:
        try:
            self.result.close()
        except AssertionError as error:
            self.app.violations.append(error)
            raise
        finally:
            self.app.opened -= 1


@pytest.fixture(scope="module", params=[1, 3], ids=["loop", "threads"])
def one(request: Any) -> Iterator[tuple[Served, Application]]:
    app = Application()
    logger = logging.getLogger("socketify")
    level = logger.level
    # Applications that raise are what is wanted here.
    logger.setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WSGIWarning)
        with served(app, threads=request.param) as server:
            yield server, app
    logger.setLevel(level)
    # Whatever happened, close was called.
    assert app.opened == 0


def send(client: Any, asked: dict[str, Any]) -> Any:
    headers = [(name, value.encode("latin-1")) for name, value in asked["headers"]]
    body = asked["body"]
    if body is None:
        return client.request(asked["target"], asked["method"], headers)
    framing = ("Transfer-Encoding", "chunked") if asked["chunked"] else ("Content-Length", str(len(body)))
    head = h11.Request(method=asked["method"], target=asked["target"], headers=[("Host", "fuzz"), *headers, framing])
    connection = client._h11
    if connection.our_state is h11.DONE:
        connection.start_next_cycle()
    data = [connection.send(head), connection.send(h11.Data(data=body)), connection.send(h11.EndOfMessage())]
    client._socket.sendall(b"".join(data))
    return client._read()


@given(exchanges=st.lists(st.tuples(requests(), plans()), min_size=1, max_size=4))
def test_no_violation(one: tuple[Served, Application], exchanges: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    server, app = one
    app.violations.clear()
    client: Any = None
    with contextlib.ExitStack() as stack:
        for given_request, planned in exchanges:
            plan = {**planned, "blocks": [data * count for data, count in planned["blocks"]]}
            asked = given_request.copy()
            if isinstance(asked["body"], int):
                asked["body"] = b"line\n" * asked["body"]
            app.plan, app.body = plan, None
            if client is None or client._h11.our_state is not h11.DONE:
                client = stack.enter_context(Client(server))
            message = send(client, asked)
            check(asked, plan, message, app)
            # What looks complete because it has no body may have been cut all the same.
            if plan["raises"] or message is None or client._h11.their_state is not h11.DONE:
                client = None
    assert not app.violations, app.violations


def check(asked: dict[str, Any], plan: dict[str, Any], message: Any, app: Application) -> None:
    assert app.body == (asked["body"] or b"")
    body = b"".join(plan["blocks"])
    # A list or file has no code of its own that could raise, and write sends what comes before it.
    raises = plan["raises"]
    if raises in ("first", "late") and plan["shape"] in ("list", "tuple", "file"):
        raises = None
    status = int(plan["status"][:3])
    mute = asked["method"] == "HEAD" or status in (204, 304)
    if raises is not None:
        # Either 500, or what was begun is cut, or its length was complete before.
        assert message is None or message.status in (500, status)
        return
    assert message is not None
    assert message.complete
    assert message.status == status
    assert message.body == (b"" if mute else body)
    for name, value in plan["headers"]:
        assert value.encode("latin-1") in message.get(name.lower().encode())
    lengths = message.get(b"content-length")
    if plan["sized"] and status != 204:
        assert lengths == [str(len(body)).encode()]
