"""Topics, presence and channels of ASGI applications with several workers."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cli_command import children
from websockets.sync.client import ClientConnection, connect

FASTAPI = """
import contextlib, json, os

from fastapi import FastAPI, WebSocket

import socketify
from socketify import OpCode, current_app
from socketify.asgi import topics


@contextlib.asynccontextmanager
async def lifespan(app):
    def changed(topic, joined, left):
        current_app().publish_here(topic, json.dumps([sorted(joined), sorted(left)]), OpCode.TEXT)

    current_app().on_presence(changed)
    yield


app = FastAPI(lifespan=lifespan)


@app.websocket("/{name}")
async def chat(websocket: WebSocket, name: str):
    await websocket.accept()
    await websocket.send_text(str(os.getpid()))
    async for text in websocket.iter_text():
        if text == "join":
            topics.subscribe(websocket, "room", presence=name)
            here = await current_app().presence("room", 5)
            count = await current_app().count_subscribers("room", 5)
            await websocket.send_text(json.dumps({"here": sorted(here), "count": count}))
        else:
            topics.publish(websocket, "room", text, exclude_self=True)


@app.post("/")
def post(text: str):
    return socketify.publish("room", text, OpCode.TEXT)
"""


@contextlib.contextmanager
def one_client_each(port: int, pids: list[int]) -> Iterator[list[ClientConnection]]:
    """Open a websocket of each worker, named by its number."""
    with contextlib.ExitStack() as stack:
        clients = []
        for number, pid in enumerate(pids):
            deadline = time.monotonic() + 30
            while True:
                client = stack.enter_context(connect(f"ws://127.0.0.1:{port}/{number}", compression=None))
                if client.recv(timeout=10) == str(pid):
                    break
                client.close()
                assert time.monotonic() < deadline
            clients.append(client)
        yield clients


def test_fastapi(command: Any, tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    (tmp_path / "chat_of_fastapi.py").write_text(FASTAPI)
    running = command("chat_of_fastapi:app", "--workers", "2", "--port", "0")
    port = int(running.url.rpartition(":")[2])
    with one_client_each(port, children(running.process.pid)) as (one, two):
        one.send("join")
        assert json.loads(one.recv(timeout=10)) == [["0"], []]
        assert json.loads(one.recv(timeout=10)) == {"here": ["0"], "count": 1}
        two.send("join")
        assert json.loads(one.recv(timeout=10)) == json.loads(two.recv(timeout=10)) == [["1"], []]
        assert json.loads(two.recv(timeout=10)) == {"here": ["0", "1"], "count": 2}
        one.send("hello é")
        assert two.recv(timeout=10) == "hello é"
        assert httpx.post(f"http://127.0.0.1:{port}/?text=posted").json() is True
        assert [each.recv(timeout=10) for each in (one, two)] == ["posted"] * 2
        two.close()
        assert json.loads(one.recv(timeout=10)) == [[], ["1"]]
    assert running.stop() == 0


def test_django_channels(command: Any, tmp_path: Path) -> None:
    pytest.importorskip("channels")
    program = Path(__file__).parents[1] / "support" / "channels_program.py"
    (tmp_path / "site_of_channels.py").write_text(program.read_text())
    running = command("site_of_channels:app", "--workers", "2", "--port", "0")
    port = int(running.url.rpartition(":")[2])
    with contextlib.ExitStack() as stack:
        clients: dict[str, ClientConnection] = {}
        deadline = time.monotonic() + 30
        while len(clients) < 2:
            client = stack.enter_context(connect(f"ws://127.0.0.1:{port}/async", compression=None))
            client.send("name")
            # Channels of a process have its name.
            clients[str(client.recv(timeout=10)).partition("!")[0]] = client
            assert time.monotonic() < deadline
        one, two = clients.values()
        for each in (one, two):
            each.send("join room")
            assert each.recv(timeout=10) == "done"
        for number in range(10):
            assert httpx.post(f"http://127.0.0.1:{port}/publish/room", content=str(number)).text == "sent"
        for each in (one, two):
            assert sorted(str(each.recv(timeout=10)) for _ in range(10)) == [str(number) for number in range(10)]
    assert running.stop() == 0
