"""Flags beside an app that a module has made: what is the command's is followed, and what is the app's is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

PROGRAM = """
from socketify import App

app = App()
app.get("/", lambda res, req: res.end("served"))
"""


def test_how_workers_are_watched_is_no_option_of_the_app(command: Any, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(PROGRAM)
    flags = ["--timeout-worker", "60", "--timeout-start", "60", "--max-rss", "8G", "--worker-lifetime", "3600"]
    running = command("main:app", "--port", "0", *flags, "--limit-max-requests", "1000", "--limit-max-requests-jitter", "10")
    assert httpx.get(running.url).text == "served"
    assert running.stop() == 0


def test_time_outs_of_clients_are_options_of_the_app(command: Any, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(PROGRAM)
    running = command("main:app", "--port", "0", "--timeout-header", "5", "--timeout-worker", "60")
    assert running.process.wait(20) == 2
    assert "main:app is an App, which has its options already: --timeout-header cannot change it" in running.said


def test_an_access_log_that_is_off_writes_nothing(command: Any, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("def run(app):\n    app.get('/', lambda res, req: res.end('served'))\n")
    for flags, lines in (([], 1), (["--access-log", "off"], 0)):
        path = tmp_path / f"log-{lines}"
        running = command("main:run", "--port", "0", "--access-log-file", str(path), *flags)
        assert httpx.get(running.url).text == "served"
        assert running.stop() == 0
        # Lines are written until it ends.
        assert (path.read_text().count("\n") if path.exists() else 0) == lines
