"""A WSGI or SSGI application that is served in a thread, for the tests."""

from __future__ import annotations

import contextlib
import http.client
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Optional

import pytest
from app_servers import Entrance

from socketify import WSGI, AppListenOptions

TEXT = [("Content-Type", "text/plain")]
#: Bytes of a body that no buffer of the kernel holds.
LARGE = 20_000_000
both = pytest.mark.parametrize("threads", [1, 3])


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Served(Entrance):
    def __init__(self, server: Any, unix: Optional[str] = None, *, is_secure: bool = False) -> None:
        super().__init__()
        self.server = server
        self.unix = unix
        self._is_secure = is_secure
        server.listen(AppListenOptions(domain=unix) if unix else AppListenOptions(host="127.0.0.1"), self._bound)
        server.run(block=False)

    def _bound(self, config: AppListenOptions) -> None:
        self.bound(config.port, is_secure=self._is_secure)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        if self.unix:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(self.unix)
        else:
            connection = socket.create_connection(("127.0.0.1", self.port))
        connection.settimeout(10)
        return connection

    def ask(self, target: str = "/", method: str = "GET", body: Any = None, headers: Any = None, **more: Any) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.sock = self.connect()
        with contextlib.closing(connection):
            connection.request(method, target, body, headers or {}, **more)
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def raw(self, data: bytes) -> bytes:
        """Send, and read until the server closes."""
        with self.connect() as connection:
            connection.sendall(data)
            parts = []
            with contextlib.suppress(ConnectionResetError):
                while part := connection.recv(65536):
                    parts.append(part)
            return b"".join(parts)


@contextlib.contextmanager
def served(app: Any, interface: Any = WSGI, unix: Optional[str] = None, **options: Any) -> Iterator[Served]:
    server = interface(app, **options)
    one = Served(server, unix, is_secure=options.get("options") is not None)
    try:
        yield one
    finally:
        server.close()
        one.shut()


def large_result(environ: Any, start_response: Any, path: Path) -> Any:
    """Give a large result in the way that the path names."""
    way = environ["PATH_INFO"]
    write = start_response("200 OK", TEXT)
    if way == "/write":
        write(b"x" * LARGE)
        return []
    if way == "/file":
        return environ["wsgi.file_wrapper"](path.open("rb"))
    block = b"x" * LARGE
    return {"/list": [block], "/two": (block[: LARGE // 2],) * 2, "/generator": (each for each in (block,))}[way]
