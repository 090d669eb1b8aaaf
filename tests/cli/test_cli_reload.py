"""``--reload``, and signals to a process that has no supervisor."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from cli_command import children
from waiting import wait_until

from socketify.cli.arguments import parse_arguments

CLOSES = """
import os

def run(app):
    app.get("/", lambda res, req: res.end(str(os.getpid())))
    def close(res, req):
        res.end("closed")
        app.close()
    app.get("/close", close)
"""


@pytest.mark.parametrize("flags", [(), ("--reload",)])
def test_signals_that_count_workers_are_ignored_where_there_are_none(command: Any, flags: tuple[str, ...]) -> None:
    running = command("app:wsgi", "--port", "0", *flags)
    url = running.url
    for number in (signal.SIGTTIN, signal.SIGTTOU, signal.SIGTTIN):
        running.process.send_signal(number)
        running.wait_for("WARNING: SIGTTIN is ignored: a process without a supervisor has no other workers")
        assert httpx.get(url, timeout=20).text.startswith("wsgi")
    assert running.said.count("is ignored") == 1
    assert running.stop() == 0


def test_signals_reach_the_server_that_is_reloaded(command: Any) -> None:
    running = command("app:wsgi", "--port", "0", "--reload")
    url = running.url
    running.process.send_signal(signal.SIGUSR2)
    running.wait_for("in flight: 0 connections")
    running.process.send_signal(signal.SIGUSR1)
    time.sleep(0.1)
    assert httpx.get(url, timeout=20).text.startswith("wsgi")
    assert running.stop() == 0


def test_a_server_that_ends_by_itself_is_started_anew(command: Any, tmp_path: Path) -> None:
    (tmp_path / "closes.py").write_text(CLOSES)
    # Nobody waits for it, for all that the parent of both wants.
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        running = command("closes:run", "--port", "0", "--reload")
    finally:
        signal.signal(signal.SIGCHLD, before)
    url = running.url
    first = httpx.get(url).text
    assert httpx.get(url + "/close").text == "closed"
    assert httpx.get(url, timeout=20).text != first
    os.kill(children(running.process.pid)[0], signal.SIGKILL)
    running.wait_for("WARNING: the server ended: it is started anew when a file changes")
    (tmp_path / "closes.py").write_text(CLOSES + "\n")
    wait_until(lambda: children(running.process.pid))
    assert httpx.get(url, timeout=20).status_code == 200
    assert running.stop() == 0


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("workers", "2"),
        ("metrics", "9000"),
        ("limit-max-requests", "5"),
        ("timeout-worker", "5"),
        ("max-rss", "1G"),
        ("worker-lifetime", "60"),
    ],
)
def test_flags_of_workers_are_refused_beside_it(capsys: pytest.CaptureFixture[str], flag: str, value: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse_arguments(["app:asgi", "--reload", f"--{flag}", value], {})
    assert f"--reload excludes --{flag}" in capsys.readouterr().err
