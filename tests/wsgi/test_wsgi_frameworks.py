"""Flask, Django and Falcon on the WSGI server."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import wsgi_frameworks
from wsgi_server import Served, served


@pytest.fixture(params=[(name, threads) for name in wsgi_frameworks.APPLICATIONS for threads in (1, 3)], ids=str)
def one(request: Any) -> Iterator[Served]:
    name, threads = request.param
    pytest.importorskip(name)
    logging.getLogger("django.request").setLevel(logging.CRITICAL)
    with served(wsgi_frameworks.APPLICATIONS[name](), threads=threads) as server:
        yield server


def test_requests(one: Served) -> None:
    with httpx.Client(base_url=one.url) as client:
        for name in ("Ann", "é"):
            got = client.get(f"/hello/{name}", params={"q": "ü"})
            assert got.json() == {"name": name, "q": "ü", "ip": "127.0.0.1"}
        assert client.head("/hello/Ann").status_code in (200, 405)
        assert client.get("/none").status_code == 404


def test_uploads(one: Served) -> None:
    files = {"a": ("a.txt", b"x" * 3_000_000), "b": ("b.txt", b"y" * 10)}
    assert httpx.post(one.url + "/upload", files=files).text == "3000010"
    assert httpx.post(one.url + "/body", content=b"x" * 2_000_000).text == "2000000"
    # Chunked.
    assert httpx.post(one.url + "/body", content=iter([b"x" * 100_000, b"y"])).text == "100001"


def test_streams_and_files(one: Served) -> None:
    with httpx.Client(base_url=one.url) as client:
        assert client.get("/stream").text == "".join(f"{number}\n" for number in range(100))
        assert client.get("/file").content == Path(wsgi_frameworks.__file__).read_bytes()
        assert client.get("/memory").content == wsgi_frameworks.CONTENT
        assert client.get("/async").text == "async"
        assert client.get("/error").status_code == 500
        assert client.get("/hello/still").json()["name"] == "still"
