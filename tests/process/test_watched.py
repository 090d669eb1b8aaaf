"""Workers that are blocked, too large or too old, and what replaces them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from cli_command import children
from server_programs import GET, Program
from waiting import wait_until

from socketify import App, WorkerOptions, serve

BLOCKS = """
import os, re, time

def sleep_for_long():
    time.sleep(600)

def compute_for_long():
    re.match(r"(a+)+b", "a" * 64)

def run(app):
    app.get("/", lambda res, req: res.end(str(os.getpid())))
    app.get("/sleep", lambda res, req: sleep_for_long())
    app.get("/compute", lambda res, req: compute_for_long())
    kept = []
    def grow(res, req):
        kept.append(b"x" * 150_000_000)
        res.end(str(os.getpid()))
    app.get("/grow", grow)

def application(environ, start_response):
    time.sleep(2)
    start_response("200 OK", [])
    return [b"late"]
"""


@pytest.fixture
def blocks(command: Any, tmp_path: Path) -> Any:
    (tmp_path / "blocks.py").write_text(BLOCKS)

    def start(*arguments: str) -> Any:
        running = command(*arguments, "--port", "0")
        running.port = int(running.url.rpartition(":")[2])
        return running

    return start


def send(port: int, path: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), 20)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    return connection


@pytest.mark.parametrize(("path", "function"), [("/sleep", "sleep_for_long"), ("/compute", "compute_for_long")])
def test_a_worker_that_is_blocked_is_replaced_and_the_log_says_by_what(blocks: Any, path: str, function: str) -> None:
    running = blocks("blocks:run", "--workers", "2", "--timeout-worker", "1")
    workers = children(running.process.pid)
    # Its connection ends with the worker.
    with send(running.port, path) as client, contextlib.suppress(ConnectionResetError):
        assert client.recv(1000) == b""
    pid = int(running.wait_for(r"ERROR: worker [12] \(pid (\d+)\) has not answered for \S+ s: it is killed, and replaced"))
    assert pid in workers
    running.wait_for(rf"blocks.py\", line \d+ in {function}\n")
    running.wait_for(rf"worker [12] \(pid {pid}\) ended with signal 9 and is replaced in 0.0 s")
    wait_until(lambda: len(children(running.process.pid)) == 2)
    assert len(set(children(running.process.pid)) & set(workers)) == 1
    assert httpx.get(running.url).status_code == 200
    assert running.stop() == 0


STARTS = """
import os, time

def wait_for_a_database():
    time.sleep(600)

def run(app):
    app.get("/", lambda res, req: res.end(str(os.getpid())))
    try:
        os.remove("down")
    except FileNotFoundError:
        return
    wait_for_a_database()
"""


def test_a_worker_that_hangs_as_it_starts_is_replaced_and_the_log_says_in_what(command: Any, tmp_path: Path) -> None:
    (tmp_path / "starts.py").write_text(STARTS)
    (tmp_path / "down").touch()
    # The other one has this time, too.
    running = command("starts:run", "--workers", "2", "--timeout-start", "3", "--port", "0")
    pid = running.wait_for(r"ERROR: worker [12] \(pid (\d+)\) has not served for \S+ s: it is killed, and replaced")
    running.wait_for(r"starts.py\", line \d+ in wait_for_a_database\n")
    running.wait_for(rf"worker [12] \(pid {pid}\) ended with signal 9 and is replaced in \S+ s")
    assert httpx.get(running.url).status_code == 200
    assert running.stop() == 0


def test_a_worker_that_is_stopped_is_replaced(blocks: Any) -> None:
    running = blocks("blocks:run", "--workers", "2", "--timeout-worker", "1")
    stopped = children(running.process.pid)[0]
    os.kill(stopped, signal.SIGSTOP)
    running.wait_for(rf"\(pid {stopped}\) has not answered for \S+ s: it is killed, and replaced, and does not even say")
    wait_until(lambda: stopped not in (now := children(running.process.pid)) and len(now) == 2)
    assert running.stop() == 0


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_idle_workers_stay_and_so_do_all_when_their_supervisor_was_stopped(blocks: Any, loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    running = blocks("blocks:run", "--workers", "2", "--timeout-worker", "1", "--loop", loop)
    workers = children(running.process.pid)
    time.sleep(1.5)
    assert children(running.process.pid) == workers
    running.process.send_signal(signal.SIGSTOP)
    for each in workers:
        os.kill(each, signal.SIGSTOP)
    time.sleep(2)
    running.process.send_signal(signal.SIGCONT)
    # As when the whole machine goes on, not all at the same time.
    time.sleep(0.2)
    for each in workers:
        os.kill(each, signal.SIGCONT)
    time.sleep(1.5)
    assert children(running.process.pid) == workers
    assert "not answered" not in running.said
    # It watches again.
    os.kill(workers[0], signal.SIGSTOP)
    running.wait_for(rf"\(pid {workers[0]}\) has not answered")
    assert running.stop() == 0


@pytest.mark.parametrize("flags", [("--threads", "2", "--timeout-worker", "1"), ("--workers", "1", "--timeout-worker", "0")])
def test_an_application_in_threads_may_take_its_time_and_any_without_a_limit(blocks: Any, flags: tuple[str, ...]) -> None:
    running = blocks("blocks:application", *flags)
    # One worker has a supervisor where it is asked for.
    assert len(children(running.process.pid)) == ("1" in flags[-1])
    assert httpx.get(running.url, timeout=20).text == "late"
    assert "not answered" not in running.said
    assert running.stop() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_of_a_program_are_watched(workers: int) -> None:
    text = (
        "import os, time, socketify\n"
        "def blocked_here(res, req):\n    time.sleep(600)\n"
        "def run(app):\n    app.get('/', lambda res, req: res.end(str(os.getpid()))).get('/block', blocked_here)\n"
        f"socketify.serve(run, port=0, workers={workers}, worker_options=socketify.WorkerOptions(timeout=1),\n"
        "    on_listen=lambda config: print(config.port))\n"
    )
    with Program(text) as program:
        wait_until(lambda: len(children(program.process.pid)) == workers)
        before = set(children(program.process.pid))
        with program.connect(GET.replace(b"/ ", b"/block ", 1)) as client:
            client.settimeout(20)
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(1000) == b""
        wait_until(lambda: "in blocked_here" in program.errors)
        wait_until(lambda: len(before - set(children(program.process.pid))) == 1)
        assert httpx.get(program.url).status_code == 200
        program.stop()


def test_a_worker_that_is_too_large_is_replaced_when_its_successor_serves(blocks: Any) -> None:
    # The time-out makes it look more often.
    running = blocks("blocks:run", "--max-rss", "160M", "--timeout-worker", "2")
    large = httpx.get(running.url + "/grow").text
    seen = {large}
    while len(seen) == 1:
        # Whoever asks meanwhile is answered.
        seen.add(httpx.get(running.url).text)
        time.sleep(0.05)
    running.wait_for(rf"WARNING: worker 1 \(pid {large}\) has \d+\.\d MiB of memory, more than 160.0, and is replaced")
    wait_until(lambda: len(children(running.process.pid)) == 1)
    assert running.stop() == 0


def test_a_worker_that_is_too_old_is_replaced_when_its_successor_serves(blocks: Any) -> None:
    running = blocks("blocks:run", "--worker-lifetime", "1", "--worker-lifetime-jitter", "1", "--workers", "2")
    seen = set()
    deadline = time.monotonic() + 20
    while len(seen) < 5 and time.monotonic() < deadline:
        seen.add(httpx.get(running.url).text)
        time.sleep(0.02)
    assert len(seen) >= 5
    running.wait_for(r"INFO: worker \d \(pid \d+\) has reached its lifetime, and is replaced")
    assert "WARNING" not in running.said
    assert "ERROR" not in running.said
    assert running.stop() == 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"timeout": "30"}, TypeError, "timeout must be a number of seconds, not str"),
        ({"timeout": True}, TypeError, "timeout must be a number of seconds, not bool"),
        ({"timeout": -1}, ValueError, "timeout must be 0, or from 1 to "),
        ({"timeout": float("nan")}, ValueError, "timeout must be 0, or from 1 to "),
        ({"timeout": 1e-6}, ValueError, "timeout must be 0, or from 1 to "),
        ({"start_timeout": 0.5}, ValueError, "start_timeout must be 0, or from 1 to "),
        ({"lifetime": 0}, ValueError, "lifetime must be from 1 to "),
        ({"lifetime_jitter": 5}, ValueError, "lifetime_jitter needs lifetime"),
        ({"max_rss": 1.5}, TypeError, "max_rss must be int or None, not float"),
        ({"max_rss": 200}, ValueError, "max_rss must be at least 1048576 bytes, not 200"),
    ],
)
def test_wrong_options(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        WorkerOptions(**options)


@pytest.mark.parametrize(("argument", "value"), [("workers", 2), ("worker_options", WorkerOptions())])
def test_an_app_has_no_workers(argument: str, value: Any) -> None:
    app = App()
    with pytest.raises(ValueError, match=f"^{argument}: an App serves with one process; a function run"):
        serve(app, port=0, **{argument: value})
    app.close()
