"""Clients of the WSGI server that close their sending half behind a whole request: they still read."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

from wsgi_server import LARGE, TEXT, Served, both, large_result, served

REQUEST = b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n"


def half_closed(one: Served, target: bytes) -> bytes:
    with one.connect() as connection:
        connection.sendall(REQUEST % target)
        connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(1 << 20):
            parts.append(part)
        return b"".join(parts)


@both
def test_client_that_closed_its_sending_half_gets_everything(threads: int, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"x" * LARGE)

    def app(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/hello":
            time.sleep(0.02)
            start_response("200 OK", TEXT)
            return [b"x"]
        if environ["PATH_INFO"] == "/slow":
            start_response("200 OK", TEXT)
            return (b"x" for _ in range(5) if time.sleep(0.02) is None)
        return large_result(environ, start_response, path)

    with served(app, threads=threads) as one:
        for target, count in ((b"/hello", 1), (b"/slow", 5)):
            assert half_closed(one, target).partition(b"\r\n\r\n")[2].count(b"x") == count, target
        for target in (b"/list", b"/two", b"/generator", b"/write", b"/file"):
            assert half_closed(one, target).partition(b"\r\n\r\n")[2].count(b"x") == LARGE, target
