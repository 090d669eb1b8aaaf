"""Supervisors whose system permits nothing, whose parent ignored its children, or who run in the background of a terminal."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from cli_command import children
from server_programs import Program, environment
from waiting import wait_until


def test_workers_stay_where_no_other_one_can_be_started(command: Any) -> None:
    running = command("app:wsgi", "--port", "0", "--workers", "2")
    url = running.url
    supervisor = running.process.pid
    workers = children(supervisor)
    _, hard = resource.prlimit(supervisor, resource.RLIMIT_NOFILE)
    before = resource.prlimit(supervisor, resource.RLIMIT_NOFILE, (3, hard))
    running.process.send_signal(signal.SIGHUP)
    running.wait_for(f"ERROR: worker 1 cannot be started: {os.strerror(errno.EMFILE)}")
    assert children(supervisor) == workers
    os.kill(workers[0], signal.SIGKILL)
    running.wait_for(r"ERROR: it is tried again in 0.2 s")
    # Whoever comes to the socket of the other one waits there.
    assert workers[1] in children(supervisor)
    resource.prlimit(supervisor, resource.RLIMIT_NOFILE, before)
    wait_until(lambda: len(children(supervisor)) == 2)
    running.process.send_signal(signal.SIGHUP)
    wait_until(lambda: workers[1] not in (now := children(supervisor)) and len(now) == 2)
    assert httpx.get(url, timeout=20).text.startswith("wsgi")
    assert running.stop() == 0


@pytest.mark.parametrize("flags", [(), ("--metrics", "0")])
def test_a_parent_that_ignored_the_end_of_children(command: Any, flags: tuple[str, ...]) -> None:
    # It stays ignored in the program that is executed.
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        running = command("app:wsgi", "--port", "0", "--workers", "2", *flags)
    finally:
        signal.signal(signal.SIGCHLD, before)
    url = running.url
    workers = children(running.process.pid)
    # The first one may be the process for metrics.
    os.kill(workers[-1], signal.SIGKILL)
    running.wait_for(r"\(pid \d+\) ended with signal 9 and is replaced in 0.0 s")
    wait_until(lambda: len(children(running.process.pid)) == len(workers))
    assert httpx.get(url, timeout=20).text.startswith("wsgi")
    assert running.stop() == 0


@pytest.mark.parametrize(("failures", "serves"), [(3, True), (1000, False)])
def test_a_system_that_lets_no_process_start_at_first(failures: int, serves: bool) -> None:
    program = (
        "import errno, os, socketify\nstart, left = os.fork, [None] * FAILURES\n"
        "def fork():\n"
        "    if left:\n        left.pop()\n        raise BlockingIOError(errno.EAGAIN, 'no process')\n"
        "    return start()\n"
        "os.fork = fork\n"
        "socketify.serve(lambda app: app.get('/', lambda res, req: res.end('x')), port=0, workers=6,\n"
        "    on_listen=lambda config: print(config.port))\n"
    )
    with Program(program.replace("FAILURES", str(failures))) as running:
        if serves:
            wait_until(lambda: len(children(running.process.pid)) == 6)
            assert httpx.get(running.url, timeout=20).text == "x"
            running.stop()
            assert running.errors.count("worker 1 cannot be started: no process") == failures
        else:
            assert running.wait(20) == 1
            assert "workers cannot be started: giving up" in running.errors
            assert running.errors.count("cannot be started: no process") == 5


READS = """
import os

def wsgi(environ, start_response):
    terminal = os.open("/dev/tty", os.O_RDWR)
    try:
        found = os.read(terminal, 1).decode()
    except OSError as error:
        found = error.strerror
    finally:
        os.close(terminal)
    start_response("200 OK", [])
    return [found.encode()]
"""
#: A shell with a terminal, which runs a job in the background.
SHELL = """
import os, pty, subprocess, sys
pid, _terminal = pty.fork()
if pid == 0:
    with open("log.txt", "w") as log:
        line = [sys.executable, "-m", "socketify", "reads:wsgi", "--port", "0", "--workers", "2"]
        job = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=os.setpgrp)
        with open("pid.txt", "w") as file:
            file.write(f"{job.pid}\\n")
        os._exit(job.wait() & 0xFF)
os.waitpid(pid, 0)
"""


def test_a_job_in_the_background_that_reads_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "reads.py").write_text(READS)
    with subprocess.Popen([sys.executable, "-c", SHELL], cwd=tmp_path, env=environment(PYTHONUNBUFFERED="1")) as shell:
        wait_until(lambda: text(tmp_path / "pid.txt").endswith("\n"))
        job = int(text(tmp_path / "pid.txt"))
        try:
            wait_until(lambda: "worker(s)" in text(tmp_path / "log.txt"))
            url = text(tmp_path / "log.txt").split()[2]
            for _ in range(3):
                assert httpx.get(url, timeout=20).text == "Input/output error"
            assert "one worker more" not in text(tmp_path / "log.txt")
            # A process may ask for one all the same.
            os.kill(job, signal.SIGTTIN)
            wait_until(lambda: "one worker more: 3" in text(tmp_path / "log.txt"))
        finally:
            os.kill(job, signal.SIGTERM)
        assert shell.wait(20) == 0


def text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_a_successor_that_hangs_is_ended_and_those_who_serve_stay(tmp_path: Path) -> None:
    program = (
        "import os, time, socketify\n"
        "def run(app):\n"
        "    app.get('/', lambda res, req: res.end(str(os.getpid())))\n"
        "    if os.path.exists('hangs'):\n        time.sleep(600)\n"
        "options = socketify.WorkerOptions(start_timeout=1)\n"
        "socketify.serve(run, port=0, workers=2, worker_options=options, on_listen=lambda config: print(config.port))\n"
    )
    with Program(program, cwd=tmp_path) as running:
        wait_until(lambda: len(children(running.process.pid)) == 2)
        seen: set[str] = set()
        wait_until(lambda: seen.add(httpx.get(running.url, timeout=20).text) or len(seen) == 2)
        before = children(running.process.pid)
        (tmp_path / "hangs").touch()
        running.send_signal(signal.SIGHUP)
        wait_until(lambda: " s: it is killed, and replaced" in running.errors)
        wait_until(lambda: "the new worker does not serve: the others stay as they are" in running.errors)
        assert children(running.process.pid) == before
        # Where the one that was to be replaced dies meanwhile, its successor is in the way of nobody.
        running.send_signal(signal.SIGHUP)
        wait_until(lambda: len(children(running.process.pid)) == 3)
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: before[0] not in children(running.process.pid))
        (tmp_path / "hangs").unlink()
        running.send_signal(signal.SIGHUP)
        wait_until(lambda: not set(before) & set(children(running.process.pid)))
        assert int(httpx.get(running.url, timeout=20).text) in children(running.process.pid)
        running.stop()


def test_a_target_that_serves_no_app_is_given_all_the_time_it_wants(tmp_path: Path) -> None:
    program = (
        "import os, signal, time\n"
        "import socketify.process.watch as watch\n"
        "from socketify import WorkerOptions\n"
        "from socketify.workers import supervise\n"
        "watch._START_SECONDS = 0.2\n"
        "def work():\n"
        "    time.sleep(1)\n"
        "    print('worked', flush=True)\n"
        "    os.kill(os.getppid(), signal.SIGTERM)\n"
        "supervise(work, 1, options=WorkerOptions(timeout=10))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "has not served" not in done.stderr
    assert done.stdout.split()[:1] == ["worked"], done.stderr
