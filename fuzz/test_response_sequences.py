"""Random methods on a response, in any order: the client gets one well-formed message, or a connection that is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers import Client, served

from socketify import ResponseCompression

data = st.binary(max_size=100) | st.text(max_size=50) | st.integers(20_000, 100_000).map(bytes)
small = st.integers(0, 50)
steps = st.one_of(
    st.tuples(st.just("write_status"), st.sampled_from([200, 201, 204, 304, 404, 500, "299 Fine"])),
    st.tuples(
        st.just("write_header"), st.sampled_from(["X-A", "Content-Length", "Connection"]), st.sampled_from(["5", "close", "x"])
    ),
    st.just(("write_header", "Content-Type", "text/plain")),
    st.tuples(st.just("write"), data),
    st.tuples(st.just("end"), data),
    st.tuples(st.just("cork_end"), data, st.booleans()),
    st.tuples(st.just("end_without_body")),
    st.tuples(st.just("send"), data, st.just("text/plain"), st.sampled_from([200, 204, 404])),
    st.tuples(st.just("try_end"), st.binary(max_size=60), small),
    st.tuples(st.just("redirect"), st.just("/x")),
    st.tuples(st.just("set_cookie"), st.just("a"), st.just("b")),
    st.tuples(st.just("write_continue")),
    st.tuples(st.just("pause")),
    st.tuples(st.just("resume")),
    st.tuples(st.just("close")),
    st.tuples(st.just("grab_aborted_handler")),
    st.tuples(st.just("get_write_offset")),
    st.tuples(st.just("write_offset"), small),
    st.tuples(st.just("sleep")),
)


class Plan:
    steps: Any = ()

    def __init__(self) -> None:
        self.errors: list[str] = []


@pytest.fixture(scope="module", params=[False, ResponseCompression(minimum_size=20)], ids=["as it is", "compressed"])
def setup(request: Any) -> Iterator[tuple[Any, Plan]]:
    plan = Plan()

    def act(res: Any, step: Any) -> None:
        try:
            getattr(res, step[0])(*step[1:])
        except (RuntimeError, ValueError) as error:
            plan.errors.append(str(error))

    async def handler(res: Any, _req: Any) -> None:
        for step in plan.steps:
            if step[0] == "sleep":
                await asyncio.sleep(0)
            else:
                act(res, step)
        if not res.has_responded():
            act(res, ("end", "rest"))

    def build(app: Any) -> None:
        app.any("/*", handler)

    with served(build, compress_responses=request.param) as server:
        yield server, plan


@given(
    plan=st.lists(steps, max_size=10),
    method=st.sampled_from(["GET", "HEAD", "POST"]),
    version=st.sampled_from([b"1.1", b"1.1", b"1.0"]),
)
def test_one_message_or_a_closed_connection(setup: Any, plan: Any, method: str, version: bytes) -> None:
    server, shared = setup
    shared.steps = plan
    shared.errors.clear()
    with Client(server) as client:
        got = client.request("/", method, [("Accept-Encoding", "gzip")], version)
        if got is not None:
            assert 200 <= got.status < 600
            assert len(got.get(b"content-length")) <= 1
            assert not (got.get(b"content-length") and got.get(b"transfer-encoding"))
            if method == "HEAD" or got.status in (204, 304):
                assert got.body == b""
            if got.status == 204:
                assert not got.get(b"content-length")
        if client.reusable:
            shared.steps = [("end", "again")]
            again = client.request()
            if again is None:
                # The head was out before the handler asked for the end of the connection, or cut a response without content.
                assert any((step[0] == "cork_end" and step[2]) or step[0] == "close" for step in plan)
            else:
                assert (again.status, again.body) == (200, b"again")
    assert all(shared.errors)
    # Whatever happened, others are served.
    shared.steps = [("end", "other")]
    with Client(server) as client:
        other = client.request()
        assert other is not None
        assert other.body == b"other"
