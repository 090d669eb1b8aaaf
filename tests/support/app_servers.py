"""Servers in threads of their own, and raw sockets to speak to them.

With SOCKETIFY_TEST_TLS=1 in the environment all of them speak TLS; with SOCKETIFY_TEST_HTTP=2 they are asked by HTTP/2: what
clients say in HTTP/1.1 is translated before it reaches them (http2_face.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import tempfile
import threading
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from http2_face import Face
from tls_files import Files

from socketify import ASGI, App, AppListenOptions

TLS: Optional[Files] = None
if os.environ.get("SOCKETIFY_TEST_TLS"):
    TLS = Files(Path(tempfile.mkdtemp(prefix="socketify-tls-")))
    # What clients trust that are not told.
    os.environ["SSL_CERT_FILE"] = TLS.ca_file

HTTP_2 = os.environ.get("SOCKETIFY_TEST_HTTP") == "2"


def http_1_only(why: str) -> pytest.MarkDecorator:
    """Mark what HTTP/2 has no word for, or has another one."""
    return pytest.mark.skipif(HTTP_2, reason=f"of HTTP/1.1 alone: {why}")


class Entrance:
    """The port at which a server is asked; ``own_port`` is what it listens on."""

    def __init__(self) -> None:
        self.port = self.own_port = 0
        self._face: Optional[Face] = None

    def bound(self, port: int, *, is_secure: bool = False) -> None:
        """Tell where the server listens. With TLS it is asked as it is: clients agree on what they speak there."""
        self.port = self.own_port = port
        if HTTP_2 and port and not is_secure:
            self._face = Face(port)
            self.port = self._face.port

    def shut(self) -> None:
        """The server has ended."""
        if self._face is not None:
            self._face.close()
            self._face = None


class Server(Entrance):
    """An app that is served in a thread."""

    def __init__(self, build: Callable[[App], Any], **options: Any) -> None:
        super().__init__()
        self.app: Optional[App] = None
        self._build = build
        self._options = options
        self._ready = threading.Event()
        self._failure: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._main)
        self._thread.start()
        assert self._ready.wait(10)
        if self._failure is not None:
            raise self._failure

    def _main(self) -> None:
        try:
            if TLS is not None:
                self._options.setdefault("options", TLS.options())
            app = self.app = App(**self._options)
            self._build(app)
            app.listen(0, lambda config: self.bound(config.port, is_secure=app.is_secure))
            app.on_start(self._ready.set)
            asyncio.run(app.serve())
        except BaseException as error:
            self._failure = error
            self._ready.set()

    @property
    def url(self) -> str:
        scheme = "https" if self.app is not None and self.app.is_secure else "http"
        return f"{scheme}://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return "ws" + self.url[len("http") :]

    def stop(self) -> None:
        assert self.app is not None
        self.app.close()
        self._thread.join(20)
        assert not self._thread.is_alive()
        self.shut()
        if self._failure is not None:
            raise self._failure

    def connect(self) -> socket.socket:
        return connected(self.port)

    def exchange(self, data: bytes) -> bytes:
        """Send, and read until the server closes."""
        with self.connect() as connection:
            connection.sendall(data)
            return read_all(connection)


def connected(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.settimeout(10)
    return connection if TLS is None else TLS.client().wrap_socket(connection, server_hostname="localhost")


def read_all(connection: socket.socket) -> bytes:
    parts = []
    with contextlib.suppress(ConnectionResetError, ssl.SSLEOFError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


class ASGIServer(Entrance):
    """An ASGI application that is served in a thread."""

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__()
        if TLS is not None:
            options.setdefault("options", TLS.options())
        self.server = ASGI(app, **options)
        is_secure = options.get("options") is not None
        self.server.listen(AppListenOptions(host="127.0.0.1"), lambda config: self.bound(config.port, is_secure=is_secure))
        self.server.run(block=False)

    def close(self) -> None:
        self.server.close()
        self.shut()

    @property
    def url(self) -> str:
        return f"{'http' if TLS is None else 'https'}://127.0.0.1:{self.port}"

    @property
    def websocket_url(self) -> str:
        return "ws" + self.url[len("http") :]

    def connect(self) -> socket.socket:
        return connected(self.port)

    def exchange(self, data: bytes) -> bytes:
        """Send, and read until the server closes."""
        with self.connect() as connection:
            connection.sendall(data)
            return read_all(connection)

    def request(self, *lines: str, body: bytes = b"") -> bytes:
        """Send one request on a connection of its own and read the answer."""
        head = "\r\n".join((*lines, "Host: x", "Connection: close", "", ""))
        return self.exchange(head.encode("latin-1") + body)
