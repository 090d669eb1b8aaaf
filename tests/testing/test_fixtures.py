"""The fixtures, in tests of a user's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = """
import pytest
from socketify import App

@pytest.fixture
def app():
    app = App()
    app.get("/", lambda res, req: res.end("mine"))
    return app

def test_mine(client):
    assert client.get("/").text == "mine"

def test_other(test_client):
    for name in "ab":
        client = test_client(lambda app: app.get("/", lambda res, req: res.end(name)))
        assert client.get("/").text == name
"""


def test_fixtures(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["socketify.testing.fixtures"]\n')
    (tmp_path / "test_mine.py").write_text(TESTS)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert "2 passed" in done.stdout, done.stdout + done.stderr
