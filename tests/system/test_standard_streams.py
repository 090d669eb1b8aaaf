"""Servers whose standard output, error or input is closed, full, or a pipe that nobody reads."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from server_programs import GET, environment

MODULE = "def run(app):\n    app.get('/', lambda res, req: res.end('hello'))\n"
LOOPS = [each for each in ("uvloop", "asyncio") if importlib.util.find_spec(each)]
#: Lines of the access log fill a pipe of 64 KiB.
REQUESTS = 2000


def serve(tmp_path: Path, redirected: str, *more: str, loop: str = LOOPS[0], **keywords: Any) -> tuple[Any, int]:
    """Start the command in a shell that redirects its standard streams."""
    (tmp_path / "app.py").write_text(MODULE)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        line = f'exec "$0" -m socketify app:run --access-log common --loop {loop} --fd {listening.fileno()} "$@" {redirected}'
        process = subprocess.Popen(
            ["sh", "-c", line, sys.executable, *more],
            cwd=tmp_path,
            env=environment(),
            pass_fds=[listening.fileno()],
            text=True,
            **keywords,
        )
    return process, port


def ask(port: int, count: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        for _ in range(count):
            connection.sendall(GET)
            answer = b""
            while not answer.endswith(b"hello"):
                piece = connection.recv(10_000)
                assert piece
                answer += piece


def ended(process: Any) -> str:
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGTERM, errors
    return str(errors)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("redirected", [">&-", ">&- <&-", "> /dev/full"])
def test_output_that_is_closed_or_full(tmp_path: Path, redirected: str, loop: str) -> None:
    process, port = serve(tmp_path, redirected, loop=loop, stderr=subprocess.PIPE)
    ask(port, 10)
    errors = ended(process)
    lines = errors.splitlines()
    assert "Traceback" not in errors
    assert sum("its lines are lost" in line for line in lines) == 1
    assert lines[-1] == "WARNING: 10 lines of the access log were lost"
    assert len(lines) <= 3


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("redirected", ["2>&-", "2>&- >&-", "2>&- >&- <&-"])
def test_errors_that_are_closed(tmp_path: Path, redirected: str, loop: str) -> None:
    process, port = serve(tmp_path, redirected, loop=loop)
    ask(port, 10)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == -signal.SIGTERM


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_pipe_that_nobody_reads(tmp_path: Path, workers: str) -> None:
    reader, writer = os.pipe()
    process, port = serve(tmp_path, "", "--workers", workers, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    # A line is about 70 bytes; what waits in memory is bounded too.
    for _ in range(7):
        ask(port, REQUESTS)
    errors = ended(process)
    os.close(reader)
    if workers == "1":
        assert errors.count("its lines are lost: more than 10000 of them wait to be written") == 1
    assert "lines of the access log were lost" in errors


def test_output_and_errors_in_one_pipe_that_nobody_reads(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    process, port = serve(tmp_path, "", stdout=writer, stderr=writer)
    os.close(writer)
    for _ in range(7):
        ask(port, REQUESTS)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == -signal.SIGTERM
    os.close(reader)


def test_a_reader_that_comes_back_gets_whole_lines(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    process, port = serve(tmp_path, "", stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    ask(port, REQUESTS)
    with os.fdopen(reader, "rb") as log:
        assert log.readline().startswith(b"Listening on")
        for _ in range(REQUESTS):
            assert log.readline().endswith(b'"GET / HTTP/1.1" 200 5\n')
        assert ended(process) == ""
        assert log.read() == b""


def test_the_last_lines_are_written(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+") as log:
        process, port = serve(tmp_path, "", stdout=log, stderr=subprocess.PIPE)
        ask(port, 100)
        assert ended(process) == ""
        assert (tmp_path / "log").read_text().count("GET /") == 100


def test_programs_too(tmp_path: Path) -> None:
    text = (
        "import os, signal, sys\nfrom socketify import App\napp = App(access_log='json')\n"
        "app.get('/', lambda res, req: res.end('hello'))\n"
        "app.listen(0, lambda config: sys.stderr.write(f'{config.port}\\n'))\nsys.stderr.flush()\napp.run()\n"
    )
    with subprocess.Popen(
        ["sh", "-c", 'exec "$0" -c "$1" >&- <&-', sys.executable, text],
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        port = int(process.stderr.readline())
        assert httpx.get(f"http://127.0.0.1:{port}").text == "hello"
        process.terminate()
        assert process.wait(20) == -signal.SIGTERM
        assert "standard output is closed" in process.stderr.read()
