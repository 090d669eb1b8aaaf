"""Every HTTP example, started as a user would, and spoken to by httpx."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import httpx
import pytest
from websockets.sync.client import connect

#: The tree that is tested, whether or not a version is installed.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
EXAMPLES = Path(__file__).parents[2] / "examples"


@contextlib.contextmanager
def started(name: str, argument: str = "0") -> Iterator[tuple[Any, str]]:
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), argument]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT) as program:
        try:
            assert program.stdout is not None
            line = ""
            while not line.startswith("listening"):
                line = program.stdout.readline()
                assert line, program.communicate()
            yield program, f"http://127.0.0.1:{line.split()[-1]}"
        finally:
            program.send_signal(signal.SIGTERM)
            output, errors = program.communicate(timeout=20)
            assert program.returncode == -signal.SIGTERM, (output, errors)


def _hello(url: str) -> None:
    assert httpx.get(url).text == "Hello, World!"


def _json(url: str) -> None:
    assert httpx.get(url).json() == {"message": "Hello, World!"}
    assert httpx.post(url, json=[1, "é"]).json() == [1, "é"]
    assert httpx.post(url, content="{").status_code == 400


def _extensions(url: str) -> None:
    for _ in range(2):
        assert httpx.get(url, headers={"accept-language": "de,en"}).json() == {"ok": True, "data": ["de"]}


def _decorator_router(url: str) -> None:
    assert httpx.get(url + "/api/hello").status_code == 401
    assert httpx.get(url + "/api/hello", headers={"x-user": "Ann"}).text == "Hello, Ann!"
    assert httpx.get(url + "/api/users/7", headers={"x-user": "Ann"}).json() == {"id": "7", "asked_by": "Ann"}


def _middleware(url: str) -> None:
    assert httpx.get(url + "?user=Ann").json() == {"name": "Ann"}
    assert httpx.get(url).status_code == 403


def _upload(url: str) -> None:
    got = httpx.post(url, data={"title": "t"}, files={"file": ("f", b"x" * 500_000)})
    assert got.json() == {"title": "t", "bytes": 500_000}
    assert httpx.post(url, files={"file": ("f", b"x" * 10_000_001)}).status_code == 413


def _streaming(url: str) -> None:
    got = httpx.get(url)
    assert (got.text, got.headers["transfer-encoding"]) == ("0\n1\n2\n3\n4\n", "chunked")


def _backpressure(url: str) -> None:
    with httpx.stream("GET", url) as got:
        assert sum(len(piece) for piece in got.iter_raw()) == int(got.headers["content-length"]) == 50 * 1024 * 1024


def _static_files(url: str) -> None:
    got = httpx.get(url + "/examples/hello.py")
    assert got.text == (EXAMPLES / "hello.py").read_text()
    assert httpx.get(url + "/examples/hello.py", headers={"if-none-match": got.headers["etag"]}).status_code == 304
    assert httpx.get(url + "/source", headers={"range": "bytes=0-2"}).text == '"""'


def _mount(url: str) -> None:
    assert httpx.get(url).text == "a native route"
    assert httpx.get(url + "/api/users/7").json() == {"number": 7}
    assert httpx.get(url + "/api/users/x").status_code == 422
    assert httpx.get(url + "/admin/").text == "the admin's overview"


def _threads(url: str) -> None:
    assert httpx.get(url + "/primes/many").status_code == 400
    told: set[str] = set()
    with connect(url.replace("http", "ws") + "/found") as page:
        deadline = time.monotonic() + 20
        while len(told) < 2:
            assert time.monotonic() < deadline
            assert httpx.get(url + "/primes/100").text.startswith("25 primes below 100, says ")
            # Whichever thread it is connected to, once the other ones know what it wants.
            with contextlib.suppress(TimeoutError):
                told.add(str(page.recv(timeout=0.5)))


def _sessions(url: str) -> None:
    with httpx.Client(base_url=url, follow_redirects=True) as client:
        assert client.get("/").json() == {"name": None, "visits": 1}
        assert client.post("/login", data={"name": "Ann"}).json() == {"name": "Ann", "visits": 2}
        assert client.post("/logout").json() == {"name": None, "visits": 1}
        assert client.post("/login").status_code == 400


def _sse(url: str) -> None:
    assert "EventSource" in httpx.get(url).text
    for name in ("Ann", "Bob"):
        httpx.post(url + "/join", content=name)
    with httpx.stream("GET", url + "/events", headers={"last-event-id": "1"}) as got:
        lines = got.iter_lines()
        assert [next(lines) for _ in range(4)] == ["retry: 1000", "", "id: 2", "data: Bob"]
        httpx.post(url + "/join", content="Eve")
        assert [next(lines) for _ in range(3)] == ["", "id: 3", "data: Eve"]
    for other in ("none", "99", "9" * 5000):
        with httpx.stream("GET", url + "/events", headers={"last-event-id": other}) as got:
            assert "data: Ann" in got.iter_lines()


def _testing(url: str) -> None:
    assert httpx.post(url + "/notes", json="milk").json() == {"number": 1}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, str(EXAMPLES / "testing.py")],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "3 passed" in done.stdout, done.stdout + done.stderr


def _templates(url: str) -> None:
    assert httpx.get(url, params={"name": "<b>"}).text == "<h1>Hello, &lt;b&gt;!</h1>"


def _error_handling(url: str) -> None:
    assert (httpx.get(url + "/pay").status_code, httpx.get(url + "/pay").json()) == (402, {"error": "pay first"})
    assert httpx.get(url + "/divide/4").json() == 0.25
    assert (httpx.get(url + "/divide/0").status_code, httpx.get(url + "/x").status_code) == (500, 404)


def _upper(url: str) -> None:
    assert httpx.get(url).text == "Hello, World!"
    assert httpx.post(url, content="one\ntwo\n").text == "ONE\nTWO\n"


def _ssgi(url: str) -> None:
    assert httpx.get(url).text == "Hello, World!"
    assert httpx.post(url, content="data").text == "data"
    with connect(url.replace("http", "ws")) as ws:
        ws.send("hello")
        assert ws.recv() == "hello"


CHECKS: dict[str, Callable[[str], None]] = {
    "hello": _hello,
    "asgi": _hello,
    "async_handler": _hello,
    "json_serializer": _json,
    "extensions": _extensions,
    "decorator_router": _decorator_router,
    "middleware": _middleware,
    "upload": _upload,
    "streaming": _streaming,
    "backpressure": _backpressure,
    "static_files": _static_files,
    "mount": _mount,
    "threads": _threads,
    "sessions": _sessions,
    "sse": _sse,
    "testing": _testing,
    "templates": _templates,
    "error_handling": _error_handling,
    "wsgi": _upper,
    "ssgi": _ssgi,
}


@pytest.mark.parametrize("name", CHECKS)
def test_example(name: str) -> None:
    with started(name) as (_program, url):
        CHECKS[name](url)


def test_graceful_shutdown() -> None:
    with started("graceful_shutdown") as (program, url):
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 10) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            time.sleep(0.25)
            program.send_signal(signal.SIGTERM)
            assert client.recv(1000).endswith(b"finished")
        assert program.wait(10) == -signal.SIGTERM


def test_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with started("unix_socket", path), httpx.Client(transport=httpx.HTTPTransport(uds=path)) as client:
        assert client.get("http://any/").text == "Hello over a Unix-domain socket!"
