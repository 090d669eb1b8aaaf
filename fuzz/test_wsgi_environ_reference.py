"""Every request gets the environ that it alone would get, whatever was asked before and by whom."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsgi_mirror import mirror_all
from wsgi_reference import UNIX, Ends, environ_of
from wsgi_server import Served, served

MIRROR = Path(__file__).with_name("wsgi_mirror.py")
CONNECTIONS = 3
AUTHORITY = st.sampled_from(["a", "good", "b:80", "[::1]:8"])
METHOD = st.one_of(
    st.sampled_from(["GET", "GET", "HEADER", "OPTIONS", "BASELINE-CONTROL"]),
    st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ-", min_size=1, max_size=32).filter(lambda method: method not in ("HEAD", "CONNECT")),
)
PATH = st.one_of(st.sampled_from(["/", "/x", "/caf%C3%A9"]), st.text("ab/%2F0z.", max_size=8).map(lambda rest: "/" + rest))
QUERY = st.sampled_from(["", "", "?", "?a", "??", "?a=b&c=%20"])
NAMES = ["Cookie", "Content-Type", "X-A", "x-a", "X_A", "Proxy", "Accept", "Host-"]
VALUE = st.sampled_from(["", "a", "good", "\t b  ", "\u00e9\u00ff"])
FIELD = st.tuples(st.sampled_from(NAMES), VALUE)


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    method = draw(METHOD)
    form = draw(st.sampled_from(["origin", "absolute", "absolute", "asterisk"]))
    target = draw(PATH) + draw(QUERY)
    if form == "absolute":
        scheme = draw(st.sampled_from(["http", "HTTP", "https"]))
        target = f"{scheme}://{draw(AUTHORITY)}" + (target if draw(st.booleans()) else draw(QUERY))
    elif form == "asterisk":
        method, target = "OPTIONS", "*"
    version = draw(st.sampled_from(["HTTP/1.1", "HTTP/1.1", "HTTP/1.0"]))
    fields = draw(st.lists(FIELD, max_size=4))
    if version == "HTTP/1.0":
        fields.append(("Connection", "keep-alive"))
    if version == "HTTP/1.1" or draw(st.booleans()):
        fields.insert(draw(st.integers(0, len(fields))), ("Host", draw(st.one_of(AUTHORITY, st.just("")))))
    lines = [f"{method} {target} {version}", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode("latin-1")


@st.composite
def sequences(draw: st.DrawFn) -> list[tuple[int, bytes]]:
    """Requests, and over which connection they go; most repeat themselves or resemble each other."""
    known = draw(st.lists(heads(), min_size=1, max_size=4))
    return draw(st.lists(st.tuples(st.integers(0, CONNECTIONS - 1), st.sampled_from(known)), min_size=1, max_size=12))


def ask(connection: socket.socket, head: bytes) -> Any:
    connection.sendall(head)
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(65536)
        assert part, received
        received += part
    answer, _, body = received.partition(b"\r\n\r\n")
    length = int(answer.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return json.loads(body)


def ends_of(connection: socket.socket) -> Ends:
    if connection.family == socket.AF_UNIX:
        return UNIX
    client, server = connection.getsockname(), connection.getpeername()
    return client[0], str(client[1]), server[0], str(server[1])


class Foreign(Served):
    """Served by another process."""

    def __init__(self, port: int) -> None:
        self.port, self.unix = port, None


@pytest.fixture(scope="module", params=["tcp", "unix", "without CPython's C API", "mounted"])
def one(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str]]:
    root_path = "/caf\u00c3\u00a9" if request.param == "mounted" else ""
    if request.param.startswith("without"):
        command = [sys.executable, str(MIRROR), root_path, "all"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                yield Foreign(int(process.stdout.readline())), root_path
            finally:
                process.terminate()
        return
    unix = str(tmp_path_factory.mktemp("unix") / "s") if request.param == "unix" else None
    with served(mirror_all, unix=unix, root_path=root_path) as server:
        yield server, root_path


@given(sequences())
def test_environ_is_that_of_the_request_alone(one: tuple[Served, str], sequence: list[tuple[int, bytes]]) -> None:
    server, root_path = one
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in range(CONNECTIONS)]
        for number, head in sequence:
            connection = connections[number]
            assert ask(connection, head) == environ_of(head, ends_of(connection), root_path)
