"""The environ of requests in every form of target, and of requests that resemble what was asked before."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from app_servers import http_1_only
from wsgi_server import Served, both, served


def mirror(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [json.dumps({key: value for key, value in environ.items() if isinstance(value, str)}).encode() + b"\n"]


def ask(connection: socket.socket, head: bytes) -> dict[str, str]:
    connection.sendall(head)
    received = b""
    while not received.endswith(b"}\n"):
        part = connection.recv(65536)
        assert part, received
        received += part
    told: dict[str, str] = json.loads(received.partition(b"\r\n\r\n")[2])
    return told


@http_1_only("a target in absolute form")
@both
@pytest.mark.parametrize("method", ["GET", "BASELINE-CONTROL", "M" * 32])
@pytest.mark.parametrize("fields", ["Host: x", "Host: x\r\nA: b", "A: b\r\nHost: x", "Host:"])
def test_absolute_form(threads: int, method: str, fields: str) -> None:
    with served(mirror, threads=threads) as one, one.connect() as connection:
        for target, path, query in (
            ("http://h", "/", ""),
            ("http://h/", "/", ""),
            ("HTTP://h?", "/", ""),
            ("http://h?a=b", "/", "a=b"),
            ("https://h/x%20?a?", "/x ", "a?"),
        ):
            for _ in range(3):
                told = ask(connection, f"{method} {target} HTTP/1.1\r\n{fields}\r\n\r\n".encode())
                assert (told["REQUEST_METHOD"], told["REQUEST_URI"]) == (method, target)
                assert (told["HTTP_HOST"], told["PATH_INFO"], told["QUERY_STRING"]) == ("h", path, query)
                assert told.get("HTTP_A") == ("b" if "A: b" in fields else None)


@both
def test_target_as_it_was_sent(threads: int) -> None:
    with served(mirror, threads=threads) as one, one.connect() as connection:
        for target in ("/", "/?", "/%61?", "/??", "/a?b=%20"):
            assert ask(connection, f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())["REQUEST_URI"] == target
        assert ask(connection, b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")["REQUEST_URI"] == "*"


def test_authority_of_one_request_is_not_the_next_ones_host(tmp_path: Path) -> None:
    absolute = b"GET http://a/ HTTP/1.1\r\nHost: good\r\nA: b\r\n\r\n"
    origin = b"GET / HTTP/1.1\r\nHost: good\r\nA: b\r\n\r\n"

    def hosts(one: Served) -> None:
        with one.connect() as connection:
            for _ in range(2):
                for head in (absolute, absolute, absolute, origin, origin, origin):
                    assert ask(connection, head)["HTTP_HOST"] == ("a" if head is absolute else "good")

    for unix in (None, str(tmp_path / "s")):
        with served(mirror, unix=unix) as one:
            hosts(one)
            hosts(one)
