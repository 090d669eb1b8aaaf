"""The poll in a browser, served by two workers: who votes and who only looks see the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from browser import Browser
from server_programs import environment
from websockets.sync.client import connect

POLL = Path(__file__).parents[2] / "examples" / "poll"


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "socketify", "poll:run", "--port", "0", "--workers", "2"]
    program = subprocess.Popen(
        command,
        cwd=POLL,
        env=environment(POLL_DATABASE=str(tmp_path / "poll.db")),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert program.stdout is not None
    try:
        yield program.stdout.readline().split()[2]
    finally:
        program.send_signal(signal.SIGTERM)
        output, _ = program.communicate(timeout=20)
    assert program.returncode == -signal.SIGTERM, output


def test_votes_of_a_browser_and_of_others(url: str, tmp_path: Path) -> None:
    with Browser(tmp_path) as browser:
        browser.call("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1, mobile=True)
        browser.call("Page.navigate", url=url)
        browser.wait_for("document.querySelector('form') != null && document.readyState == 'complete'")
        browser.evaluate("document.querySelector('input').value = '<b>Where?</b>'")
        browser.evaluate("document.querySelector('textarea').value = 'Here\\nThere'")
        browser.evaluate("document.querySelector('form button').click()")
        browser.wait_for("document.querySelector('#state')?.textContent == '0 votes'")
        assert browser.evaluate("document.querySelector('h1').textContent") == "<b>Where?</b>"
        room = browser.evaluate("location.href")
        browser.evaluate("document.querySelectorAll('#choices button')[1].click()")
        browser.wait_for("document.querySelector('#state').textContent == '1 vote'")

        # Several, so that both workers have some.
        for number in range(6):
            cookie = {"Cookie": f"voter={httpx.get(room).cookies['voter']}"}
            with connect(room.replace("http", "ws", 1), additional_headers=cookie) as visitor:
                assert json.loads(visitor.recv(timeout=30)) == [number, 1]
                visitor.send("0")
                assert json.loads(visitor.recv(timeout=30)) == [number + 1, 1]
            browser.wait_for(f"document.querySelector('#state').textContent == '{number + 2} votes'")
        assert browser.evaluate("[...document.querySelectorAll('output')].map(each => each.textContent)") == ["6", "1"]
        assert browser.evaluate("document.documentElement.scrollWidth") <= 390


def test_its_own_tests(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--rootdir={tmp_path}",
        "-c",
        os.devnull,
        "test_poll.py",
    ]
    done = subprocess.run(command, cwd=POLL, env=environment(), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
