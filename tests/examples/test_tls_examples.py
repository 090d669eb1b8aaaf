"""The examples of TLS, started as a user would."""

from __future__ import annotations

import contextlib
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import websockets.sync.client
from tls_files import Files

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("tls"))


@contextlib.contextmanager
def started(name: str, *arguments: str) -> Iterator[str]:
    command = [sys.executable, str(ROOT / "examples" / f"{name}.py"), *arguments, "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as program:
        assert program.stdout is not None
        yield f"localhost:{program.stdout.readline().split()[-1]}"
        program.terminate()
        assert program.wait(20) == -signal.SIGTERM


def test_https(files: Files) -> None:
    given = files.issue("server")
    with started("https", given["cert_file_name"], given["key_file_name"]) as where:
        assert httpx.get(f"https://{where}", verify=files.client()).text == "Hello over TLS!"
        context = files.client()
        # The client reads and writes in two threads, which an SSL object of TLS 1.3 does not bear.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with websockets.sync.client.connect(f"wss://{where}/echo", ssl=context) as ws:
            ws.send("hello")
            assert ws.recv() == "hello"


def test_mutual_tls(files: Files) -> None:
    given, friend = files.issue("server"), files.issue("friend", "friend.test")
    with started("mutual_tls", given["cert_file_name"], given["key_file_name"], files.ca_file) as where:
        answer = httpx.get(f"https://{where}", verify=files.client(**friend))
        assert answer.text == Path(friend["cert_file_name"]).read_text()
