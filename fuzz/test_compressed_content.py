"""Whatever an application sends in whatever pieces, and whatever the client accepts: the decoded content is what was sent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any, ClassVar

import httpx
import pytest
from content_codings import decoded
from hypothesis import given
from hypothesis import strategies as st
from servers import served as served_app
from wsgi_server import served

from socketify import ASGI, SSGI, WSGI, ResponseCompression
from socketify.wire.content_codings import choose_coding

CODINGS = ("zstd", "br", "gzip")
#: Of letters that compress, and of bytes that do not; short ones and such as do not fit into one turn of the loop.
words = st.binary(min_size=1, max_size=40)
pieces = st.one_of(
    st.just(b""), words, st.tuples(words, st.integers(1, 3000)).map(lambda pair: pair[0] * pair[1]), st.binary(max_size=400)
)
large = st.tuples(words, st.integers(3000, 9000)).map(lambda pair: pair[0] * pair[1])
weight = st.sampled_from(["", ";q=0", ";q=0.3", ";q=1", ";q=x"])
accepts = st.lists(
    st.tuples(st.sampled_from([*CODINGS, "identity", "*", "deflate", "GZIP"]), weight).map("".join), max_size=4, unique=True
).map(", ".join)
#: How App sends them; applications of other interfaces have one way.
ways = st.sampled_from(["write", "write_and_wait", "send", "try_end", "send_chunk", "cork"])


class Plan:
    pieces: ClassVar[list[bytes]] = []
    way = "write"
    has_length = False


async def app_handler(res: Any, _req: Any) -> None:
    plan = Plan
    content = b"".join(plan.pieces)
    if plan.way == "send":
        res.send(content)
        return
    res.write_header("Content-Type", "text/plain")
    if plan.way == "cork":
        res.cork(lambda res: [res.write(piece) for piece in plan.pieces])
    elif plan.way == "try_end":
        res.on_writable(lambda res, offset: res.try_end(content[offset:], len(content)))
        res.try_end(content, len(content))
        return
    elif plan.way == "send_chunk":
        for piece in plan.pieces or [b""]:
            if not res.has_responded():
                await res.send_chunk(piece, len(content))
        return
    else:
        for piece in plan.pieces:
            res.write(piece)
            if plan.way == "write_and_wait":
                await asyncio.sleep(0)
    res.end()


def fields() -> list[tuple[str, str]]:
    content = b"".join(Plan.pieces)
    return [("Content-Type", "text/plain")] + ([("Content-Length", str(len(content)))] if Plan.has_length else [])


async def asgi(scope: Any, _receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    headers = [[name.encode(), value.encode()] for name, value in fields()]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for piece in Plan.pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body"})


def wsgi(_environ: Any, start_response: Any) -> Any:
    write = start_response("200 OK", fields())
    if Plan.way.startswith("write"):
        for piece in Plan.pieces:
            write(piece)
        return []
    return list(Plan.pieces) if Plan.way == "send" else iter(Plan.pieces)


def ssgi(*arguments: Any) -> None:
    res = arguments[-1]
    res.send_headers([("Content-Type", "text/plain")])
    for piece in Plan.pieces:
        res.send(piece, has_more=True)
    res.send(b"")


@pytest.fixture(scope="module")
def clients() -> Iterator[list[httpx.Client]]:
    options: dict[str, Any] = {"compress_responses": ResponseCompression(CODINGS, minimum_size=20)}
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        made: list[Any] = [enter(served_app(lambda app: app.get("/", app_handler), **options))]
        made += [enter(served(asgi, ASGI, **options)), enter(served(ssgi, SSGI, **options))]
        made += [enter(served(wsgi, WSGI, threads=threads, **options)) for threads in (1, 2)]
        yield [enter(httpx.Client(base_url=each.url, timeout=20)) for each in made]


@given(
    sent=st.lists(pieces, max_size=6) | st.lists(pieces | large, max_size=4),
    field=accepts,
    way=ways,
    has_length=st.booleans(),
    which=st.integers(0, 4),
    method=st.sampled_from(["GET", "GET", "GET", "HEAD"]),
)
def test_decoded_content_is_what_was_sent(
    clients: Any, sent: list[bytes], field: str, way: str, has_length: bool, which: int, method: str
) -> None:
    Plan.pieces, Plan.way, Plan.has_length = sent, way, has_length
    with clients[which].stream(method, "/", headers={"accept-encoding": field}) as response:
        raw = b"".join(response.iter_raw())
    coding = response.headers.get("content-encoding")
    content = b"".join(sent)
    assert response.status_code == 200
    if method == "HEAD":
        assert raw == b""
        return
    assert decoded(coding, raw) == content
    wanted, refuses_identity = choose_coding(field, CODINGS)
    assert coding in (None, wanted)
    if len(content) >= 20:
        assert coding == wanted
    if wanted is not None and refuses_identity and content:
        assert coding == wanted
    if coding is not None:
        assert response.headers["vary"] == "Accept-Encoding"
