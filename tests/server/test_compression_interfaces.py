"""Compression under every interface: content and lengths are what the application said, before they are coded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import httpx
import pytest
from app_servers import TLS
from content_codings import CODINGS, decoded
from wsgi_server import served

from socketify import ASGI, SSGI, WSGI

pytestmark = pytest.mark.skipif(TLS is not None, reason="the servers here speak plain HTTP")

LARGE = "".join(f"{number} of many lines\n" for number in range(40_000)).encode()
TEXT = LARGE[:5000]
WAYS = ("whole", "large", "pieces", "sized", "sized_pieces", "large_pieces", "nothing", "small", "identity")
EXPECTED = {
    "whole": TEXT,
    "large": LARGE,
    "pieces": TEXT * 3,
    "sized": LARGE,
    "sized_pieces": TEXT * 3,
    "large_pieces": LARGE * 3,
    "nothing": b"",
    "small": b"small",
    "identity": TEXT,
}


def parts_of(way: str) -> list[bytes]:
    text = LARGE if way.startswith("large") or way == "sized" else b"small" if way == "small" else TEXT
    return [text] * 3 if way.endswith("pieces") else [] if way == "nothing" else [text]


def fields_of(way: str) -> list[tuple[str, str]]:
    fields = [("Content-Type", "text/plain"), ("ETag", '"a"')]
    if way.startswith("sized"):
        fields.append(("Content-Length", str(len(EXPECTED[way]))))
    if way == "identity":
        fields.append(("Content-Encoding", "identity"))
    return fields


async def asgi(scope: Any, _receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    way = scope["path"][1:]
    fields = [[name.lower().encode(), value.encode()] for name, value in fields_of(way)]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    parts = parts_of(way)
    for part in parts[:-1]:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": parts[-1] if parts else b""})


def wsgi(environ: Any, start_response: Any) -> Any:
    way = environ["PATH_INFO"][1:]
    start_response("200 OK", fields_of(way))
    parts = parts_of(way)
    return parts if len(parts) < 2 else (part for part in parts)


def ssgi(_kind: str, _server: Any, _remote: Any, _method: str, path: str, _query: str, _get_header: Any, res: Any) -> None:
    way = path[1:]
    parts = parts_of(way) or [b""]
    res.send_headers(fields_of(way))
    for part in parts[:-1]:
        res.send(part, has_more=True)
    res.send(parts[-1])


SERVERS = {
    "asgi": (asgi, ASGI, {}),
    "wsgi": (wsgi, WSGI, {}),
    "wsgi threads": (wsgi, WSGI, {"threads": 2}),
    "ssgi": (ssgi, SSGI, {}),
}


@pytest.fixture(scope="module", params=SERVERS)
def url(request: Any) -> Iterator[str]:
    application, interface, options = SERVERS[request.param]
    with served(application, interface, compress_responses=True, **options) as one:
        yield one.url


def get(url: str, accepts: str, method: str = "GET") -> tuple[httpx.Response, bytes]:
    with httpx.stream(method, url, headers={"accept-encoding": accepts}, timeout=20) as response:
        return response, b"".join(response.iter_raw())


@pytest.mark.parametrize("coding", [*CODINGS, "identity"])
@pytest.mark.parametrize("way", WAYS)
def test_content_is_what_the_application_sent(url: str, way: str, coding: str) -> None:
    response, sent = get(f"{url}/{way}", coding)
    got: Optional[str] = response.headers.get("content-encoding")
    assert decoded(got, sent) == EXPECTED[way]
    is_coded = coding != "identity" and way not in ("nothing", "small", "identity")
    assert got == (coding if is_coded else None)
    assert response.headers["etag"] == ('W/"a"' if is_coded else '"a"')
    assert ("vary" in response.headers) == (way not in ("nothing", "small", "identity"))
    head, sent = get(f"{url}/{way}", coding, "HEAD")
    assert (head.status_code, sent) == (200, b"")


def test_asgi_trailers_files_and_lengths(tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    path.write_bytes(LARGE)
    errors = []

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        way = scope["path"][1:]
        fields = [[b"content-type", b"text/plain"]]
        if way in ("short", "beyond"):
            fields.append([b"content-length", b"5000"])
        await send({"type": "http.response.start", "status": 200, "headers": fields, "trailers": way == "trailers"})
        if way == "trailers":
            await send({"type": "http.response.body", "body": LARGE})
            await send({"type": "http.response.trailers", "headers": [[b"x-after", b"1"]]})
        elif way == "pathsend":
            await send({"type": "http.response.pathsend", "path": str(path)})
        elif way == "zerocopysend":
            with path.open("rb") as file:
                await send({"type": "http.response.zerocopysend", "file": file, "more_body": True})
            await send({"type": "http.response.body", "body": b" end"})
        else:
            try:
                await send({"type": "http.response.body", "body": b"x" * 4000, "more_body": True})
                await send({"type": "http.response.body", "body": b"" if way == "short" else b"x" * 1001})
            except RuntimeError as error:
                errors.append(str(error))
                raise

    with served(app, ASGI, compress_responses=True, pathsend=True) as one:
        for way, text in (("trailers", LARGE), ("pathsend", LARGE), ("zerocopysend", LARGE + b" end")):
            response, sent = get(f"{one.url}/{way}", "gzip")
            assert decoded(response.headers["content-encoding"], sent) == text
        request = b"GET /trailers HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
        assert one.raw(request).endswith(b"\r\n0\r\nx-after: 1\r\n\r\n")
        for way in ("short", "beyond"):
            with contextlib.suppress(httpx.HTTPError):
                get(f"{one.url}/{way}", "gzip")
    assert len(errors) == 2
    assert "shorter" in errors[0]
    assert "Content-Length" in errors[1]


def test_wsgi_files_and_lengths(tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    path.write_bytes(LARGE)

    def app(environ: Any, start_response: Any) -> Any:
        fields = [("Content-Type", "text/plain")]
        if environ["PATH_INFO"] == "/file":
            start_response("200 OK", fields)
            return environ["wsgi.file_wrapper"](path.open("rb"))
        write = start_response("200 OK", [*fields, ("Content-Length", "5000")])
        write(b"x" * 2000)
        return [b"x" * 9000] if environ["PATH_INFO"] == "/beyond" else [b"x" * 3000]

    for threads in (1, 2):
        with served(app, WSGI, compress_responses=True, threads=threads) as one:
            for target, text in (("/file", LARGE), ("/", b"x" * 5000), ("/beyond", b"x" * 5000)):
                response, sent = get(one.url + target, "gzip")
                assert decoded(response.headers["content-encoding"], sent) == text
