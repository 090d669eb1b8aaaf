"""Multipart forms whose parts are taken as they arrive."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Iterator
from typing import Any, Callable

import httpx
import pytest

from socketify import App, BadRequestError, HTTPError, Limits, Request, Response

FORM = {"title": "é", "empty": ""}


async def show(res: Response, req: Request) -> None:
    parts = []
    async for part in res.stream_form(req):
        content = await part.read()
        parts.append([part.name, part.filename, part.content_type, content.decode(), part.size])
    res.send(parts)


async def digest(res: Response, req: Request) -> None:
    found = {}
    async for part in res.stream_form(req):
        if part.filename is None:
            found[part.name] = await part.text()
            continue
        sha = hashlib.sha256()
        async for piece in part:
            sha.update(piece)
        found[part.name] = sha.hexdigest()
    res.send(found)


async def only_names(res: Response, req: Request) -> None:
    res.send([part.name async for part in res.stream_form(req)])


async def a_piece_of_each(res: Response, req: Request) -> None:
    names = []
    async for part in res.stream_form(req):
        async for _piece in part:
            names.append(part.name)
            break
    res.send(names)


async def bounded(res: Response, req: Request) -> None:
    async for part in res.stream_form(req, max_parts=2, max_part_size=100_000):
        await part.read()
    res.end("taken")


async def small(res: Response, req: Request) -> None:
    async for part in res.stream_form(req):
        await part.text(10)
    res.end("taken")


async def stops(res: Response, req: Request) -> None:
    async for _part in res.stream_form(req):
        break
    res.end("enough")


async def late(res: Response, req: Request) -> None:
    await asyncio.sleep(0)
    await show(res, req)


@pytest.fixture
def url(serve: Callable[..., Any]) -> str:
    def build(app: App) -> None:
        for handler in (show, digest, only_names, a_piece_of_each, bounded, small, stops, late):
            app.post(f"/{handler.__name__}", handler)

    served: str = serve(build).url
    return served


@pytest.mark.parametrize("path", ["/show", "/late"])
def test_parts(url: str, path: str) -> None:
    got = httpx.post(url + path, data=FORM, files=[("file", ("a.txt", b"x" * 3, "text/plain")), ("file", ("b", b""))])
    assert got.json() == [
        ["title", None, None, "é", 2],
        ["empty", None, None, "", 0],
        ["file", "a.txt", "text/plain", "xxx", 3],
        ["file", "b", "application/octet-stream", "", 0],
    ]


def test_no_parts(url: str) -> None:
    got = httpx.post(url + "/show", content=b"--b--\r\n", headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert got.json() == []


def test_large_files(url: str) -> None:
    contents = [bytes(range(256)) * 20_000, b"\r\n--" * 300_000]
    files = {f"file{number}": (f"{number}", content) for number, content in enumerate(contents)}
    got = httpx.post(url + "/digest", data={"title": "t"}, files=files, timeout=30)
    assert got.json() == {"title": "t", **{f"file{i}": hashlib.sha256(each).hexdigest() for i, each in enumerate(contents)}}
    assert httpx.post(url + "/only_names", data=FORM, files=files).json() == [*FORM, "file0", "file1"]
    assert httpx.post(url + "/a_piece_of_each", data=FORM, files=files).json() == ["title", "file0", "file1"]


def test_what_was_not_taken_is_no_trouble(url: str) -> None:
    with httpx.Client() as client:
        for _ in range(2):
            assert client.post(url + "/stops", files={"file": ("a", b"x" * 100_000)}).text == "enough"


@pytest.mark.parametrize(
    ("path", "request_", "status"),
    [
        ("/bounded", {"files": {"a": ("a", b"x" * 100_000)}}, 200),
        ("/bounded", {"files": {"a": ("a", b"x" * 100_001)}}, 413),
        ("/bounded", {"files": [("a", ("a", b"x"))] * 3}, 413),
        ("/small", {"files": {"a": ("a", b"x" * 10)}}, 200),
        ("/small", {"files": {"a": ("a", b"x" * 11)}}, 413),
        ("/small", {"files": {"a": ("a", b"\xff")}}, 400),
        ("/only_names", {"files": [("a", ("a", b"x"))] * 1001}, 413),
        ("/show", {"json": {}}, 415),
        ("/show", {"data": {"a": "b"}}, 415),
        ("/show", {}, 415),
        ("/show", {"content": b"a", "headers": {"Content-Type": "multipart/form-data"}}, 400),
        ("/show", {"content": b"", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, 400),
        ("/show", {"content": b"--b\r\nnonsense", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, 400),
        (
            "/show",
            {
                "content": b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nnever ends',
                "headers": {"Content-Type": "multipart/form-data; boundary=b"},
            },
            400,
        ),
    ],
)
def test_limits_and_what_is_no_form(url: str, path: str, request_: Any, status: int) -> None:
    assert httpx.post(url + path, **request_).status_code == status


def test_pieces_arrive_while_the_client_sends(serve: Callable[..., Any]) -> None:
    arrived = threading.Event()

    async def handler(res: Response, req: Request) -> None:
        async for part in res.stream_form(req):
            async for _piece in part:
                arrived.set()
        res.end("all of it")

    def body() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n' + b"x" * 1000
        assert arrived.wait(20)
        yield b"\r\n--b--\r\n"

    server = serve(lambda app: app.post("/", handler))
    assert (
        httpx.post(server.url, content=body(), headers={"Content-Type": "multipart/form-data; boundary=b"}).text == "all of it"
    )


def test_a_slow_handler_holds_the_client_up(serve: Callable[..., Any]) -> None:
    """What has arrived and was not taken is bounded, and all of it is there in the end."""
    taken = []

    async def handler(res: Response, req: Request) -> None:
        async for part in res.stream_form(req):
            async for piece in part:
                taken.append(len(piece))
                await asyncio.sleep(0)
        res.end(str(sum(taken)))

    server = serve(lambda app: app.post("/", handler), limits=Limits(max_body_size=30_000_000))
    got = httpx.post(server.url, files={"a": ("a", b"x" * 20_000_000)}, timeout=60)
    assert got.text == "20000000"
    assert max(taken) < 2_000_000


def test_a_client_that_leaves(serve: Callable[..., Any]) -> None:
    seen: list[BaseException] = []
    done = threading.Event()

    async def handler(res: Response, req: Request) -> None:
        try:
            async for part in res.stream_form(req):
                await part.skip()
        except HTTPError as error:
            seen.append(error)
            done.set()
            raise

    server = serve(lambda app: app.post("/", handler))
    with server.connect() as connection:
        head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000\r\n\r\n"
        connection.sendall(head.encode() + b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n')
    assert done.wait(20)
    assert isinstance(seen[0], BadRequestError)
    assert "left" in str(seen[0])


def test_mistakes(serve: Callable[..., Any]) -> None:
    async def twice(res: Response, req: Request) -> None:
        wrong: dict[str, Any]
        for wrong in ({"max_parts": 0}, {"max_parts": 1001}, {"max_parts": "1"}, {"max_part_size": -1}, {"max_part_size": 1.5}):
            with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be an int"):
                res.stream_form(req, **wrong)
        res.stream_form(req)
        with pytest.raises(RuntimeError, match="already"):
            res.stream_form(req)
        res.end("once")
        with pytest.raises(RuntimeError, match="ended"):
            res.stream_form(req)

    server = serve(lambda app: app.post("/", twice))
    assert httpx.post(server.url, files={"a": ("a", b"x")}).text == "once"
