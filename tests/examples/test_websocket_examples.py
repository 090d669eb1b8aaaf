"""The websocket examples; the chat in a real browser, where Chromium is installed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

EXAMPLES = Path(__file__).parents[2] / "examples"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextlib.contextmanager
def running(name: str) -> Iterator[int]:
    """Give the port of an example that runs as a program of its own."""
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / name), "0"], stdout=subprocess.PIPE, text=True, cwd=EXAMPLES.parent, env=environment()
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline().split()[-1])
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == -signal.SIGTERM
        assert process.stdout is not None
        process.stdout.close()


def environment() -> dict[str, str]:

    return {**os.environ, "PYTHONPATH": str(EXAMPLES.parent)}


def test_echo() -> None:
    with running("websocket_echo.py") as port, connect(f"ws://127.0.0.1:{port}/any") as client:
        client.send("hello " * 100)
        assert client.recv(timeout=10) == "hello " * 100


def test_iteration() -> None:
    with running("websocket_iteration.py") as port, connect(f"ws://127.0.0.1:{port}/") as client:
        for number, total in (("1", "1"), ("2.5", "3.5")):
            client.send(number)
            assert client.recv(timeout=10) == total
        client.send("three")
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=10)
        assert client.close_code == 1007


def test_chat_refuses_other_sites() -> None:
    with running("websocket_chat.py") as port, pytest.raises(InvalidStatus, match="403"):
        connect(f"ws://127.0.0.1:{port}/chat", origin="https://example.org")


def test_fastapi_chat() -> None:
    pytest.importorskip("fastapi")
    with running("fastapi_chat.py") as port:
        url = f"ws://127.0.0.1:{port}/rooms/hall?name="
        assert "<title>Chat</title>" in httpx.get(f"http://127.0.0.1:{port}/").text
        with connect(url + "ann") as ann:
            assert json.loads(ann.recv(timeout=10)) == {"name": "ann", "text": "is here"}
            with connect(url + "bob") as bob:
                assert [json.loads(each.recv(timeout=10))["name"] for each in (ann, bob)] == ["bob", "bob"]
                ann.send("späße")
                assert [json.loads(each.recv(timeout=10))["text"] for each in (ann, bob)] == ["späße"] * 2
            assert json.loads(ann.recv(timeout=10)) == {"name": "bob", "text": "is gone"}
            assert httpx.post(f"http://127.0.0.1:{port}/rooms/hall?text=hello").json() == {"heard": True}
            assert json.loads(ann.recv(timeout=10)) == {"name": "server", "text": "hello"}


def test_django_channels() -> None:
    pytest.importorskip("channels")
    with running("django_channels.py") as port:
        url = f"ws://127.0.0.1:{port}/rooms/hall"
        with connect(url) as one, connect(url) as two:
            one.send("späße")
            assert [each.recv(timeout=10) for each in (one, two)] == ["späße"] * 2
            assert httpx.get(f"http://127.0.0.1:{port}/announce/hall?text=hello").text == "said"
            assert [each.recv(timeout=10) for each in (one, two)] == ["hello"] * 2


def test_presence() -> None:
    def told(client: Any) -> Any:
        return json.loads(client.recv(timeout=10))

    with running("presence.py") as port:
        url = f"ws://127.0.0.1:{port}/room?name="
        with connect(url + "ann") as ann:
            assert [told(ann), told(ann)] == [{"joined": ["ann"], "left": []}, {"here": ["ann"]}]
            with connect(url + "bob") as bob:
                assert told(bob) == told(ann) == {"joined": ["bob"], "left": []}
                assert sorted(told(bob)["here"]) == ["ann", "bob"]
            assert told(ann) == {"joined": [], "left": ["bob"]}


class Browser:
    """A headless Chromium, spoken to through its debugging protocol."""

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM is not None
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        self._process = subprocess.Popen(
            [CHROMIUM, *arguments, f"--user-data-dir={profile}", "--remote-debugging-port=0", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        active = profile / "DevToolsActivePort"
        deadline = time.monotonic() + 60
        while not (active.exists() and len(active.read_text().split()) == 2):
            assert time.monotonic() < deadline, "Chromium does not start"
            time.sleep(0.1)
        port, path = active.read_text().split()
        self._exit = contextlib.ExitStack()
        self._socket = self._exit.enter_context(connect(f"ws://127.0.0.1:{port}{path}", max_size=None))
        self._number = 0

    def call(self, method: str, session: str = "", **parameters: Any) -> Any:
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters}
        self._socket.send(json.dumps({**command, "sessionId": session} if session else command))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, url: str) -> str:
        target = self.call("Target.createTarget", url=url)["targetId"]
        return str(self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])

    def evaluate(self, page: str, expression: str) -> Any:
        return self.call("Runtime.evaluate", page, expression=expression, returnByValue=True)["result"].get("value")

    def wait_for(self, page: str, expression: str) -> None:
        deadline = time.monotonic() + 30
        while not self.evaluate(page, expression):
            assert time.monotonic() < deadline, expression
            time.sleep(0.05)

    def close(self) -> None:
        self._exit.close()
        self._process.terminate()
        self._process.wait(20)


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_chat_in_a_browser_whose_pages_have_different_workers(tmp_path: Path) -> None:
    with running("websocket_chat.py") as port:
        browser = Browser(tmp_path)
        try:
            ann = browser.open(f"http://127.0.0.1:{port}/#ann")
            browser.wait_for(ann, "document.body && document.body.innerText.includes('ann: is here')")
            worker = browser.evaluate(ann, "document.title")
            assert worker.startswith("Chat, by worker ")
            # The system chooses the worker of a connection; a page that is loaded again has another one.
            bob = browser.open(f"http://127.0.0.1:{port}/#bob")
            deadline = time.monotonic() + 60
            while True:
                browser.wait_for(bob, "document.title.startsWith('Chat, by worker ')")
                if browser.evaluate(bob, "document.title") != worker:
                    break
                assert time.monotonic() < deadline
                browser.evaluate(bob, "document.title = ''; location.reload()")
            browser.wait_for(ann, "document.body.innerText.includes('bob: is here')")
            browser.wait_for(bob, "document.body.innerText.includes('bob: is here')")
            for speaker, name in ((ann, "ann"), (bob, "bob")):
                browser.evaluate(speaker, f"text.value = 'späße von {name} ✓'; form.requestSubmit()")
                for page in (ann, bob):
                    browser.wait_for(page, f"document.body.innerText.includes('{name}: späße von {name} ✓')")
        finally:
            browser.close()
