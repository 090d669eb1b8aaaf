"""`send` with any iterable of fields.

Either the client gets exactly the response that was asked for, or `send` raises, nothing of it is sent, and the handler can
answer otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers import Client, served

TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#: The server's own; each has a treatment of its own.
OWN = {b"content-length", b"transfer-encoding", b"connection", b"date", b"server", b"content-type"}
good_names = st.text(TOKEN, min_size=1, max_size=20) | st.sampled_from(
    ["Set-Cookie", "X-A", "Content-Length", "Transfer-Encoding", "Connection", "Date", "Server", "Content-Type"]
)
good_text = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f") | st.just("\t"), max_size=30)
good_values = good_text | good_text.map(lambda text: text.encode("latin-1")) | st.integers()
good_pairs = st.tuples(good_names | good_names.map(str.encode), good_values)
strange = st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.binary(max_size=5) | st.integers() | st.just([])
any_pairs = (
    good_pairs
    | st.tuples(st.text(max_size=8), st.text(max_size=8))
    | st.tuples(strange, strange)
    | st.lists(good_text, max_size=3)
    | strange
)
statuses = (
    st.sampled_from([200, "200 OK", b"200 OK", 404, 503, 299, "299 Fine"])
    | st.integers(-5, 1200)
    | st.text(max_size=6)
    | st.binary(max_size=6)
)
messages = st.text(max_size=50) | st.binary(max_size=50) | st.none() | st.dictionaries(st.text(max_size=5), st.integers())


class Given:
    """What the handler of the next request does, and what came of it."""

    def __init__(self) -> None:
        self.pairs: Any = ()
        self.status: Any = 200
        self.message: Any = b""
        self.shape = "list"
        self.error: BaseException | None = None

    def headers(self) -> Any:
        pairs = self.pairs
        if self.shape == "generator":
            return (pair for pair in pairs)
        if self.shape == "iterator":
            return iter(pairs)
        if self.shape == "tuple":
            return tuple(pairs)
        if self.shape == "dict":
            return dict(pairs)
        if self.shape == "raising":
            return self._raising(pairs)
        return pairs

    @staticmethod
    def _raising(pairs: Any) -> Iterator[Any]:
        yield from pairs
        message = "half-way"
        raise LookupError(message)


@pytest.fixture(scope="module")
def setup() -> Iterator[tuple[Any, Given]]:
    given = Given()

    def handler(res: Any, _req: Any) -> None:
        given.error = None
        try:
            res.send(given.message, status=given.status, headers=given.headers())
        except Exception as error:
            given.error = error
            res.send("fallback", status=555, headers=[("X-Fallback", "1")])

    with served(lambda app: app.any("/*", handler)) as server:
        yield server, given


def _as_bytes(part: Any) -> bytes:
    if isinstance(part, int):
        return b"%d" % part
    return part.encode("latin-1") if isinstance(part, str) else part


def _check_sent(message: Any, plan: Given) -> None:
    expected = [
        (_as_bytes(name).lower(), _as_bytes(value).strip(b" \t"))
        for name, value in plan.pairs
        if _as_bytes(name).lower() not in OWN
    ]
    assert [pair for pair in message.headers if pair[0] not in OWN] == expected
    assert len(message.get(b"date")) >= 1
    assert len(message.get(b"content-length")) <= 1
    assert message.complete
    assert b"transfer-encoding" not in dict(message.headers)


@given(
    pairs=st.lists(good_pairs, max_size=25),
    shape=st.sampled_from(["list", "tuple", "generator", "iterator"]),
    message=messages,
    method=st.sampled_from(["GET", "HEAD", "POST"]),
)
def test_valid_fields_arrive_as_they_are(setup: Any, pairs: Any, shape: str, message: Any, method: str) -> None:
    server, plan = setup
    plan.pairs, plan.shape, plan.message, plan.status = pairs, shape, message, 200
    with Client(server) as client:
        got = client.request("/", method)
        assert plan.error is None, plan.error
        assert got is not None
        assert got.status == 200
        _check_sent(got, plan)
        if method == "HEAD":
            assert got.body == b""


@given(
    pairs=st.lists(any_pairs, max_size=8),
    shape=st.sampled_from(["list", "tuple", "generator", "iterator", "raising"]),
    status=statuses,
    message=messages,
)
def test_one_message_or_an_error_that_can_be_answered(setup: Any, pairs: Any, shape: str, status: Any, message: Any) -> None:
    server, plan = setup
    plan.pairs, plan.shape, plan.message, plan.status = pairs, shape, message, status
    with Client(server) as client:
        got = client.request()
        assert got is not None
        assert got.complete
        if plan.error is not None:
            assert isinstance(plan.error, (TypeError, ValueError, LookupError))
            assert (got.status, got.body, got.get(b"x-fallback")) == (555, b"fallback", [b"1"])
            assert str(plan.error)
        else:
            assert shape != "raising"
            _check_sent(got, plan)
            assert got.status == int(re.match(rb"\d+", _as_bytes(status))[0])  # type: ignore[index]
        # The connection is as good as new, unless the response said that it ends.
        if client.reusable:
            plan.pairs, plan.shape, plan.status, plan.message = (), "list", 200, b"again"
            again = client.request()
            assert again is not None
            assert (again.status, again.body) == (200, b"again")
