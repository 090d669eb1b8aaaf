"""What is in flight in several threads, and where each of them is."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from waiting import wait_until

from socketify.system import thread_stacks
from socketify.system.thread_stacks import stacks_of_threads

PROGRAM = """
def run(app):
    app.get("/", lambda res, req: res.end("answered"))

def deep(environ, depth):
    local = {"environ": environ, "depth": depth}
    return deep(environ, depth - 1) if depth else [local] * 3

def wsgi(environ, start_response):
    deep(environ, 8)
    start_response("200 OK", [])
    return [b"answered"]
"""


def test_each_thread_tells_of_its_tasks_and_one_of_the_threads(command: Any, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    running = command("program:run", "--port", "0", "--threads-per-worker", "3")
    running.wait_for("Listening on ")
    running.process.send_signal(signal.SIGUSR2)
    wait_until(lambda: running.said.count("in flight: ") == 3)
    for name in ("MainThread", "socketify-2", "socketify-3"):
        assert f"{name}: in flight: " in running.said
    assert running.said.count("  thread ") == running.said.count("  thread socketify-") == 2


def test_threads_that_work_are_looked_at(command: Any, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    running = command("program:wsgi", "--port", "0", "--threads-per-worker", "2")
    stop, url = threading.Event(), running.url

    def ask() -> None:
        with httpx.Client() as client:
            while not stop.is_set():
                client.get(url)

    clients = [threading.Thread(target=ask) for _ in range(2)]
    for each in clients:
        each.start()
    try:
        for count in range(1, 30):
            running.process.send_signal(signal.SIGUSR2)
            wait_until(lambda least=count: running.said.count("MainThread: in flight: ") >= least)
    finally:
        stop.set()
        for each in clients:
            each.join()
    assert running.stop() == 0


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="other interpreters have a lock")
def test_stacks_are_the_same_without_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    end = threading.Event()

    def waits() -> None:
        end.wait(20)

    thread = threading.Thread(target=waits)
    thread.start()
    try:
        wait_until(lambda: any(each.function == "wait" for each in stacks_of_threads()[thread.ident or 0]))
        found = []
        for enabled in (True, False):
            monkeypatch.setattr(thread_stacks, "_is_gil_enabled", lambda enabled=enabled: enabled)
            found.append(stacks_of_threads()[thread.ident or 0])
        assert found[0] == found[1]
        assert (__file__, "waits") in {(each.file, each.function) for each in found[0]}
    finally:
        end.set()
        thread.join()
