"""SIGUSR2: what is in flight is logged, with the places in the program that wait."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from cli_command import children
from server_programs import Program, environment
from waiting import wait_until

#: What a thread is asked for is known where it does not run meanwhile.
OF_THREAD = ", GET /order/7" if getattr(sys, "_is_gil_enabled", lambda: True)() else ""

WAITS = """
import asyncio, threading, time

class Stubborn(dict):
    def __getattr__(self, name):
        raise RuntimeError(name)
    get = __contains__ = __getattr__

class Lazy:
    def __getattr__(self, name):
        raise RuntimeError(name)
    @property
    def __class__(self):
        raise RuntimeError

async def inner():
    stubborn, lazy = Stubborn(), Lazy()
    await asyncio.sleep(60)

async def native(res, req):
    await inner()

kept = []

async def begin():
    kept.append(asyncio.ensure_future(inner()))

def run(app):
    app.on_start(begin)
    app.get("/", lambda res, req: res.end("ok")).get("/order/:id", native)
    app.get("/blocks", blocks)

def blocks(res, req):
    time.sleep(60)

async def asgi(scope, receive, send):
    if scope["type"] == "http":
        await inner()

def wsgi(environ, start_response):
    time.sleep(60)
"""


def ask(port: int, path: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), 20)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    return connection


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("waits:run",), r"  task Task-\d+, GET /order/7\?a=b: native \(.*waits.py:\d+\) > inner \(.*\) > sleep \("),
        (
            ("waits:run", "--loop", "asyncio", "--workers", "2"),
            r"GET /order/7\?a=b: native \(.*\) > inner \(.*waits.py:\d+\) > ",
        ),
        (("waits:asgi", "--workers", "2"), r"GET /order/7: asgi \(.*\) > inner \(.*waits.py:\d+\) > sleep \("),
        (("waits:wsgi", "--threads", "2"), rf"  thread \S+{OF_THREAD}: .* > wsgi \(.*waits.py:\d+\)"),
    ],
)
def test_what_is_in_flight_is_logged(command: Any, tmp_path: Path, flags: tuple[str, ...], expected: str) -> None:
    (tmp_path / "waits.py").write_text(WAITS)
    running = command(*flags, "--port", "0", "--timeout-graceful-shutdown", "0")
    port = int(running.url.rpartition(":")[2])
    with ask(port, "/order/7?a=b"):
        # Until it has arrived, the log says less.
        for _ in range(100):
            running.process.send_signal(signal.SIGUSR2)
            running.wait_for("in flight: ")
            if "GET /order/7" in running.said:
                break
        running.wait_for("in flight: 1 connections, ")
        running.wait_for(expected)
    if "--workers" in flags:
        running.wait_for(r"WARNING: worker 2 \(pid \d+\) serves, began \d+ s ago, has \d+\.\d MiB of memory")
        assert len(children(running.process.pid)) == 2
    assert "is busy" not in running.said
    assert running.stop() == 0


def test_a_worker_that_is_blocked_is_reported_by_its_supervisor_and_stays(command: Any, tmp_path: Path) -> None:
    (tmp_path / "waits.py").write_text(WAITS)
    running = command("waits:run", "--workers", "2", "--port", "0")
    url, workers = running.url, children(running.process.pid)
    with ask(int(url.rpartition(":")[2]), "/blocks"):
        for _ in range(20):
            running.process.send_signal(signal.SIGUSR2)
            try:
                running.wait_for(r"(?s)worker \d \(pid \d+\) is busy. What its threads are doing:\n.*in blocks\n", 2)
                break
            except AssertionError:
                continue
    running.wait_for(r"in flight: 0 connections")
    assert children(running.process.pid) == workers
    running.process.kill()


def test_a_program_with_a_handler_of_its_own_keeps_it() -> None:
    text = (
        "import signal\nfrom socketify import App\nSET\n"
        "App().get('/', lambda res, req: res.end('ok')).listen(0, lambda config: print(config.port)).run()\n"
    )
    with Program(text.replace("SET", "signal.signal(signal.SIGUSR2, lambda *_: print('mine', flush=True))")) as program:
        assert httpx.get(program.url).text == "ok"
        program.send_signal(signal.SIGUSR2)
        assert program.stdout.readline() == "mine\n"
        program.stop()
    with Program(text.replace("SET", "")) as program:
        assert httpx.get(program.url).text == "ok"
        program.send_signal(signal.SIGUSR2)
        assert httpx.get(program.url).text == "ok"
        program.stop()
        assert program.errors.startswith("in flight: ")


def test_a_worker_that_took_the_place_of_another_one_is_known_to_serve(command: Any) -> None:
    running = command("app:wsgi", "--workers", "2", "--port", "0", "--timeout-worker", "0")
    url, before = running.url, children(running.process.pid)
    os.kill(before[0], signal.SIGKILL)
    wait_until(lambda: int(httpx.get(url, timeout=20).text.split()[1]) not in before)
    # The supervisor looks twenty times a second.
    time.sleep(1)
    running.process.send_signal(signal.SIGUSR2)
    running.wait_for(rf"worker 1 \(pid (?!{before[0]}\))\d+\) serves")
    assert running.stop() == 0


def test_a_process_that_cannot_tell_its_stacks_is_not_ended_by_who_asks() -> None:
    text = (
        "import faulthandler, os\n"
        "def refuse(*_, **__):\n    raise RuntimeError\n"
        "faulthandler.register = refuse\n"
        "from socketify.process.stacks import Stacks\n"
        "stacks = Stacks()\nstacks.answer()\nstacks.ask(os.getpid())\nprint('lives')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", text], env=environment(), capture_output=True, text=True, timeout=20, check=False
    )
    assert (done.returncode, done.stdout) == (0, "lives\n")
