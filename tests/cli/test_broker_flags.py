"""The flags that are about a broker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from broker_servers import SERVERS
from cli_command import MODULE, ROOT, children
from waiting import wait_until

MEMBER = (
    MODULE
    + """
def shared(app):
    app.get("/", lambda res, req: res.end(type(app.topics).__name__))

def alone():
    from socketify import App
    return App()
"""
)
#: Nothing listens there.
AWAY = "redis://user:secret@127.0.0.1:1"


def run(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "member.py").write_text(MEMBER)
    command = [sys.executable, "-m", "socketify", *arguments, "--app-dir", str(tmp_path), "--port", "0"]
    env = {"PYTHONPATH": str(ROOT), "PATH": "", **environment}
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=env)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_required_broker_that_is_away_is_one_line(tmp_path: Path, workers: str) -> None:
    pytest.importorskip("redis")
    done = run(tmp_path, "member:shared", "--workers", workers, "--broker", AWAY)
    assert done.returncode == 2, done.stderr
    assert "socketify: the broker redis://127.0.0.1:1 cannot be reached" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr


@pytest.mark.parametrize("flags", [["--no-broker-required"], ["--broker-required", "False"]])
def test_a_broker_that_is_not_required_may_be_away(command: Any, tmp_path: Path, flags: list[str]) -> None:
    pytest.importorskip("redis")
    (tmp_path / "member.py").write_text(MEMBER)
    running = command("member:shared", "--port", "0", "--broker", AWAY, *flags)
    assert httpx.get(running.url).text == "SharedTopics"
    running.wait_for("cannot be reached")
    assert "secret" not in running.said
    assert running.stop() == 0


@pytest.mark.parametrize("app", ["member:shared", "member:alone --factory"])
def test_the_environment_names_a_broker(tmp_path: Path, app: str) -> None:
    done = run(tmp_path, *app.split(), SOCKETIFY_BROKER="nowhere://x")
    assert done.returncode == 2
    assert "broker must be a URL that begins with one of local, redis" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "kind"), [([], "Topics"), (["--broker", "none"], "Topics"), (["--workers", "2"], "SharedTopics")]
)
def test_which_apps_have_a_broker(command: Any, tmp_path: Path, arguments: list[str], kind: str) -> None:
    (tmp_path / "member.py").write_text(MEMBER)
    running = command("member:shared", "--port", "0", *arguments)
    assert httpx.get(running.url).text == kind
    assert running.stop() == 0


def test_a_worker_is_replaced_while_the_broker_is_away(command: Any, tmp_path: Path) -> None:
    pytest.importorskip("redis")
    (tmp_path / "member.py").write_text(MEMBER)
    with SERVERS["redis"]() as server:
        running = command("member:shared", "--port", "0", "--workers", "2", "--broker", server.url())
        url = running.url
        workers = set(children(running.process.pid))
        server.kill()
        running.wait_for("the connection to .* is lost")
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(set(children(running.process.pid)) - workers) == 2)
        running.wait_for("it is tried again")
        assert httpx.get(url, timeout=20).text == "SharedTopics"
        assert running.stop() == 0


def test_a_wrong_url_is_one_line(tmp_path: Path) -> None:
    done = run(tmp_path, "member:shared", "--broker", "http://user:secret@host")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "not 'http://host'" in done.stderr
    assert "secret" not in done.stderr


def test_an_app_has_its_broker_already(tmp_path: Path) -> None:
    done = run(tmp_path, "member:alone", "--factory", "--broker", "none")
    assert "has its options already: --broker cannot change it" in done.stderr


def test_the_shown_configuration_has_no_password(tmp_path: Path) -> None:
    done = run(tmp_path, "member:shared", "--print-config", "--broker", AWAY)
    assert json.loads(done.stdout)["broker"] == "redis://127.0.0.1:1"
