"""Servers in threads of their own, and raw sockets to speak to them.

With SOCKETIFY_TEST_TLS=1 in the environment all of them speak TLS.
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

from tls_files import Files

from socketify import ASGI, App, AppListenOptions

TLS: Optional[Files] = None
if os.environ.get("SOCKETIFY_TEST_TLS"):
    TLS = Files(Path(tempfile.mkdtemp(prefix="socketify-tls-")))
    # What clients trust that are not told.
    os.environ["SSL_CERT_FILE"] = TLS.ca_file


class Server:
    """An app that is served in a thread."""

    def __init__(self, build: Callable[[App], Any], **options: Any) -> None:
        self.port = 0
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
            app.listen(0, lambda config: setattr(self, "port", config.port))
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


class ASGIServer:
    """An ASGI application that is served in a thread."""

    def __init__(self, app: Any, **options: Any) -> None:
        self.port = 0
        if TLS is not None:
            options.setdefault("options", TLS.options())
        self.server = ASGI(app, **options)
        self.server.listen(AppListenOptions(host="127.0.0.1"), lambda config: setattr(self, "port", config.port))
        self.server.run(block=False)

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
