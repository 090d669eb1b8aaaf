"""A program whose websockets subscribe and publish as their clients say, and clients of it."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websocket_client import HANDSHAKE, KEY
from websockets.sync.client import ClientConnection, connect

PROGRAM = """
import json, os, threading
from socketify import OpCode

def run(app):
    async def message(ws, message, opcode):
        verb, _, rest = message.partition(" ")
        topic, _, text = rest.partition(" ")
        if verb == "join":
            ws.subscribe(topic)
            ws.send(json.dumps(await app.flush_topics(10)), OpCode.TEXT)
        elif verb == "leave":
            ws.unsubscribe(topic)
            ws.send(json.dumps(await app.flush_topics(10)), OpCode.TEXT)
        elif verb == "flush":
            ws.send(json.dumps(await app.flush_topics(10)), OpCode.TEXT)
        elif verb == "say":
            app.publish(topic, text, OpCode.TEXT)
        elif verb == "bytes":
            app.publish(topic, text.encode(), OpCode.BINARY)
        elif verb == "pack":
            app.publish(topic, text, OpCode.TEXT, True)
        elif verb == "many":
            first, last, size = map(int, text.split())
            for number in range(first, last):
                app.publish(topic, f"{number}:" + "x" * size, OpCode.TEXT)
        elif verb == "count":
            ws.send(json.dumps(await app.count_subscribers(topic, timeout=10)), OpCode.TEXT)
        elif verb == "counters":
            ws.send(json.dumps(app.broker_counters._asdict()), OpCode.TEXT)

    options = {"open": lambda ws: ws.send(f"{os.getpid()} {threading.get_ident()}", OpCode.TEXT), "message": message}
    app.ws("/*", {"compression": 1, "idle_timeout": 0, "max_backpressure": 1 << 30, **options})
"""


class Client:
    """A websocket of one of the processes."""

    def __init__(self, port: int, **options: Any) -> None:
        self._exit = contextlib.ExitStack()
        self.socket: ClientConnection = self._exit.enter_context(connect(f"ws://127.0.0.1:{port}/", **options))
        #: The process that it is connected to, and the thread of it.
        self.name = str(self.recv())
        self.pid = int(self.name.partition(" ")[0])

    def recv(self) -> Any:
        return self.socket.recv(timeout=20)

    def ask(self, text: str) -> Any:
        """Say something that is answered, while nothing else arrives."""
        self.socket.send(text)
        return json.loads(self.recv())

    def join(self, *topics: str) -> Client:
        for topic in topics:
            assert self.ask(f"join {topic}")
        return self

    def say(self, topic: str, text: str, verb: str = "say") -> None:
        self.socket.send(f"{verb} {topic} {text}")

    def numbers(self, count: int) -> list[int]:
        """Receive so many of what `many` publishes."""
        return [int(self.recv().partition(":")[0]) for _ in range(count)]

    def is_silent(self) -> bool:
        with contextlib.suppress(TimeoutError):
            self.socket.recv(timeout=0.1)
            return False
        return True

    def close(self) -> None:
        self._exit.close()


@contextlib.contextmanager
def one_client_each(port: int, pids: list[int], **options: Any) -> Iterator[list[Client]]:
    """Give a client of each of these processes, which share a port."""
    found: dict[int, Client] = {}
    deadline = time.monotonic() + 30
    try:
        while not set(found) >= set(pids):
            assert time.monotonic() < deadline
            client = Client(port, **options)
            if client.pid in found or client.pid not in pids:
                client.close()
            else:
                found[client.pid] = client
        yield [found[pid] for pid in pids]
    finally:
        for each in found.values():
            each.close()


class QuickClient:
    """A websocket without a thread, of which there may be a thousand: it sends short texts, and receives short frames."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._socket.sendall(HANDSHAKE % (b"websocket", b"Upgrade", KEY, b"13"))
        self._rest = b""
        while b"\r\n\r\n" not in self._rest:
            self._receive()
        self._rest = self._rest.partition(b"\r\n\r\n")[2]
        self.pid = int(self.recv().partition(" ")[0])

    def _receive(self) -> None:
        received = self._socket.recv(65536)
        assert received
        self._rest += received

    def has_received(self) -> bool:
        return bool(self._rest or select.select([self._socket], [], [], 0)[0])

    def recv(self) -> str:
        while len(self._rest) < 2 or len(self._rest) < 2 + self._rest[1]:
            self._receive()
        assert self._rest[0] == 0x81
        assert self._rest[1] < 126
        end = 2 + self._rest[1]
        text, self._rest = self._rest[2:end].decode(), self._rest[end:]
        return text

    def send(self, text: str) -> None:
        assert len(text) < 126
        self._socket.sendall(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text.encode())

    def close(self) -> None:
        self._socket.close()


def write_program(folder: Path) -> None:
    """Write the program as module `topics_app`."""
    (folder / "topics_app.py").write_text(PROGRAM)
