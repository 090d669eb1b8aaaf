"""Chromium without a screen, driven by its DevTools protocol."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--remote-debugging-port=0",
)


def start_chromium(folder: Path, output: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a browser whose profile is in a folder. Skips the test where there is none."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed")
    # Its programs do not end with a sanitizer's run time in them.
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    command = [program, f"--user-data-dir={folder / 'profile'}", *OPTIONS, *arguments]
    with output.open("wb") as said:
        return subprocess.Popen(command, stdout=said, stderr=said, env=environment)


class Browser:
    """A browser with one page. Skips the test where there is none."""

    def __init__(self, folder: Path) -> None:
        self._output = folder / "chromium.txt"
        self._process = start_chromium(folder, self._output)
        #: What the page told: method and parameters.
        self.events: list[tuple[str, Any]] = []
        self._number = 0
        self._stack = contextlib.ExitStack()
        try:
            connecting = connect(self._address(), max_size=None, compression=None, open_timeout=60)
            self._connection = self._stack.enter_context(connecting)
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Network", "Log"):
                self.call(f"{domain}.enable")
        except BaseException:
            self._stack.close()
            self._process.kill()
            self._process.wait()
            raise

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self._process.terminate()
        self._process.wait(20)

    def _address(self) -> str:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = re.search(r"DevTools listening on (\S+)", self._output.read_text(errors="replace"))
            if found:
                return found[1]
            time.sleep(0.05)
        raise AssertionError(self._output.read_text(errors="replace"))

    def call(self, method: str, **parameters: Any) -> Any:
        """Call a method of the protocol, and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if hasattr(self, "_session"):
            message["sessionId"] = self._session
        self._connection.send(json.dumps(message))
        while True:
            answer = json.loads(self._connection.recv(timeout=60))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            if "method" in answer:
                self.events.append((answer["method"], answer["params"]))

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Wait until an expression in the page is true."""
        deadline = time.monotonic() + 60
        while not self.evaluate(expression):
            assert time.monotonic() < deadline, (expression, self.evaluate("document.body.innerText"))
            time.sleep(0.1)

    def picture(self) -> bytes:
        """Return what the page looks like, as a PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])
