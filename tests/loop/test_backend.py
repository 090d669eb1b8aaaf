"""Choosing io_uring or epoll: forcing, refusing and falling back."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any, Optional

import httpx
from backends import REFUSING, environment, needs_io_uring, run

from socketify import App
from socketify.loop.backend import chosen_backend, loop_backend

PROGRAM = """
from socketify import App
app = App()
app.get("/", lambda res, req: res.end(app.loop.backend))
app.listen(0, lambda config: print(config.port, flush=True))
app.run()
"""


def served_by(backend: Optional[str], refused: bool = False) -> str:
    command = [sys.executable, *(("-c", REFUSING) if refused else ()), "-u", "-c", PROGRAM]
    with subprocess.Popen(command, env=environment(backend), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            return httpx.get(f"http://127.0.0.1:{int(process.stdout.readline())}/").text
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)


def test_epoll_can_be_forced() -> None:
    assert served_by("epoll") == "epoll"


@needs_io_uring
def test_io_uring_can_be_forced() -> None:
    assert served_by("io_uring") == "io_uring"


def test_without_a_wish_the_best_is_taken() -> None:
    chosen = run("-c", "from socketify.loop import backend; print(backend.chosen_backend())").stdout.strip()
    assert served_by(None) == served_by("") == chosen


def test_a_wrong_name_is_an_error() -> None:
    result = run("-c", "from socketify import App; App()", backend="kqueue")
    assert "RuntimeError: SOCKETIFY_BACKEND must be epoll or io_uring, not 'kqueue'" in result.stderr
    result = run("-m", "socketify", "json:loads", backend="kqueue")
    assert result.returncode == 2
    assert result.stderr == "socketify: RuntimeError: SOCKETIFY_BACKEND must be epoll or io_uring, not 'kqueue'\n"


def test_where_the_kernel_refuses_epoll_serves() -> None:
    assert served_by(None, refused=True) == "epoll"
    shown = run("-m", "socketify", "--print-config", "json:loads", refused=True)
    assert '"backend": "epoll"' in shown.stdout
    assert '"backend_refusal": "the kernel refuses io_uring (Operation not permitted)"' in shown.stdout


def test_forcing_what_the_kernel_refuses_is_an_error() -> None:
    result = run("-c", "from socketify import App; App()", backend="io_uring", refused=True)
    assert "RuntimeError: SOCKETIFY_BACKEND=io_uring: the kernel refuses io_uring (Operation not permitted)" in result.stderr


def test_the_loop_tells_what_it_has(serve: Any) -> None:
    def build(app: App) -> None:
        app.get("/", lambda res, req: res.end(app.loop.backend))

    assert httpx.get(f"http://127.0.0.1:{serve(build).port}/").text == chosen_backend() == loop_backend()
