"""More and fewer workers by signals, under load: nothing that arrives is lost."""

from __future__ import annotations

import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any, Callable

import httpx
import pytest
from cli_command import children
from server_programs import Program
from waiting import wait_until

ONCE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


class Load:
    """Clients that ask on new connections, as fast as they can."""

    def __init__(self, connect: Callable[[], socket.socket], clients: int = 4) -> None:
        self._connect = connect
        self._stopping = threading.Event()
        self.answered = 0
        self.lost: list[str] = []
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        for each in self._threads:
            each.start()

    def _ask(self) -> None:
        while not self._stopping.is_set():
            answer = b""
            try:
                with self._connect() as client:
                    client.settimeout(20)
                    client.sendall(ONCE)
                    while piece := client.recv(4096):
                        answer += piece
            except OSError as error:
                answer = repr(error).encode()
            if answer.startswith(b"HTTP/1.1 200 "):
                self.answered += 1
            else:
                self.lost.append(answer.decode())

    def stop(self) -> None:
        self._stopping.set()
        for each in self._threads:
            each.join(30)


def change(process: Any, number: int, workers: int) -> None:
    process.send_signal(number)
    wait_until(lambda: len(children(process.pid)) == workers)
    time.sleep(0.2)
    # Those who were in its backlog, too.
    wait_until(lambda: len(children(process.pid)) == workers)


def take_away_and_add(process: Any) -> None:
    change(process, signal.SIGTTIN, 3)
    for number, workers in (
        (signal.SIGTTOU, 2),
        (signal.SIGTTOU, 1),
        (signal.SIGTTIN, 2),
        (signal.SIGTTIN, 3),
        (signal.SIGTTOU, 2),
        (signal.SIGTTOU, 1),
    ):
        change(process, number, workers)


@pytest.mark.parametrize("place", ["port", "path"])
def test_workers_are_added_and_taken_away(command: Any, tmp_path: Path, place: str) -> None:
    path = str(tmp_path / "s")
    running = command("app:run", "--workers", "2", *(("--uds", path) if place == "path" else ("--port", "0")))
    url = running.url

    def connect() -> socket.socket:
        if place == "port":
            return socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 20)
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(20)
        client.connect(path)
        return client

    load = Load(connect)
    take_away_and_add(running.process)
    # The last one stays, and is replaced as others are.
    running.process.send_signal(signal.SIGTTOU)
    running.wait_for("WARNING: the last worker is not taken away")
    before = children(running.process.pid)
    running.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(children(running.process.pid)) == 1 and children(running.process.pid) != before)
    load.stop()
    assert load.lost == []
    assert load.answered > 100
    assert "INFO: one worker more: 3\nINFO: one worker fewer: 2\n" in running.said
    assert running.stop() == 0


def test_workers_of_a_program_are_added_and_taken_away() -> None:
    text = (
        "import socketify\ndef run(app):\n    app.get('/', lambda res, req: res.end('here'))\n"
        "socketify.serve(run, port=0, workers=2, on_listen=lambda config: print(config.port))\n"
    )
    with Program(text) as program:
        assert httpx.get(program.url).text == "here"
        wait_until(lambda: len(children(program.process.pid)) == 2)
        load = Load(program.connect)
        take_away_and_add(program.process)
        load.stop()
        assert load.lost == []
        assert load.answered > 100
        program.stop()


def test_signals_in_a_row_are_all_counted_that_arrive_apart(command: Any) -> None:
    running = command("app:asgi", "--workers", "1", "--limit-max-requests", "100000", "--port", "0")
    assert running.url
    for workers in (2, 3, 4):
        running.process.send_signal(signal.SIGTTIN)
        running.wait_for(f"one worker more: {workers}")
    running.process.send_signal(signal.SIGTTOU)
    running.wait_for("one worker fewer: 3")
    # It stops while some have not even begun to serve.
    assert running.stop() == 0
