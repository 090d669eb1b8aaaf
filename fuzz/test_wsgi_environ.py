"""WSGI by CPython's C API and without it: the same environ, the same head, the same errors."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsgi_mirror import mirror
from wsgi_server import served

MIRROR = Path(__file__).with_name("wsgi_mirror.py")
TARGET = st.one_of(
    st.just("*"),
    st.text("ab/%2F0zé.?=&*\u00ff", max_size=12).map(lambda rest: "/" + rest),
    st.text("ab/%?é", max_size=8).map(lambda rest: "/caf\u00c3\u00a9" + rest),
    st.text("ab/%?", max_size=8).map(lambda rest: "/caf%C3%A9" + rest),
)
NAMES = ["Cookie", "cookie", "Content-Type", "X-A", "x-a", "X_A", "Proxy", "Accept", "X-Forwarded-For", "A!#$'*+.^`|~9"]
VALUE = st.text([chr(code) for code in (9, *range(32, 127), *range(160, 256))], max_size=12)
FIELD = st.tuples(st.one_of(st.sampled_from(NAMES), st.text("abZ-_9", min_size=1, max_size=6)), VALUE)
METHOD = st.sampled_from(["GET", "HEAD", "OPTIONS", "DELETE", "M-SEARCH", "X"])
TEXT = st.text([chr(code) for code in (9, 10, *range(32, 127), 233, 8364)], max_size=10)
HEAD_NAME = st.one_of(
    st.sampled_from(["Content-Length", "content-length", "Connection", "Transfer-Encoding", "Upgrade", "TE", "Server", "X-A"]),
    TEXT,
)
HEAD_VALUE = st.one_of(TEXT, st.sampled_from(["6", "06", " 6", "7", "x", "close", "keep-alive"]), st.none(), st.integers(0, 9))
HEAD = st.tuples(
    st.one_of(st.sampled_from(["200 OK", "200", "404 Not Found", "204 No Content", "99", "100 Go on"]), TEXT, st.none()),
    st.lists(st.one_of(st.tuples(HEAD_NAME, HEAD_VALUE), st.tuples(HEAD_NAME), st.none()), max_size=4),
)


@pytest.fixture(scope="module", params=["", "/caf\u00c3\u00a9", "/\u20ac"])
def ports(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    command = [sys.executable, str(MIRROR), request.param]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other, served(mirror, root_path=request.param) as one:
        try:
            assert other.stdout is not None
            yield one.port, int(other.stdout.readline())
        finally:
            other.terminate()


def ask(port: int, sent: bytes, times: int) -> list[bytes]:
    """Send a request several times over one connection, which may know it then; give the answers without their dates."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(10)
        connection.sendall(sent * times + b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        parts = []
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(65536):
                parts.append(part)
    lines = b"".join(parts).split(b"\r\n")
    return [line for line in lines if not line.startswith(b"Date: ")]


@given(METHOD, TARGET, st.lists(FIELD, max_size=8), st.sampled_from(["1.0", "1.1"]), st.integers(1, 3))
def test_environ(
    ports: tuple[int, int], method: str, target: str, fields: list[tuple[str, str]], version: str, times: int
) -> None:
    head = [f"{method} {target.replace(' ', '')} HTTP/{version}", "Host: x", "Connection: keep-alive"]
    head += [f"{name}: {value}" for name, value in fields]
    sent = "\r\n".join([*head, "", ""]).encode("latin-1")
    one, other = (ask(port, sent, times) for port in ports)
    assert one == other


@given(HEAD, st.integers(1, 3))
def test_head(ports: tuple[int, int], head: object, times: int) -> None:
    sent = b"GET / HTTP/1.1\r\nHost: x\r\nX-Answer: %b\r\n\r\n" % json.dumps(head).encode()
    one, other = (ask(port, sent, times) for port in ports)
    assert one == other
