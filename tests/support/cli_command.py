"""``python -m socketify`` as a process of its own, and what it serves."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest

from socketify.native.library import library_path

ROOT = Path(__file__).resolve().parents[2]
MODULE = """
import os, time

async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": "asgi " + message["text"]})
        return
    body = f"asgi {os.getpid()} {scope['root_path']} {scope['scheme']} {scope['client'][0]}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})

def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"wsgi {os.getpid()} {environ['wsgi.url_scheme']} {environ['REMOTE_ADDR']}".encode()]

async def ssgi(type, server_address, remote_address, method, path, query_string, get_header, res):
    res.send("ssgi " + path)

def run(app):
    app.get("/", lambda res, req: res.end("native"))

ws = {"message": lambda ws, message, opcode: ws.send("native " + message, opcode)}

def make():
    return wsgi

async def make_later():
    return wsgi

def three(a, b, c, d):
    pass

def made():
    from socketify import App
    return App(server_header="mine").get("/", lambda res, req: res.end("native"))

number = 5
"""


class Command:
    """A running command, and what it said."""

    def __init__(self, folder: Path, *arguments: str, env: Optional[dict[str, str]] = None) -> None:
        self.folder = folder
        self.log = folder / "log.txt"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(env or {})}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "socketify", *arguments], cwd=folder, env=environment, stdout=log, stderr=log
            )

    @property
    def said(self) -> str:
        return self.log.read_text()

    @property
    def url(self) -> str:
        return self.wait_for(r"Listening on (\S+)")

    def wait_for(self, pattern: str, seconds: float = 20) -> str:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = re.search(pattern, self.said)
            if found is not None:
                return found[1] if found.groups() else found[0]
            assert self.process.poll() is None, self.said
            time.sleep(0.02)
        raise AssertionError(f"{pattern!r} did not come: {self.said}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it; gives 0 where it ended by that signal, as it should."""
        self.process.send_signal(number)
        status = self.process.wait(20)
        return 0 if status == -number else status


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Any]:
    (tmp_path / "app.py").write_text(MODULE)
    running: list[Command] = []

    def start(*arguments: str, env: Optional[dict[str, str]] = None) -> Command:
        running.append(Command(tmp_path, *arguments, env=env))
        return running[-1]

    yield start
    for each in running:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait()


def children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found.extend(int(each) for each in (task / "children").read_text().split())
    return found


#: Lets a program think that it runs on macOS, as far as that is known: see the file there.
LIKE_MACOS = {
    "PYTHONPATH": f"{ROOT / 'tests' / 'support' / 'macos'}{os.pathsep}{ROOT}",
    "SOCKETIFY_LIBRARY": str(library_path()),
}
