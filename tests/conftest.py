"""Fixtures of all suites: servers that end with the test."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Callable

import pytest
from app_servers import TLS, ASGIServer, Server
from cli_command import command  # noqa: F401 - a fixture
from server_programs import environment

from socketify import App


@pytest.fixture(autouse=TLS is not None)
def the_threaded_websocket_client_speaks_tls_1_2(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads and writes in two threads, which an SSL object of TLS 1.3 does not bear: it would time out now and then."""

    def create_default_context() -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context

    names = {**vars(ssl), "create_default_context": create_default_context}
    monkeypatch.setattr("websockets.sync.client.ssl_module", SimpleNamespace(**names))


@pytest.fixture(autouse=sys.implementation.name == "pypy")
def the_threaded_websocket_client_sends_no_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of its threads wait for the end of a third then, upon which PyPy's threads raise a RuntimeError now and then."""
    monkeypatch.setattr("websockets.sync.connection.Connection.start_keepalive", lambda self: None)


class EndedPopen(subprocess.Popen[Any]):
    """A process of which a test that fails does not wait for the end, which nothing else might bring about."""

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(kind, value, traceback)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    subprocess.Popen = EndedPopen  # type: ignore[misc]
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        # A run in the background of a shell ignores them, and so would the programs that tests start.
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    if config.option.basetemp is None:
        # Of this run alone: the folder that all runs of a user share is closed to other users whenever one begins, and tests
        # that run as two users would find it so.
        config.option.basetemp = tempfile.mkdtemp(prefix="socketify-")
        config.add_cleanup(lambda: shutil.rmtree(config.option.basetemp, ignore_errors=True))
    if sys.version_info < (3, 11):
        # The clients' transports of asyncio are not closed by these versions when a handshake fails.
        for what in (
            "unclosed transport:ResourceWarning",
            "Exception ignored in. <function _SSL:pytest.PytestUnraisableExceptionWarning",
        ):
            config.addinivalue_line("filterwarnings", f"ignore:{what}")


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(build: Callable[[App], Any], **options: Any) -> Server:
        servers.append(Server(build, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def serve_asgi() -> Iterator[Callable[..., ASGIServer]]:
    servers: list[ASGIServer] = []

    def start(app: Any, **options: Any) -> ASGIServer:
        servers.append(ASGIServer(app, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(autouse=True)
def logging_stays_as_it_was() -> Iterator[None]:
    """Frameworks under test configure the root logger of the process."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    for handler in root.handlers[:]:
        if handler not in handlers and not type(handler).__module__.startswith("_pytest"):
            root.removeHandler(handler)


@pytest.fixture
def run_program() -> Iterator[Callable[..., Any]]:
    """Run a program's text with its arguments; what runs at the end is killed."""
    processes: list[subprocess.Popen[str]] = []

    def start(text: str, *arguments: str) -> subprocess.Popen[str]:
        line = [sys.executable, "-c", text, *arguments]
        processes.append(subprocess.Popen(line, env=environment(), stdout=subprocess.PIPE, text=True, start_new_session=True))
        return processes[-1]

    yield start
    for process in processes:
        # With its children, which would hold its output.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
